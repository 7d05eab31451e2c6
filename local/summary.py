"""What the demo prints at the end: the leaderboard, the champion, the labels, and where everything lies."""

from dataclasses import dataclass

from jobs.results import LabelledImageSet, Promotion, SelectedModel, TestScore, TunedStudy
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.progress import describe
from jobs.tuning.trial import TrialOutcome

TOP = 10
"""Trials of the leaderboard that are shown."""


@dataclass(frozen=True)
class Summary:
    """Everything that the demo did.

    Attributes:
        leaderboard: The trials.
        study: How the study went.
        selected: The challenger and the default hyperparameters on the test split.
        promotion: Whether the challenger became the champion.
        labelled: The labelled image set.
        right: Labels that equal the true class.
        places: Where things lie: what, and its path or address.
        seconds: What the demo took, from start to end.
    """

    leaderboard: Leaderboard
    study: TunedStudy
    selected: SelectedModel
    promotion: Promotion
    labelled: LabelledImageSet
    right: int
    places: list[tuple[str, str]]
    seconds: float

    def lines(self) -> list[str]:
        """Gives the summary, line by line."""
        blocks = [self._trials(), self._champion(), self._labels(), self._places()]
        return [line for block in blocks for line in (*block, "")] + [f"Done in {self.seconds:.0f} s."]

    def _trials(self) -> list[str]:
        trials = self.leaderboard.ranked()
        lines = [
            f"Leaderboard of study {self.study.study} ({self.study.complete} trials complete, {self.study.failed} failed, "
            f"{self.study.seconds:.0f} s)",
            f"  {'rank':>4}  {'trial':>5}  {'validation':>10}  {'seconds':>7}  hyperparameters",
        ]
        lines += [_trial(rank, trial) for rank, trial in enumerate(trials[:TOP], 1)]
        if len(trials) > TOP:
            lines.append(f"  ... and {len(trials) - TOP} more")
        return lines

    def _champion(self) -> list[str]:
        selected, promotion = self.selected, self.promotion
        avoided = selected.errors_avoided
        verdict = "is the champion now" if promotion.promoted else f"was not promoted: {promotion.reason}"
        return [
            f"Model {selected.model_name} version {selected.model_version} {verdict}",
            f"  on {selected.test_images} test images, never seen before the choice was made:",
            f"  winner   {_score(selected.winner)}",
            f"  default  {_score(selected.default) if selected.default else 'was not tried'}",
            "  the default makes no errors to avoid" if avoided is None else f"  errors avoided: {avoided:.0%}",
        ]

    def _labels(self) -> list[str]:
        labelled = self.labelled
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(labelled.reasons.items()))
        share = self.right / labelled.labelled if labelled.labelled else 0.0
        return [
            f"Labelled {labelled.labelled} of {labelled.images} images with {labelled.model_name} version "
            f"{labelled.model_version} in {labelled.seconds:.0f} s",
            f"  {self.right} labels are right ({share:.1%})",
            f"  {labelled.quarantined} images are in quarantine" + (f": {reasons}" if reasons else ""),
        ]

    def _places(self) -> list[str]:
        width = max((len(what) for what, _ in self.places), default=0)
        return ["Where things are", *(f"  {what:<{width}}  {where}" for what, where in self.places)]


def _trial(rank: int, trial: TrialOutcome) -> str:
    accuracy = "failed" if trial.validation_accuracy is None else f"{trial.validation_accuracy:.2%}"
    return f"  {rank:>4}  {trial.number:>5}  {accuracy:>10}  {trial.seconds:>7.1f}  {describe(trial.hyperparameters)}"


def _score(score: TestScore) -> str:
    return f"{score.accuracy:.2%} right, {score.errors} errors (trial {score.trial})"
