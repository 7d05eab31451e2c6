"""A trial that pauses and goes on, perhaps elsewhere, gives what it would have given without a pause."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jobs.datasets.digits import read_digits
from jobs.models.hyperparameters import Hyperparameters
from jobs.models.training import Samples
from jobs.tuning import trial
from jobs.tuning.trial import ModelDescription, TrialOutcome, TrialSpecification, checkpoint_path, run_trial

POINT = Hyperparameters(layers=1, neurons=16, learning_rate=0.003, batch_size=32, dropout=0.4)


@pytest.fixture(scope="module")
def samples() -> tuple[Samples, Samples]:
    digits = read_digits()
    return Samples(digits.images[:300], digits.labels[:300]), Samples(digits.images[300:400], digits.labels[300:400])


ALL_AT_ONCE = POINT.model_copy(
    update={
        "batch_normalization": True,
        "schedule": "cosine",
        "ema_momentum": 0.9,
        "shift": 0.1,
        "rotation": 10.0,
        "zoom": 0.1,
    }
)


def run(
    folder: Path,
    samples: tuple[Samples, Samples],
    *stops: float,
    point: Hyperparameters = POINT,
    rungs: tuple[float, ...] = (),
    minutes: float | None = None,
) -> list[TrialOutcome]:
    description = ModelDescription("cnn", (8, 8, 1), 10, 4, 7, folder, minutes, rungs)
    return [
        run_trial(TrialSpecification(0, point, done, until), description, *samples, 1, f"{done}@host")
        for done, until in zip((0, *stops), (*stops, 4), strict=True)
    ]


def weights(folder: Path) -> list[np.ndarray]:
    with np.load(checkpoint_path(folder, 0, 4)) as arrays:
        return [arrays[name] for name in sorted(arrays.files)]


@pytest.mark.parametrize("point", [POINT, ALL_AT_ONCE])
@pytest.mark.parametrize("rungs", [(1.0, 3.0), (0.5, 2.25)])
def test_pausing_changes_neither_the_curve_nor_the_weights_nor_the_optimiser(
    tmp_path: Path, samples: tuple[Samples, Samples], rungs: tuple[float, float], point: Hyperparameters
) -> None:
    (whole,) = run(tmp_path / "whole", samples, rungs=rungs, point=point)
    first, second, third = run(tmp_path / "parts", samples, *rungs, rungs=rungs, point=point)
    assert [one.state for one in (first, second, third, whole)] == ["paused", "paused", "complete", "complete"]
    joined = third.after(second.after(first))
    assert [run.epochs for run in joined.runs] == [rungs[0], rungs[1] - rungs[0], 4 - rungs[1]]
    assert [score.epoch for score in joined.curve] == sorted({*rungs, 1, 2, 3, 4})
    for one, other in zip(joined.curve, whole.curve, strict=True):
        assert (one.epoch, one.training_loss, one.validation_loss, one.validation_accuracy) == (
            other.epoch, other.training_loss, other.validation_loss, other.validation_accuracy,
        )  # fmt: skip
    for part, expected in zip(weights(tmp_path / "parts"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_the_checkpoint_that_a_run_began_from_is_kept_until_the_next(
    tmp_path: Path, samples: tuple[Samples, Samples]
) -> None:
    run(tmp_path, samples, 1, 2, 3)
    kept = sorted(path.name for path in checkpoint_path(tmp_path, 0, 0).parent.iterdir())
    assert kept == ["epoch-00003.00000.npz", "epoch-00004.00000.npz"]


def test_a_lost_checkpoint_is_a_failed_trial_that_says_so(tmp_path: Path, samples: tuple[Samples, Samples]) -> None:
    description = ModelDescription("mlp", (8, 8, 1), 10, 4, 7, tmp_path)
    failed = run_trial(TrialSpecification(0, POINT, 2, 4), description, *samples, 1, "0@host")
    assert failed.state == "failed"
    assert "epoch-00002.00000.npz" in (failed.reason or "")


def test_a_trial_that_takes_too_long_is_failed_with_its_time(tmp_path: Path, samples: tuple[Samples, Samples]) -> None:
    (slow,) = run(tmp_path, samples, minutes=1e-6)
    assert slow.state == "failed"
    assert (slow.reason or "").startswith("time limit: ")
    assert slow.epochs == 1


def test_the_time_of_earlier_runs_counts(tmp_path: Path, samples: tuple[Samples, Samples]) -> None:
    run(tmp_path, samples, 1)
    description = ModelDescription("cnn", (8, 8, 1), 10, 4, 7, tmp_path, minutes=10)
    went_on = run_trial(TrialSpecification(0, POINT, 1, 3, spent=60.0), description, *samples, 1, "0@host")
    too_long = run_trial(TrialSpecification(0, POINT, 1, 3, spent=600.0), description, *samples, 1, "0@host")
    assert went_on.state == "paused"
    assert (too_long.reason or "").startswith("time limit: 10.0 min for 2 epochs")


def test_a_clock_that_is_set_anew_makes_no_run_longer(
    tmp_path: Path, samples: tuple[Samples, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_later = itertools.chain([1000.0], itertools.repeat(4600.0))
    monkeypatch.setattr(trial, "time", SimpleNamespace(time=lambda: next(hour_later), monotonic=time.monotonic))
    (whole,) = run(tmp_path, samples)
    assert whole.runs[0].started_at == 1000.0
    assert 0 < whole.runs[0].seconds < 1800, "what was spent counts for the time limit"


def test_trials_that_share_a_compiled_network_learn_as_if_each_had_its_own(
    tmp_path: Path, samples: tuple[Samples, Samples]
) -> None:
    rates = (0.003, 0.03, 1e30, 0.003)
    description = ModelDescription("cnn", (8, 8, 1), 10, 2, 7, tmp_path)

    def curve(number: int, rate: float) -> list[tuple[float, float]]:
        point = POINT.model_copy(update={"learning_rate": rate})
        outcome = run_trial(TrialSpecification(number, point, 0, 2), description, *samples, 1, "0@host")
        return [(score.training_loss, score.validation_loss) for score in outcome.curve]

    shared = [curve(number, rate) for number, rate in enumerate(rates)]
    alone = []
    for number, rate in enumerate(rates):
        trial._trainers.clear()
        alone.append(curve(number, rate))
    assert shared == alone
    assert shared[0] == shared[3] != shared[1]


def test_an_average_of_the_weights_is_scored_and_kept_while_training_goes_on_with_the_weights(
    tmp_path: Path, samples: tuple[Samples, Samples]
) -> None:
    one_step_an_epoch = POINT.model_copy(update={"batch_size": 300})
    steps = run(tmp_path / "plain", samples, 1, 2, 3, point=one_step_an_epoch)
    averaged = run(
        tmp_path / "averaged", samples, 1, 2, 3, point=one_step_an_epoch.model_copy(update={"ema_momentum": 0.75})
    )
    for one, other in zip(steps, averaged, strict=True):
        assert one.curve[-1].training_loss == other.curve[-1].training_loss
    assert steps[-1].curve[-1].validation_loss != averaged[-1].curve[-1].validation_loss
    expected = network_weights(tmp_path / "steps-1", samples, one_step_an_epoch, 1)
    for epochs in (2, 3, 4):
        at = network_weights(tmp_path / f"steps-{epochs}", samples, one_step_an_epoch, epochs)
        expected = [0.75 * average + 0.25 * weight for average, weight in zip(expected, at, strict=True)]
    kept = [value for name, value in arrays(checkpoint_path(tmp_path / "averaged", 0, 4)) if name.startswith("weights")]
    for part, wanted in zip(kept, expected, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=0, atol=1e-6)


def arrays(path: Path) -> list[tuple[str, np.ndarray]]:
    with np.load(path) as content:
        return [(name, content[name]) for name in sorted(content.files)]


def network_weights(
    folder: Path, samples: tuple[Samples, Samples], point: Hyperparameters, epochs: int
) -> list[np.ndarray]:
    """Gives the weights after so many epochs of a training whose average is not kept."""
    description = ModelDescription("cnn", (8, 8, 1), 10, 4, 7, folder)
    run_trial(TrialSpecification(0, point, 0, epochs), description, *samples, 1, "0@host")
    return [value for name, value in arrays(checkpoint_path(folder, 0, epochs)) if name.startswith("weights")]
