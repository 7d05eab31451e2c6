"""The gate: a challenger passes only when it is better than today's champion on the same test images."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError, InvalidDatasetError, InvalidStudyError
from jobs.registry.final_test import FinalTest, champion_predictions, read_final_test
from jobs.registry.mlflow_client import open_client
from jobs.registry.versions import ModelVersion, download_model, find_champion, find_version
from jobs.results import GateDecision, PairedTest
from jobs.tuning.leaderboard import read_leaderboard
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

DECISION_TAG = "atoll.gate"
"""Tag of a version with the JSON of the gate's latest `GateDecision` about it."""

SIGNIFICANCE = 0.05
"""How likely a difference at least this large may be by chance, for it to count."""


@dataclass(frozen=True)
class GateRule:
    """What "better" means.

    Attributes:
        margin: How much higher the challenger's test accuracy must be, as a fraction of 1, from 0 to below 1.
        significance: The p-value must be below it; above 0, below 1.
    """

    margin: float = 0.0
    significance: float = SIGNIFICANCE

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise InvalidArgumentError(f"margin: {self.margin:g}; accepted: a fraction from 0 to below 1")
        if not 0 < self.significance < 1:
            raise InvalidArgumentError(f"significance: {self.significance:g}; accepted: above 0 and below 1")


def compare(labels: list[int], challenger: list[int], champion: list[int]) -> PairedTest:
    """Compares two classifiers on the same images by McNemar's exact test, one-sided.

    Only the images on which exactly one of them is right tell them apart; were they equally good, each would win half of
    those (McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947).

    Args:
        labels: True class of each image, at least one.
        challenger: Class that the challenger gives each.
        champion: Class that the champion gives each.
    """
    from scipy.stats import binomtest

    triples = list(zip(labels, challenger, champion, strict=True))
    won = sum(new == label != old for label, new, old in triples)
    lost = sum(old == label != new for label, new, old in triples)
    return PairedTest(
        images=len(triples),
        challenger_correct=sum(new == label for label, new, _ in triples),
        champion_correct=sum(old == label for label, _, old in triples),
        won=won,
        lost=lost,
        p_value=float(binomtest(won, won + lost, 0.5, alternative="greater").pvalue) if won + lost else 1.0,
    )


def judge(test: PairedTest, rule: GateRule) -> tuple[bool, str]:
    """Decides whether the challenger of a test passes, and says why in one line."""
    gain = (test.won - test.lost) / test.images
    counts = (
        f"right where the champion is wrong on {test.won} of {test.images} test images, wrong where it is right on "
        f"{test.lost} (p = {test.p_value:.3g}; accuracy {test.challenger_accuracy:.2%} against {test.champion_accuracy:.2%})"
    )
    if gain <= 0:
        return False, f"{'as good as' if gain == 0 else 'worse than'} the champion: {counts}"
    if test.p_value >= rule.significance:
        return False, f"not significantly better than the champion: {counts}; needed: p below {rule.significance:g}"
    if gain < rule.margin:
        return False, f"better than the champion, but by less than the margin of {rule.margin:.2%}: {counts}"
    return True, f"better than the champion: {counts}"


def gate(model_name: str, version: int, workspace: Workspace, rule: GateRule) -> GateDecision:
    """Tests a version against today's champion, and records the decision with the version; changes no champion.

    Both have labelled the challenger's test split, whatever data set the champion was trained on. A champion that took over
    after the challenger was selected labels it now: the challenger was chosen without it, so the test stays honest.

    Raises:
        ModelNotFoundError: There is no such model or version.
        InvalidStudyError: The version has no record of a final test, or its data set is gone.
    """
    challenger = find_version(model_name, version, workspace)
    reigning = find_champion(model_name, workspace)
    decision = _decide(challenger, reigning, workspace, rule)
    log.info("%s version %d %s the gate: %s", model_name, version, "passes" if decision.passed else "does not pass",
             decision.reason)  # fmt: skip
    open_client(workspace).set_model_version_tag(model_name, str(version), DECISION_TAG, decision.model_dump_json())
    return decision


def _decide(
    challenger: ModelVersion, reigning: ModelVersion | None, workspace: Workspace, rule: GateRule
) -> GateDecision:
    paired = None
    if reigning is None:
        passed, reason = True, "the first champion: there was none to compare with"
    elif reigning.version == challenger.version:
        passed, reason = True, "it is the champion already"
    else:
        test = _final_test(challenger, workspace)
        predicted = _champion_predictions(test, challenger, reigning, workspace)
        if predicted is None:
            passed = False
            reason = "the champion knows other classes, so they cannot be compared; roll_back_model can choose by hand"
        else:
            paired = compare(test.labels, test.winner, predicted)
            passed, reason = judge(paired, rule)
    return GateDecision(
        model_name=challenger.name,
        challenger_version=challenger.version,
        champion_version=reigning.version if reigning else None,
        passed=passed,
        reason=reason,
        p_value=paired.p_value if paired else None,
        test=paired,
        margin=rule.margin,
        significance=rule.significance,
    )


def _final_test(challenger: ModelVersion, workspace: Workspace) -> FinalTest:
    with tempfile.TemporaryDirectory(prefix="atoll-gate-") as scratch:
        test = read_final_test(download_model(challenger, Path(scratch), workspace))
    if test is None:
        raise InvalidStudyError(
            f"model {challenger.name} version {challenger.version}: no record of its final test; accepted: a version of "
            "select_model"
        )
    return test


def _champion_predictions(
    test: FinalTest, challenger: ModelVersion, reigning: ModelVersion, workspace: Workspace
) -> list[int] | None:
    if test.champion_version == reigning.version:
        return test.champion
    log.info("version %d became champion after the challenger was tested: it labels the same test images now",
             reigning.version)  # fmt: skip
    try:
        dataset = Path(read_leaderboard(workspace.study(challenger.study)).dataset)
        return champion_predictions(dataset, reigning, workspace)
    except (InvalidStudyError, InvalidDatasetError) as error:
        raise InvalidStudyError(
            f"model {challenger.name}: version {reigning.version} became champion after version {challenger.version} was "
            f"tested, and cannot be compared with it: {error}; or tune the model again"
        ) from None
