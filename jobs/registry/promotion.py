"""Promotion: the gate that a challenger passes only when it is better than the champion on the same test images."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidStudyError
from jobs.registry.champions import set_champion
from jobs.registry.final_test import FinalTest, read_final_test
from jobs.registry.versions import download_model, find_champion, find_version
from jobs.results import Promotion
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

SIGNIFICANCE = 0.05
"""How likely a difference at least this large may be by chance, for it to count."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger takes over.

    Attributes:
        promoted: True when it does.
        p_value: Of the paired test; None when there was nothing to compare with.
        reason: In one line.
    """

    promoted: bool
    p_value: float | None
    reason: str


def decide(labels: list[int], challenger: list[int], champion: list[int]) -> Decision:
    """Compares two classifiers on the same images by McNemar's exact test, one-sided.

    Only the images on which exactly one of them is right tell them apart; were they equally good, each would win half of
    those (McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947).

    Args:
        labels: True class of each image.
        challenger: Class that the challenger gives each.
        champion: Class that the champion gives each.
    """
    from scipy.stats import binomtest

    triples = list(zip(labels, challenger, champion, strict=True))
    won = sum(new == label != old for label, new, old in triples)
    lost = sum(old == label != new for label, new, old in triples)
    p_value = float(binomtest(won, won + lost, 0.5, alternative="greater").pvalue) if won + lost else 1.0
    counts = (
        f"right where the champion is wrong on {won} of {len(labels)} test images, wrong where it is right on {lost}"
    )
    better = p_value < SIGNIFICANCE
    verdict = f"{'better' if better else 'not significantly better'} than the champion"
    return Decision(better, p_value, f"{verdict}: {counts} (p = {p_value:.3g})")


def promote(model_name: str, version: int, workspace: Workspace, who: str) -> Promotion:
    """Makes a version the champion if it is better than the one that reigns, or if none does.

    Args:
        model_name: Name of the model.
        version: The challenger.
        workspace: Where the registry lies when it has no server.
        who: The DAG run that asks for it, for the model's history.

    Raises:
        ModelNotFoundError: There is no such model or version.
        InvalidStudyError: The champion changed after the challenger was tested against it.
    """
    challenger = find_version(model_name, version, workspace)
    reigning = find_champion(model_name, workspace)
    with tempfile.TemporaryDirectory(prefix="atoll-promotion-") as scratch:
        test = read_final_test(download_model(challenger, Path(scratch), workspace))
    if reigning is not None and reigning.version == challenger.version:
        decision = Decision(True, None, "it is the champion already")
    else:
        decision = _compare(model_name, test, reigning.version if reigning else None)
    if decision.promoted:
        set_champion(challenger, workspace, who, decision.reason)
    log.info(
        "%s version %d %s: %s",
        model_name,
        version,
        "is champion" if decision.promoted else "stays challenger",
        decision.reason,
    )
    return Promotion(
        model_name=model_name,
        challenger_version=version,
        champion_version=version if decision.promoted or reigning is None else reigning.version,
        previous_version=reigning.version if reigning else None,
        promoted=decision.promoted,
        p_value=decision.p_value,
        reason=decision.reason,
    )


def _compare(model_name: str, test: FinalTest | None, reigning: int | None) -> Decision:
    if reigning is None:
        return Decision(True, None, "there was no champion")
    if test is None or test.champion_version != reigning:
        tested = f"version {test.champion_version}" if test and test.champion_version else "none"
        raise InvalidStudyError(
            f"model {model_name}: the champion is now version {reigning}, the challenger was tested against {tested}; "
            "tune the model again"
        )
    if test.champion is None:
        return Decision(False, None, "the champion knows other classes; make it champion by hand if it is to take over")
    return decide(test.labels, test.winner, test.champion)
