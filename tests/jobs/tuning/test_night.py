"""What the report task says of a night."""

import pytest

from jobs.results import Promotion, SelectedModel, TestScore, TunedStudy
from jobs.tuning.night import night_lines


def score(correct: int) -> TestScore:
    return TestScore(
        trial=1,
        hyperparameters={},
        correct=correct,
        errors=1000 - correct,
        accuracy=correct / 1000,
        interval=(0.9, 0.99),
    )


@pytest.mark.parametrize(
    ("promoted", "champion", "first", "last"),
    [
        (True, 7, "digits version 7 is champion: better than the champion", "champion: version 7"),
        (False, 3, "digits version 7 stays challenger: better than the champion", "champion: version 3"),
        (False, None, "digits version 7 stays challenger: better than the champion", "champion: none"),
    ],
)
def test_the_first_line_says_how_the_night_ended(promoted: bool, champion: int | None, first: str, last: str) -> None:
    tuned = TunedStudy(
        study="s", folder="f", experiment="digits", complete=10, stopped=4, failed=1, best_trial=1,
        best_validation_accuracy=0.9, default_validation_accuracy=0.8, report="r.html", executors=["0@a", "1@b"], seconds=75,
    )  # fmt: skip
    selected = SelectedModel(
        model_name="digits", model_version=7, study="s", dataset_fingerprint="f", graph="g", graph_sha256="0",
        test_images=1000, winner=score(975), default=score(950), errors_avoided=0.5,
    )  # fmt: skip
    promotion = Promotion(
        model_name="digits", challenger_version=7, champion_version=champion, previous_version=3, promoted=promoted,
        p_value=0.01, reason="better than the champion",
    )  # fmt: skip
    lines = night_lines(tuned, selected, promotion)
    assert lines[0] == first
    assert last in lines
    assert "test accuracy 97.50% (95 % between 90.00% and 99.00%) on 1000 images" in lines
    assert "10 trials complete, 4 stopped early, 1 failed, in 1:15 on 2 executor(s)" in lines
