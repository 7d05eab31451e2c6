"""The charts of a study, from its leaderboard as far as it has come."""

from atoll.pages import charts
from atoll.pages.charts import BOTTOM, COLOURS, LEFT, RIGHT, TOP, Axis, Bar, Chart, Line, Mark, Tick, across, upward
from jobs.tuning.importance import varied
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.progress import describe, duration
from jobs.tuning.trial import TrialOutcome

LOGARITHMIC = ("learning_rate", "neurons", "batch_size", "filters")
"""Hyperparameters whose ratios matter."""

_ERROR = "validation error (%)"


def error_against(board: Leaderboard, name: str, colour: str | None) -> Chart:
    """Validation error against one hyperparameter; the colours tell another one.

    Args:
        board: The study, with at least one trial that has a score.
        name: Hyperparameter that lies across.
        colour: Hyperparameter that is told by colour; None for one colour.
    """
    trials = _scored(board)
    best = board.best()
    values = [getattr(trial.hyperparameters, name) for trial in trials]
    x = across(name.replace("_", " "), values, logarithmic=name in LOGARITHMIC)
    y = upward(_ERROR, [error(trial) for trial in trials], logarithmic=True)
    groups = sorted({getattr(trial.hyperparameters, colour) for trial in trials}, key=_order) if colour else []
    marks = [
        Mark(
            x.place(value),
            y.place(error(trial)),
            f"{_colour(groups, getattr(trial.hyperparameters, colour) if colour else None)}"
            f"{' best' if best and trial.number == best.number else ''}{' paused' if trial.state == 'paused' else ''}",
            key(trial),
            say(trial),
        )
        for trial, value in zip(trials, values, strict=True)
    ]
    named = [(f"c{number % COLOURS}", f"{charts.short(group)} {colour}") for number, group in enumerate(groups)]
    legend = [*named[:COLOURS], *([("best", "best")] if best else [])]
    return Chart("error", f"Error against {name.replace('_', ' ')}", x, y, marks=marks, legend=legend)


def learning_curves(board: Leaderboard) -> Chart:
    """Validation error after each epoch of every trial; a mark where a trial has stopped."""
    trials = [trial for trial in board.trials if trial.curve]
    best = board.best()
    x = across("epoch", [0.0, *(score.epoch for trial in trials for score in trial.curve)])
    y = upward(_ERROR, [_percent(s.validation_accuracy) for t in trials for s in t.curve], logarithmic=True)
    lines, marks = [], []
    for trial in sorted(trials, key=lambda one: best is not None and one.number == best.number):
        front = best is not None and trial.number == best.number
        points = tuple((x.place(s.epoch), y.place(_percent(s.validation_accuracy))) for s in trial.curve)
        lines.append(Line(points, "best" if front else "other", key(trial), say(trial)))
        style = "best" if front else {"paused": "paused", "failed": "failed", "complete": "end"}[trial.state]
        marks.append(Mark(*points[-1], style, key(trial), say(trial)))
    legend = [("best", "best"), ("other", "other trials")]
    if any(trial.state == "paused" for trial in trials):
        legend.append(("paused", "stopped here"))
    return Chart("curves", "Learning curves", x, y, lines=lines, marks=marks, legend=legend)


def parallel_coordinates(board: Leaderboard) -> Chart:
    """Each trial as a line through its hyperparameters to its error; the best tenth stands out."""
    trials = sorted(_scored(board), key=error, reverse=True)
    names = varied(board)
    bottom, top = BOTTOM, TOP + 14
    scales = [_scale(name, [getattr(one.hyperparameters, name) for one in trials]) for name in names]
    scales.append(upward("error", [error(one) for one in trials], logarithmic=True))
    step = (RIGHT - LEFT) / max(1, len(scales) - 1)
    best = max(1, len(trials) // 10)
    lines = []
    for rank, trial in enumerate(trials):
        values = [*(getattr(trial.hyperparameters, name) for name in names), error(trial)]
        points = tuple(
            (LEFT + number * step, scale.place(value))
            for number, (scale, value) in enumerate(zip(scales, values, strict=True))
        )
        place = len(trials) - rank
        style = "best" if place == 1 else "good" if place <= best else "other"
        lines.append(Line(points, style, key(trial), say(trial)))
    titles = [*(name.replace("_", " ") for name in names), "error"]
    ticks = tuple(Tick(LEFT + number * step, title) for number, title in enumerate(titles))
    bars = [Bar(tick.at - 0.5, top, 1, bottom - top, "rule", "", "") for tick in ticks]
    ends = [
        Mark(LEFT + number * step, tick.at, "text", "", tick.text)
        for number, scale in enumerate(scales)
        for tick in {scale.ticks[0], scale.ticks[-1]}
    ]
    x = Axis("", ticks, float)
    return Chart("parallel", "Every trial through its values", x, Axis("", (), float), lines, bars, ends, rules=False)


def executors(board: Leaderboard) -> Chart:
    """What each executor did when: a bar for each time that a trial was on it."""
    runs = [(run, trial) for trial in (*board.trials, *board.repeats) for run in trial.runs]
    began = min(run.started_at for run, _ in runs)
    best = board.best()
    names = sorted({run.executor for run, _ in runs})
    last = max(run.finished_at for run, _ in runs) - began
    unit, seconds = ("minutes", 60.0) if last >= 120 else ("seconds", 1.0)
    x = across(f"{unit} since the study began", [0.0, *((run.finished_at - began) / seconds for run, _ in runs)])
    row = min(46.0, (BOTTOM - TOP) / len(names))
    height = TOP + row * len(names) + (charts.HEIGHT - BOTTOM)
    bars = [
        Bar(
            left := x.place((run.started_at - began) / seconds),
            TOP + names.index(run.executor) * row + row * 0.12,
            max(1.0, x.place((run.finished_at - began) / seconds) - left - 1),
            row * 0.76,
            f"c0{' best' if best and trial.number == best.number else ''}{' failed' if trial.state == 'failed' else ''}",
            key(trial),
            f"trial {trial.number} on {run.executor}, {duration(run.seconds)}, {run.epochs:g} epochs",
        )
        for run, trial in runs
    ]
    ticks = tuple(Tick(TOP + (number + 0.5) * row, _identifier(name)) for number, name in enumerate(names))
    return Chart("executors", "Executors", x, Axis("", ticks, float), bars=bars, rules=False, height=height)


def importances(shares: dict[str, float]) -> Chart:
    """How much of the differences between trials each hyperparameter explains, the most important on top."""
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    row = min(34.0, (BOTTOM - TOP) / len(ranked))
    left = 128.0
    bars = [
        Bar(
            left,
            TOP + number * row + row * 0.15,
            max(1.0, share * (RIGHT - 48 - left)),
            row * 0.7,
            "c0",
            "",
            f"{share:.0%}",
        )
        for number, (name, share) in enumerate(ranked)
    ]
    ticks = tuple(Tick(TOP + (number + 0.5) * row, name.replace("_", " ")) for number, (name, _) in enumerate(ranked))
    ends = [Mark(bar.x + bar.width + 6, bar.y + bar.height / 2, "text start", "", bar.text) for bar in bars]
    height = TOP + row * len(ranked) + 12
    return Chart(
        "importance",
        "What matters",
        Axis("", (), float),
        Axis("", ticks, float),
        (),
        bars,
        ends,
        rules=False,
        height=height,
    )


def error(trial: TrialOutcome) -> float:
    """Validation error in percent; at least a hundredth, so that it has a logarithm."""
    return _percent(trial.validation_accuracy or 0.0)


def key(trial: TrialOutcome) -> str:
    """What marks everything of one trial."""
    return f"trial-{trial.number}"


def say(trial: TrialOutcome) -> str:
    """What is said of a trial when it is pointed at."""
    state = {"paused": f", stopped after {trial.epochs:g} epochs", "failed": ", failed", "complete": ""}[trial.state]
    score = "no score" if trial.validation_accuracy is None else f"{100 * (1 - trial.validation_accuracy):.2f} % error"
    return f"trial {trial.number}: {score}{state}\n{describe(trial.hyperparameters).replace(' ', chr(10))}"


def _percent(accuracy: float) -> float:
    return max(0.01, 100 * (1 - accuracy))


def _scored(board: Leaderboard) -> list[TrialOutcome]:
    return [trial for trial in board.trials if trial.validation_accuracy is not None]


def _scale(name: str, values: list[charts.Scalar]) -> Axis:
    return upward(name, values, logarithmic=name in LOGARITHMIC)


def _order(value: charts.Scalar) -> tuple[bool, float, str]:
    return (isinstance(value, str), 0.0 if isinstance(value, str) else float(value), str(value))


def _colour(groups: list[charts.Scalar], value: charts.Scalar | None) -> str:
    return f"c{groups.index(value) % COLOURS}" if value is not None and value in groups else "c0"


def _identifier(executor: str) -> str:
    """Gives the number of an executor; its host is said when a bar is pointed at."""
    found = executor.partition("@")[0]
    return found if len(found) <= 8 else f"{found[:7]}…"
