"""The report of a study: complete, offline, and safe to open whatever a trial said."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobs.experiment import Experiment
from jobs.models.training import EpochScore
from jobs.results import SelectedModel, TestScore
from jobs.tuning.importance import importance, varied
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.pictures import learning_curves
from jobs.tuning.report import draw, facts, headline, write_report
from jobs.tuning.trial import TrialOutcome, TrialRun
from tests.jobs.tuning.outcomes import DEFAULT, outcome

RATES = (0.0003, 0.001, 0.003, 0.01)


def trial(number: int, epochs: int, rate: float, neurons: int, executor: int) -> TrialOutcome:
    """A trial whose error depends on the learning rate, and hardly on the neurons."""
    error = 0.02 + 0.3 * RATES.index(rate) / len(RATES) + 1e-5 * neurons
    curve = [EpochScore(epoch, 0.1, 0.2, 1 - error - 0.1 / epoch, float(epoch)) for epoch in range(1, epochs + 1)]
    return TrialOutcome(
        number=number,
        hyperparameters=DEFAULT.model_copy(update={"learning_rate": rate, "neurons": neurons}),
        state="complete" if epochs == 9 else "paused",
        validation_accuracy=curve[-1].validation_accuracy,
        curve=curve,
        runs=[
            TrialRun(executor=f"{executor}@host", process=1, started_at=number, finished_at=number + 2, epochs=epochs)
        ],
    )


def board(trials: list[TrialOutcome], **changes: Any) -> Leaderboard:
    content = {
        "name": "small",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "search": {"learning_rate": list(RATES)},
        "default": DEFAULT,
        "budget": {"epochs": 9},
    }
    asked = Experiment.model_validate(content | changes)
    return Leaderboard(study="night", experiment=asked, dataset="d", dataset_fingerprint="f00d", trials=trials)


@pytest.fixture
def study() -> Leaderboard:
    points = [(rate, neurons) for rate in RATES for neurons in (32, 64, 128)]
    trials = [trial(number, 9 if number % 3 == 0 else 1, *point, number % 2) for number, point in enumerate(points)]
    return board(trials, early_stopping={"reduction": 3})


def test_what_makes_the_difference_is_named_first(study: Leaderboard) -> None:
    shares = importance(study)
    assert varied(study) == ["neurons", "learning_rate"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning_rate"] > 0.8
    assert headline(shares).startswith("What matters, as its share of the differences between trials: learning rate (")


def test_the_page_holds_every_picture_and_every_trial_and_needs_nothing_else(
    study: Leaderboard, tmp_path: Path
) -> None:
    write_report(study, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    names = {path.stem for path in (tmp_path / "report").glob("*.png")}
    assert names == {
        "error_against_learning_rate", "importance", "parallel_coordinates", "learning_curves", "executors",
    }  # fmt: skip
    assert page.count("data:image/png;base64,") == len(names)
    assert page.count("<tr") == 1 + len(study.trials)
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for picture in draw(study, importance(study)):
        with Image.open(io.BytesIO(picture.png)) as image:
            image.load()
            assert image.size[0] > 600
            assert len(set(image.convert("L").getdata())) > 20, "an empty picture"


def test_the_figures_say_what_was_saved_and_what_the_test_gave(study: Leaderboard) -> None:
    shown = dict((what, value) for value, what in facts(study, None))
    assert shown["epochs trained, 59% saved by stopping early"] == "44 of 108"
    assert not any("test error" in what for what in shown)
    point = DEFAULT.model_dump()
    winner = TestScore(trial=0, hyperparameters=point, correct=99, errors=1, accuracy=0.99, interval=(0.9, 1.0))
    selected = SelectedModel(
        model_name="m", model_version=1, study="night", dataset_fingerprint="f00d", graph="g", graph_sha256="0",
        test_images=100, winner=winner, default=winner, errors_avoided=0.0,
    )  # fmt: skip
    assert ("1.00 %", "test error of the best") in facts(study, selected)


def test_a_study_of_failures_or_of_one_trial_still_has_a_report(tmp_path: Path) -> None:
    for number, trials in enumerate(
        ([outcome(0, None)], [outcome(0, 0.9)], [outcome(0, 1.0), outcome(1, 1.0, neurons=64)])
    ):
        write_report(board(trials), tmp_path / str(number))
        assert "Too few trials differ" in (tmp_path / str(number) / "report.html").read_text()


def test_what_a_trial_says_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    failed = outcome(0, None).model_copy(
        update={"reason": "<script>alert(1)</script>", "traceback": "</pre><img src=x onerror=alert(2)>"}
    )
    write_report(board([failed, outcome(1, 0.9)]), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(("best", "scale"), [(0.9965, "log"), (1.0, "symlog")])
def test_a_curve_that_begins_badly_leaves_the_picture_to_the_small_errors(best: float, scale: str) -> None:
    curve = [EpochScore(epoch, 0.1, 0.2, score, 1.0) for epoch, score in enumerate((0.55, 0.99, best), start=1)]
    (axes,) = learning_curves(board([outcome(0, best).model_copy(update={"curve": curve})])).axes
    low, high = axes.get_ylim()
    assert axes.get_yscale() == scale
    assert -0.05 < low < 100 * (1 - best) + 1e-9
    assert 45 < high < 60
