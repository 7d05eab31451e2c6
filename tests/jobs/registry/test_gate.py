"""The gate: McNemar's exact test against today's champion, and what becomes of its decision."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidArgumentError, InvalidStudyError
from jobs.registry.champions import champion_history, set_champion
from jobs.registry.final_test import RECORD_FILE, FinalTest
from jobs.registry.gate import DECISION_TAG, GateRule, compare, gate, judge
from jobs.registry.mlflow_client import open_client
from jobs.registry.promotion import promote
from jobs.registry.versions import ModelVersion, find_champion, register
from jobs.results import GateDecision
from jobs.workspace import Workspace


def predictions(both: int, won: int, lost: int, neither: int) -> tuple[list[int], list[int], list[int]]:
    """Labels, challenger and champion with as many images of each kind."""
    labels = [1] * (both + won + lost + neither)
    challenger = [1] * both + [1] * won + [0] * lost + [0] * neither
    champion = [1] * both + [0] * won + [1] * lost + [0] * neither
    return labels, challenger, champion


@pytest.mark.parametrize(
    ("won", "lost", "p_value", "passed", "verdict"),
    [
        (0, 0, 1.0, False, "as good as the champion"),  # the same classifier
        (10, 10, 0.588099, False, "as good as the champion"),
        (4, 0, 0.0625, False, "not significantly better"),  # too few to tell
        (5, 0, 0.03125, True, "better than the champion"),
        (15, 5, 0.020695, True, "better than the champion"),
        (5, 15, 0.994091, False, "worse than the champion"),
    ],
)
def test_a_challenger_passes_only_when_it_is_significantly_better(
    won: int, lost: int, p_value: float, passed: bool, verdict: str
) -> None:
    test = compare(*predictions(100, won, lost, 3))
    assert test.p_value == pytest.approx(p_value, abs=1e-6)
    decided, reason = judge(test, GateRule())
    assert decided is passed
    assert reason.startswith(verdict)
    assert f"on {won} of {103 + won + lost} test images, wrong where it is right on {lost} (p = " in reason


@pytest.mark.parametrize(("margin", "passed"), [(0.0, True), (0.1, True), (0.1001, False)])
def test_a_better_challenger_must_also_be_better_by_the_margin(margin: float, passed: bool) -> None:
    decided, reason = judge(compare(*predictions(80, 15, 5, 0)), GateRule(margin))
    assert decided is passed
    assert ("by less than the margin of 10.01%" in reason) is not passed


def test_a_stricter_significance_asks_for_more() -> None:
    test = compare(*predictions(100, 15, 5, 0))
    assert judge(test, GateRule(significance=0.05))[0]
    assert not judge(test, GateRule(significance=0.01))[0]


@pytest.mark.parametrize(
    ("rule", "named"), [({"margin": -0.01}, "margin: -0.01"), ({"margin": 1}, "margin: 1"), ({"significance": 0}, "0")]
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{named}; accepted: "):
        GateRule(**rule)


@given(st.integers(0, 200), st.integers(0, 30), st.integers(0, 30), st.integers(0, 20), st.integers(0, 100))
def test_images_on_which_both_agree_change_no_p_value(both: int, won: int, lost: int, neither: int, more: int) -> None:
    one, other = compare(*predictions(both, won, lost, neither)), compare(*predictions(both + more, won, lost, neither))
    assert one.p_value == other.p_value


@given(st.integers(0, 30), st.integers(0, 30))
def test_two_classifiers_are_never_both_better_than_each_other(won: int, lost: int) -> None:
    labels, challenger, champion = predictions(10, won, lost, 0)
    forth, back = compare(labels, challenger, champion), compare(labels, champion, challenger)
    assert not (judge(forth, GateRule())[0] and judge(back, GateRule())[0])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("workspace"))


class Nights:
    """Versions of one model in a real registry, each with the record that its final test would have left."""

    def __init__(self, workspace: Workspace, model: str, folder: Path) -> None:
        self.workspace, self.model, self._folder = workspace, model, folder

    def select(self, won: int, lost: int, *, classes_differ: bool = False) -> ModelVersion:
        """Registers a challenger that was tested against the champion of this moment."""
        labels, challenger, champion = predictions(100, won, lost, 0)
        reigning = find_champion(self.model, self.workspace)
        record = FinalTest(
            dataset_fingerprint="f",
            read_at=time.time(),
            labels=labels,
            winner=challenger,
            default=None,
            champion=champion if reigning and not classes_differ else None,
            champion_version=reigning.version if reigning else None,
        )
        self._folder.mkdir(exist_ok=True)
        (self._folder / RECORD_FILE).write_text(record.model_dump_json())
        (self._folder / "graph.pb").write_bytes(b"graph")
        (self._folder / "labels.txt").write_text("a\n")
        study = f"{self.model}-{time.monotonic_ns()}"
        return register(self.model, study, "f", self._folder, {}, self.workspace)

    def gate(self, version: ModelVersion) -> GateDecision:
        return gate(self.model, version.version, self.workspace, GateRule())

    def champion(self) -> int | None:
        reigning = find_champion(self.model, self.workspace)
        return reigning.version if reigning else None


@pytest.fixture
def nights(workspace: Workspace, tmp_path: Path, request: pytest.FixtureRequest) -> Nights:
    made = Nights(workspace, f"m{abs(hash(request.node.name))}", tmp_path / "model")
    promote(made.gate(made.select(0, 0)), workspace, "first night")
    return made


def test_the_first_champion_ever_passes_and_the_reason_says_so(workspace: Workspace, tmp_path: Path) -> None:
    nights = Nights(workspace, "newcomer", tmp_path / "model")
    decision = nights.gate(nights.select(0, 0))
    assert (decision.passed, decision.champion_version, decision.p_value) == (True, None, None)
    assert decision.reason == "the first champion: there was none to compare with"
    assert nights.champion() is None, "the gate decides, it changes nothing"
    promoted = promote(decision, workspace, "first night")
    assert (promoted.promoted, promoted.champion_version, promoted.previous_version) == (True, 1, None)
    assert nights.champion() == 1


@pytest.mark.parametrize(
    ("won", "lost", "champion", "verdict"),
    [(3, 20, 1, "worse than"), (7, 7, 1, "as good as"), (20, 3, 2, "better than")],
    ids=["worse", "equal", "better"],
)
def test_a_night_ends_well_whatever_the_gate_decides(
    nights: Nights, won: int, lost: int, champion: int, verdict: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "atoll")
    challenger = nights.select(won, lost)
    decision = nights.gate(challenger)
    promoted = promote(decision, nights.workspace, "second night")
    assert nights.champion() == promoted.champion_version == champion
    assert promoted.promoted is decision.passed is (champion == 2)
    assert decision.test
    assert (decision.test.won, decision.test.lost, decision.test.images) == (won, lost, 100 + won + lost)
    assert promoted.p_value == decision.p_value == decision.test.p_value
    assert promoted.reason.startswith(f"{verdict} the champion: ")
    assert f"(p = {decision.p_value:.3g}" in caplog.text
    if decision.passed:
        assert champion_history(nights.model, nights.workspace)[-1].why == decision.reason


def test_the_decision_stays_with_the_version_for_whoever_looks_later(nights: Nights) -> None:
    challenger = nights.select(3, 20)
    decision = nights.gate(challenger)
    tags = open_client(nights.workspace).get_model_version(nights.model, str(challenger.version)).tags
    assert GateDecision.model_validate_json(tags[DECISION_TAG]) == decision


def test_a_retry_after_the_promotion_changes_nothing(nights: Nights) -> None:
    challenger = nights.select(20, 3)
    decision = nights.gate(challenger)
    assert promote(decision, nights.workspace, "night") == promote(decision, nights.workspace, "night")
    again = nights.gate(challenger)
    assert (again.passed, again.reason) == (True, "it is the champion already")
    promote(again, nights.workspace, "night")
    assert [change.version for change in champion_history(nights.model, nights.workspace)] == [1, 2]


def test_with_promotion_switched_off_the_gate_still_says_what_it_would_do(nights: Nights) -> None:
    decision = nights.gate(nights.select(20, 3))
    promoted = promote(decision, nights.workspace, "night", switched_on=False)
    assert (promoted.promoted, promoted.champion_version, nights.champion()) == (False, 1, 1)
    assert promoted.reason.startswith("promotion is switched off for this run; the gate would let it through: better")


def test_a_champion_of_other_classes_is_not_replaced_by_a_test(nights: Nights) -> None:
    decision = nights.gate(nights.select(20, 3, classes_differ=True))
    assert not decision.passed
    assert "knows other classes" in decision.reason


def test_a_decision_about_yesterdays_champion_is_not_carried_out(nights: Nights) -> None:
    one, other = nights.select(20, 3), nights.select(30, 3)
    decision = nights.gate(one)
    set_champion(other, nights.workspace, "ada", "by hand")
    with pytest.raises(InvalidStudyError, match=r"is now version 3, the gate compared with version 1; run the gate"):
        promote(decision, nights.workspace, "night")
    assert nights.champion() == 3


def test_a_new_champion_cannot_be_compared_once_the_study_is_gone(nights: Nights) -> None:
    one, other = nights.select(20, 3), nights.select(30, 3)
    set_champion(other, nights.workspace, "ada", "by hand")
    with pytest.raises(InvalidStudyError, match="version 3 became champion after version 2 was tested, and cannot be"):
        nights.gate(one)
