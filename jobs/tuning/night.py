"""The night in a few lines, for whoever reads one task's log in the morning."""

from jobs.results import Promotion, SelectedModel, TunedStudy
from jobs.tuning.progress import duration


def night_lines(tuned: TunedStudy, selected: SelectedModel, promotion: Promotion) -> list[str]:
    """Writes what a night of tuning has brought; the first line stands for all of it."""
    model = f"{selected.model_name} version {selected.model_version}"
    verdict = "is champion" if promotion.promoted else "stays challenger"
    winner, default = selected.winner, selected.default
    lines = [
        f"{model} {verdict}: {promotion.reason}",
        f"test accuracy {winner.accuracy:.2%} (95 % between {winner.interval[0]:.2%} and {winner.interval[1]:.2%}) on "
        f"{selected.test_images} images",
    ]
    if default is not None:
        lines.append(f"default hyperparameters: {default.accuracy:.2%}")
    lines += [
        f"{tuned.complete} trials complete, {tuned.stopped} stopped early, {tuned.failed} failed, in "
        f"{duration(tuned.seconds)} on {len(tuned.executors)} executor(s)",
        f"champion: {f'version {promotion.champion_version}' if promotion.champion_version else 'none'}",
        f"report: {tuned.report}",
    ]
    return lines
