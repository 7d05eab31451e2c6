"""What an earlier or a later Atoll has left: read, or told in one line that names the file and the field."""

import json
from pathlib import Path

import optuna
import pytest

from jobs.datasets.dataset import Dataset
from jobs.errors import InvalidStudyError
from jobs.experiment import Experiment
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.tuning.storage import study_storage
from jobs.tuning.tune import tune
from jobs.workspace import Workspace
from tests.jobs.tuning.outcomes import DEFAULT, outcome

EXPERIMENT = Experiment.model_validate(
    {
        "name": "digits",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "search": {"learning_rate": [0.001, 0.01]},
        "default": DEFAULT.given(),
        "budget": {"epochs": 1},
    }
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study of one trial."""
    folder = tmp_path / "studies" / "night"
    Leaderboard(
        study="night",
        experiment=EXPERIMENT,
        dataset="digits",
        dataset_fingerprint="0123456789abcdef",
        trials=[outcome(0, 0.9)],
    ).write(folder)
    return folder


def change(study: Path, **fields: object) -> None:
    path = study / "leaderboard.json"
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def test_what_an_earlier_version_did_not_write_yet_is_read_with_its_default(study: Path) -> None:
    change(study, repeats=None)
    assert read_leaderboard(study).repeats == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cost": 3}, "cost: unknown here, as where a later Atoll wrote it"),
        ({"dataset": None}, "dataset: missing, as where an earlier Atoll wrote it"),
        ({"trials": "none"}, "trials: Input should be a valid array"),
    ],
)
def test_what_cannot_be_read_names_the_file_and_the_field(study: Path, fields: dict[str, object], told: str) -> None:
    change(study, **fields)
    with pytest.raises(InvalidStudyError) as refused:
        read_leaderboard(study)
    assert str(refused.value) == (
        f"{study / 'leaderboard.json'}: {told}; accepted: an unedited leaderboard of this version"
    )


def test_a_study_that_a_later_version_began_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "night"
    begun = optuna.create_study(storage=study_storage(folder), study_name="night", direction="maximize")
    later = json.loads(EXPERIMENT.model_dump_json()) | {"patience": 3}
    begun.set_user_attr("atoll.experiment", json.dumps(later))
    dataset = Dataset(
        name="digits", fingerprint="0123456789abcdef", classes=["0", "1"], image_shape=(8, 8, 1), features=None,
        counts={"train": 1, "validation": 1, "test": 1}, held_out=[], sha256={}, quarantined={},
    )  # fmt: skip
    (tmp_path / "dataset.json").write_text(dataset.model_dump_json())
    with pytest.raises(InvalidStudyError, match="study night: patience: unknown here, as where a later Atoll wrote it"):
        tune(EXPERIMENT, tmp_path, "night", Workspace(tmp_path))
