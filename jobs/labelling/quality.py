"""The check before publishing: is this day like the days before it? Pure; files are read in `day_profile`."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobs.errors import InvalidArgumentError
from jobs.results import QualityMeasure

_ALMOST_SURE = 0.999
"""How sure a drift must be not to come from few images alone."""


@dataclass(frozen=True)
class DayProfile:
    """What a day of labels looks like from afar.

    Attributes:
        labels: How many images have each label.
        score_sum: Sum of the scores of these labels.
        quarantined: Images without a label.
    """

    labels: Counter[str] = field(default_factory=Counter)
    score_sum: float = 0.0
    quarantined: int = 0

    @property
    def labelled(self) -> int:
        """Images with a label."""
        return self.labels.total()

    @property
    def quarantine_share(self) -> float:
        """Of all images; 0 where there are none."""
        images = self.labelled + self.quarantined
        return self.quarantined / images if images else 0.0

    @property
    def confidence(self) -> float | None:
        """Mean score; None where nothing has a label."""
        return self.score_sum / self.labelled if self.labelled else None

    @classmethod
    def together(cls, days: Iterable["DayProfile"]) -> "DayProfile":
        """Adds several days up."""
        labels: Counter[str] = Counter()
        score_sum, quarantined = 0.0, 0
        for day in days:
            labels += day.labels
            score_sum += day.score_sum
            quarantined += day.quarantined
        return cls(labels, score_sum, quarantined)


@dataclass(frozen=True)
class QualityRule:
    """How much a day may differ from the recent ones.

    Attributes:
        quarantine_rise: By how much the share of quarantine may be higher, as a fraction of 1.
        label_drift: The largest population stability index of the labels; by custom up to 0.1 is none and from 0.25 on a
            large drift (Siddiqi, "Credit Risk Scorecards", 2006).
        confidence_drop: By how much the mean score may be lower.
    """

    quarantine_rise: float = 0.2
    label_drift: float = 0.25
    confidence_drop: float = 0.1

    def __post_init__(self) -> None:
        for name in ("quarantine_rise", "label_drift", "confidence_drop"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentError(f"{name}: {getattr(self, name):g}; accepted: 0 or more")


def assess(today: DayProfile, recent: DayProfile | None, rule: QualityRule) -> list[QualityMeasure]:
    """Measures a day against the recent ones.

    Args:
        today: The day to be published.
        recent: The recent days together; None without any: then only the quarantine is measured, against none at all.
        rule: What is allowed.
    """
    before = recent or DayProfile()
    measures = [
        _measure("quarantine", "share of quarantine", today.quarantine_share, before.quarantine_share,
                 today.quarantine_share - before.quarantine_share, rule.quarantine_rise)
    ]  # fmt: skip
    if today.confidence is not None and before.confidence is not None:
        drop = before.confidence - today.confidence
        measures.append(
            _measure("confidence", "mean score", today.confidence, before.confidence, drop, rule.confidence_drop)
        )
        drift, by_chance = (
            population_stability(before.labels, today.labels),
            drift_by_chance(before.labels, today.labels),
        )
        limit = max(rule.label_drift, by_chance)
        few = (
            f", raised from {rule.label_drift:g} because few images drift by chance" if limit > rule.label_drift else ""
        )
        measures.append(
            QualityMeasure(
                name="labels",
                value=drift,
                limit=limit,
                passed=drift <= limit,
                text=f"population stability index of the labels {drift:.3f}, allowed {limit:.3f}{few}",
            )
        )
    return measures


def population_stability(before: Counter[str], today: Counter[str]) -> float:
    """Computes the population stability index of two distributions: the sum of (q - p) ln(q / p) over all labels.

    Half an image is added to each label on both sides, so that a label that is missing on one side stays finite.

    Args:
        before: Images with each label, at least one.
        today: The same.
    """
    labels = before.keys() | today.keys()
    old, new = before.total() + len(labels) / 2, today.total() + len(labels) / 2
    shares = (((before[label] + 0.5) / old, (today[label] + 0.5) / new) for label in labels)
    return sum((q - p) * math.log(q / p) for p, q in shares)


def drift_by_chance(before: Counter[str], today: Counter[str]) -> float:
    """Gives the index that two samples of one distribution stay below with 99.9 %.

    With B labels and samples of N and M images, the index over (1/N + 1/M) follows chi square with B - 1 degrees of freedom
    (Yurdakul, "Statistical properties of population stability index", 2018, section 3).
    """
    from scipy.stats import chi2

    labels = len(before.keys() | today.keys())
    if labels < 2:
        return 0.0
    return float(chi2.ppf(_ALMOST_SURE, labels - 1)) * (1 / before.total() + 1 / today.total())


def _measure(name: str, what: str, today: float, before: float, worse_by: float, limit: float) -> QualityMeasure:
    passed = worse_by <= limit
    return QualityMeasure(
        name=name,
        value=worse_by,
        limit=limit,
        passed=passed,
        text=f"{what} {today:.1%}, before {before:.1%}, worse by {max(worse_by, 0):.1%}, allowed {limit:.1%}",
    )
