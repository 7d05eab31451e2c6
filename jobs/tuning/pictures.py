"""Pictures of a study, drawn from its leaderboard: what a person looks at to see which hyperparameters matter."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from jobs.tuning.importance import varied
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.trial import TrialOutcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (8.0, 4.5)
_GREY, _BEST, _STOPPED = "#9aa7b0", "#c0392b", "#e0a030"
_LINES = ("#1f6f8b", "#c0392b", "#64873b", "#8e5aa8", "#e0a030", "#3c4a57", "#2aa198", "#b5651d")
_LOGARITHMIC = ("learning_rate", "neurons", "batch_size", "filters")


def error_against_learning_rate(board: Leaderboard) -> "Figure":
    """Validation error against the learning rate, a line for each number of neurons, the best trial ringed."""
    figure, axes = _empty("learning rate", "validation error (%)")
    lines: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for trial in _scored(board):
        lines[trial.hyperparameters.neurons].append((trial.hyperparameters.learning_rate, _error(trial)))
    named = "neurons" in board.experiment.default.given()  # a model of the user's own may have none
    for (neurons, points), colour in zip(sorted(lines.items()), _colours(), strict=False):
        best = {rate: min(error for other, error in points if other == rate) for rate, _ in points}
        rates = sorted(best)
        axes.plot(
            rates,
            [best[rate] for rate in rates],
            marker="o",
            color=colour,
            label=f"{neurons} neurons" if named else None,
        )
        axes.scatter([rate for rate, _ in points], [error for _, error in points], s=12, color=colour, alpha=0.4)
    if best_trial := board.best():
        rate, error = best_trial.hyperparameters.learning_rate, _error(best_trial)
        axes.scatter(rate, error, s=180, facecolors="none", edgecolors=_BEST, linewidths=2, label="best", zorder=3)
    axes.set_xscale("log")
    _logarithmic_errors(axes)
    axes.legend(frameon=False)
    return figure


def learning_curves(board: Leaderboard) -> "Figure":
    """Validation error after each epoch; where a trial was stopped or failed there is a mark."""
    figure, axes = _empty("epoch", "validation error (%)")
    best = board.best()
    for trial in board.trials:
        epochs = [score.epoch for score in trial.curve]
        errors = [100 * (1 - score.validation_accuracy) for score in trial.curve]
        if not epochs:
            continue
        front = best is not None and trial.number == best.number
        axes.plot(epochs, errors, color=_BEST if front else _GREY, linewidth=2 if front else 1, zorder=2 + front)
        if trial.state == "paused":
            axes.scatter(epochs[-1], errors[-1], s=14, color=_STOPPED, zorder=3)
        elif trial.state == "failed":
            axes.scatter(epochs[-1], errors[-1], s=40, marker="x", color=_BEST, zorder=3)
    _logarithmic_errors(axes)
    stopped = any(trial.state == "paused" for trial in board.trials)
    entries = [("best", _BEST, "-"), ("other trials", _GREY, "-"), *([("stopped here", _STOPPED, "o")] * stopped)]
    _legend(axes, entries)
    return figure


def importances(shares: dict[str, float]) -> "Figure":
    """How much of the differences between trials each hyperparameter explains; the longest bar on top.

    Args:
        shares: What `importance` gives.
    """
    figure, axes = _empty("share of the differences between trials (%)", "")
    ranked = sorted(shares.items(), key=lambda item: item[1])
    axes.barh([name.replace("_", " ") for name, _ in ranked], [100 * share for _, share in ranked], color=_LINES[0])
    for position, (_, share) in enumerate(ranked):
        axes.text(100 * share + 1, position, f"{share:.0%}", va="center")
    axes.set_xlim(0, 108)
    return figure


def parallel_coordinates(board: Leaderboard) -> "Figure":
    """Each trial as a line through its hyperparameters to its validation error; the better, the darker."""
    from matplotlib import colormaps

    figure, axes = _empty("", "")
    names = varied(board)
    trials = sorted(_scored(board), key=_error, reverse=True)
    scales = [_scale(name, [getattr(trial.hyperparameters, name) for trial in trials]) for name in names]
    error_scale = _scale("error", [_error(trial) for trial in trials])
    shades = colormaps["viridis_r"]
    for rank, trial in enumerate(trials):
        heights = [scale(getattr(trial.hyperparameters, name)) for name, scale in zip(names, scales, strict=True)]
        share = rank / max(1, len(trials) - 1)
        axes.plot(
            [*heights, error_scale(_error(trial))], color=shades(share), alpha=0.35 + 0.6 * share, linewidth=1 + share
        )
    for position, name in enumerate([*names, "error"]):
        axes.axvline(position, color="#3c4a57", linewidth=1)
        values = [_error(trial) if name == "error" else getattr(trial.hyperparameters, name) for trial in trials]
        texts = any(isinstance(value, str | bool) for value in values)
        low, high = (min(values, key=str), max(values, key=str)) if texts else (min(values), max(values))
        for value, side in ((low, -0.06), (high, 1.03)):
            said = str(value).lower() if texts or isinstance(value, int) else f"{value:.3g}"
            axes.text(position, side, said + (" %" if name == "error" else ""), ha="center")
    words = [name.replace("_", "\n") for name in (*names, "validation_error")]  # beside each other, not over each other
    axes.set_xticks(range(len(words)), words)
    axes.tick_params(axis="x", length=0, pad=16)
    figure.set_size_inches(max(_SIZE[0], 0.95 * len(words)), _SIZE[1])
    axes.set_yticks([])
    axes.set_ylim(-0.03, 1.02)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def executors(board: Leaderboard) -> "Figure":
    """What each executor did when: one bar for each time that a trial was on it."""
    figure, axes = _empty("minutes since the study began", "")
    runs = [(run, trial) for trial in board.trials for run in trial.runs]
    began = min(run.started_at for run, _ in runs)
    names = sorted({run.executor for run, _ in runs})
    best = board.best()
    for run, trial in runs:
        front = best is not None and trial.number == best.number
        axes.barh(
            names.index(run.executor),
            run.seconds / 60,
            left=(run.started_at - began) / 60,
            height=0.7,
            color=_BEST if front else _LINES[0],
            edgecolor="white",
            linewidth=0.5,
        )
    axes.set_yticks(range(len(names)), names)
    figure.set_size_inches(_SIZE[0], max(2.0, 0.35 * len(names) + 1.2))
    return figure


def _empty(x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _scored(board: Leaderboard) -> list[TrialOutcome]:
    return [trial for trial in board.trials if trial.validation_accuracy is not None]


def _error(trial: TrialOutcome) -> float:
    return 100 * (1 - (trial.validation_accuracy or 0.0))


def _logarithmic_errors(axes: "Axes") -> None:
    """The differences that matter are between small errors."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_ylim()
    if high <= 0:
        return
    if low <= 0:  # the margin beside a curve that begins high; a logarithm would make half of the picture of it
        least = axes.dataLim.y0
        low = least / 1.3 if least > 0 else -0.02
    axes.set_yscale("symlog" if low <= 0 else "log", **({"linthresh": 0.1} if low <= 0 else {}))
    smallest = max(low, 0.1 if low <= 0 else 1e-3)
    steps = (1, 2, 3, 5, 7) if high < 20 * smallest else (1, 3)
    decades = range(math.floor(math.log10(smallest)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.yaxis.set_major_locator(FixedLocator([*([0.0] if low <= 0 else []), *ticks]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_ylim(low, high)


def _legend(axes: "Axes", entries: Iterable[tuple[str, str, str]]) -> None:
    for label, colour, style in entries:
        kind: dict[str, Any] = {"linestyle": style} if style == "-" else {"marker": style, "linestyle": ""}
        axes.plot([], [], color=colour, label=label, **kind)
    axes.legend(frameon=False)


def _scale(name: str, values: list[Any]) -> Callable[[Any], float]:
    """Maps values onto 0 to 1, by their logarithm where ratios matter; what is no number by its place in the alphabet."""
    if any(isinstance(value, str | bool) for value in values):
        places = sorted(set(values), key=str)
        return lambda value: 0.5 if len(places) == 1 else places.index(value) / (len(places) - 1)
    change: Callable[[float], float] = math.log if name in _LOGARITHMIC else float
    low, high = change(min(values)), change(max(values))
    return lambda value: 0.5 if high == low else (change(value) - low) / (high - low)


def _colours() -> Iterable[str]:
    while True:
        yield from _LINES
