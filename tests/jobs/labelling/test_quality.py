"""Is a day like the days before it?"""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidArgumentError
from jobs.labelling.quality import DayProfile, QualityRule, assess, drift_by_chance, population_stability

counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1)


def day(labels: dict[str, int], quarantined: int = 0, confidence: float = 0.9) -> DayProfile:
    return DayProfile(Counter(labels), confidence * sum(labels.values()), quarantined)


USUAL = day({"cat": 5000, "dog": 4000, "fish": 1000}, quarantined=100)


@pytest.mark.parametrize(
    ("today", "broken"),
    [
        (day({"cat": 500, "dog": 400, "fish": 100}, 10), set()),
        (day({"cat": 480, "dog": 410, "fish": 110}, 20, 0.85), set()),
        (day({"cat": 500, "dog": 400, "fish": 100}, 400), {"quarantine"}),
        (day({"cat": 500, "dog": 400, "fish": 100}, 10, 0.79), {"confidence"}),
        (day({"cat": 100, "dog": 400, "fish": 500}, 10), {"labels"}),
        (day({"horse": 1000}, 900, 0.3), {"quarantine", "confidence", "labels"}),
        (day({}, 50), {"quarantine"}),
    ],
    ids=["alike", "a little different", "half of it bad", "unsure", "other labels", "all at once", "nothing labelled"],
)
def test_a_day_is_measured_against_the_days_before_it(today: DayProfile, broken: set[str]) -> None:
    measures = assess(today, USUAL, QualityRule())
    assert {measure.name for measure in measures if not measure.passed} == broken


def test_without_an_earlier_day_only_the_quarantine_is_measured() -> None:
    assert [(one.name, one.passed) for one in assess(day({"cat": 9}, 1), None, QualityRule())] == [("quarantine", True)]
    assert [(one.name, one.passed) for one in assess(day({"cat": 1}, 9), None, QualityRule())] == [
        ("quarantine", False)
    ]


def test_a_better_day_passes() -> None:
    worse = day({"cat": 500, "dog": 400, "fish": 100}, 600, 0.5)
    assert all(measure.passed for measure in assess(USUAL, worse, QualityRule()))


def test_the_index_is_that_of_the_textbook() -> None:
    before, today = Counter(a=70_000, b=30_000), Counter(a=50_000, b=50_000)
    expected = (0.5 - 0.7) * math.log(0.5 / 0.7) + (0.5 - 0.3) * math.log(0.5 / 0.3)
    assert population_stability(before, today) == pytest.approx(expected, rel=1e-3)


@given(counts, counts)
def test_the_index_is_finite_never_negative_and_the_same_both_ways(one: dict[str, int], other: dict[str, int]) -> None:
    there, back = population_stability(Counter(one), Counter(other)), population_stability(Counter(other), Counter(one))
    assert 0 <= there < math.inf
    assert there == pytest.approx(back)


def test_few_images_of_the_same_kind_raise_no_alarm() -> None:
    draw = random.Random(7)
    labels = [f"class {number}" for number in range(10)]
    alarms = 0
    for _ in range(300):
        before, today = Counter(draw.choices(labels, k=210)), Counter(draw.choices(labels, k=30))
        alarms += population_stability(before, today) > max(0.25, drift_by_chance(before, today))
    assert alarms <= 3
    raised = next(one for one in assess(DayProfile(today), DayProfile(before), QualityRule()) if one.name == "labels")
    assert raised.limit > 0.25
    assert "few images drift by chance" in raised.text


def test_several_days_count_by_their_images() -> None:
    together = DayProfile.together([day({"cat": 10}, 5, 0.5), day({"cat": 20, "dog": 10}, 0, 0.9)])
    assert together.labels == Counter(cat=30, dog=10)
    assert together.confidence == pytest.approx((10 * 0.5 + 30 * 0.9) / 40)
    assert together.quarantine_share == pytest.approx(5 / 45)


def test_a_rule_below_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="label_drift: -1; accepted: 0 or more"):
        QualityRule(label_drift=-1)
