"""The picture of the benchmark: trials per hour, and the best validation error against time."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers.score import Run, middle

NAMES = {
    "atoll": ("Atoll", "#1f6f8b"),
    "plain_keras": ("plain Keras loop", "#9aa7b0"),
    "spark_trials": ("hyperopt SparkTrials", "#e0a030"),
    "mlflow_spark_study": ("MLflow MlflowSparkStudy", "#7a5195"),
    "ray_tune": ("Ray Tune", "#c0392b"),
}


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    """Draws a panel for each round that was run."""
    kinds = [kind for kind in ("whole", "lent", "stopped") if kind in runs]
    figure = Figure(figsize=(5 * len(kinds), 4.2), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        if kind == "stopped":
            _errors(axes, runs[kind])
        else:
            title = "each as documented" if kind == "whole" else "peers lent Atoll's way of training"
            _rates(axes, runs[kind], f"Trials to their end, {title}")
    figure.savefig(path, dpi=120)


def _rates(axes: Axes, runs: list[Run], title: str) -> None:
    names = [name for name in NAMES if any(run.contestant == name for run in runs)][::-1]
    for shift, measure, label, shade in (
        (0.2, "warm_trials_per_hour", "without set-up", 0.45),
        (-0.2, "trials_per_hour", "set-up included", 1.0),
    ):
        values = [middle(runs, name, measure) for name in names]
        places = [place + shift for place in range(len(names))]
        bars = axes.barh(places, values, 0.38, color=[NAMES[name][1] for name in names], alpha=shade)
        axes.bar_label(bars, [f" {value:.0f} {label}" for value in values], fontsize=8)
    axes.set_yticks(range(len(names)), [NAMES[name][0] for name in names])
    axes.set_xlabel("trials per hour")
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.35)
    axes.spines[["top", "right"]].set_visible(False)


def _errors(axes: Axes, runs: list[Run]) -> None:
    for name, (label, colour) in NAMES.items():
        for run in [run for run in runs if run.contestant == name][:1]:
            at, best, lowest = [0.0], [1.0], 1.0
            for epoch in sorted(run.epochs, key=lambda epoch: epoch.at):
                lowest = min(lowest, epoch.error)
                at.append(epoch.at - run.began)
                best.append(lowest)
            at.append(run.ended - run.began)
            best.append(lowest)
            axes.step(at, [100 * error for error in best], where="post", color=colour, label=label)
            axes.plot(at[-1], 100 * lowest, marker="o", color=colour)
    lowest = min(run.best() for run in runs)
    axes.set_ylim(100 * lowest - 0.1, 100 * lowest + 2)
    axes.set_xlabel("seconds since the start of the program; a dot where it ends")
    axes.set_ylabel("best validation error so far (%)")
    axes.set_title("With early stopping", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
