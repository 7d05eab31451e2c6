"""A study is not begun on samples that its model cannot learn from."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.datasets.dataset import SPLITS, FeatureGraph, ImageShape, write_manifest
from jobs.datasets.split_file import split_file
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError
from jobs.experiment import Experiment
from jobs.tuning.tune import tune
from jobs.workspace import Workspace

POINT = {"layers": 1, "neurons": 4, "learning_rate": 0.01, "batch_size": 2, "dropout": 0.0}
FEATURES = {"source": "image_features", "folder": "/data", "graph": "/net.pb", "tensor": "pool:0"}
GRAPH = FeatureGraph(
    model="net", version=None, sha256="0", input_tensor="contents:0", tensor="pool:0", features=3, pixels=None,
    test_images_sha256="0",
)  # fmt: skip


def dataset(folder: Path, kept: ImageShape | FeatureGraph) -> Path:
    """A data set of three samples, one in each split."""
    folder.mkdir()
    shape = (kept.features,) if isinstance(kept, FeatureGraph) else kept
    for split in SPLITS:
        with split_file(folder / f"{split}.npz", shape, np.zeros(1, np.int64)) as inputs:
            inputs.write(bytes(int(np.prod(shape)) * (4 if isinstance(kept, FeatureGraph) else 1)))
    places = [np.array([place]) for place in range(3)]
    write_manifest(folder, "mine", folder.name, ["a", "b"], kept, SplitIndices(*places, np.arange(0)), {})
    return folder


def experiment(model: str, source: dict[str, Any]) -> Experiment:
    given = {"name": "mine", "dataset": source, "model": model, "default": POINT, "search": {"dropout": [0.0]}}
    return Experiment.model_validate(given | {"budget": {"epochs": 1}})


@pytest.mark.parametrize(
    ("kept", "model", "source", "said"),
    [
        (GRAPH, "mlp", {"source": "digits"}, "holds features, and model 'mlp' learns from pixels"),
        ((8, 8, 1), "head", FEATURES, "holds pixels, and model 'head' learns from features"),
    ],
)
def test_samples_of_the_other_kind_are_refused_before_a_study_is_begun(
    tmp_path: Path, kept: ImageShape | FeatureGraph, model: str, source: dict[str, Any], said: str
) -> None:
    folder = dataset(tmp_path / "prepared", kept)
    with pytest.raises(
        InvalidDatasetError,
        match=f"^{re.escape(str(folder))}: {said}; accepted: what prepare_dataset made for experiment mine$",
    ):
        tune(experiment(model, source), folder, "first", Workspace(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_a_manifest_of_neither_pixels_nor_features_is_refused(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "prepared", (8, 8, 1))
    manifest = folder / "dataset.json"
    manifest.write_text(manifest.read_text().replace("[\n    8,\n    8,\n    1\n  ]", "null"))
    with pytest.raises(InvalidDatasetError, match="one of them is needed; accepted: an unedited manifest"):
        tune(experiment("mlp", {"source": "digits"}), folder, "first", Workspace(tmp_path / "home"))
