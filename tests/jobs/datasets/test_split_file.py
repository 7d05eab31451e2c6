"""The file of a split is an ordinary `.npz`, and is used where it lies: mapped, shared, never copied."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets.split_file import ALIGNMENT, map_split, split_file
from jobs.errors import InvalidDatasetError
from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.mapped_samples import MappedSamples
from jobs.tuning.trial import ModelDescription, TrialSpecification, run_trial

POINT = Hyperparameters(layers=1, neurons=2, learning_rate=0.01, batch_size=50, dropout=0)


def write(path: Path, count: int, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(count)
    images = draws.integers(0, 256, (count, *image_shape), dtype=np.uint8)
    labels = draws.integers(0, 2, count)
    with split_file(path, image_shape, labels) as pixels:
        for image in images:
            pixels.write(image.tobytes())
    return images, labels


@pytest.mark.parametrize("count", [1, 7, 123_456])
@pytest.mark.parametrize("image_shape", [(1, 1, 1), (3, 5, 3)])
def test_what_is_written_is_read_by_numpy_and_mapped_alike_and_aligned_for_tensors(
    tmp_path: Path, count: int, image_shape: tuple[int, int, int]
) -> None:
    path = tmp_path / "train.npz"
    written = write(path, count, image_shape)
    mapped = map_split(path)
    with np.load(path) as loaded:
        for name, array, seen in zip(("images", "labels"), written, mapped, strict=True):
            assert np.array_equal(loaded[name], array)
            assert np.array_equal(seen, array)
            assert seen.dtype == array.dtype
    assert mapped[0].ctypes.data % ALIGNMENT == 0


def test_features_are_written_and_mapped_as_floats(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(37, 5)).astype(np.float32)
    labels = np.arange(37) % 3
    with split_file(tmp_path / "train.npz", (5,), labels) as stream:
        for vector in features:
            stream.write(vector.tobytes())
    mapped, seen = map_split(tmp_path / "train.npz")
    with np.load(tmp_path / "train.npz") as loaded:
        assert sorted(loaded.files) == ["features", "labels"]
        assert np.array_equal(loaded["features"], features)
    assert (mapped.dtype, mapped.ctypes.data % ALIGNMENT) == (np.float32, 0)
    assert np.array_equal(mapped, features)
    assert np.array_equal(seen, labels)


def test_a_file_that_numpy_wrote_is_mapped_too(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.savez(tmp_path / "train.npz", images=images, labels=np.array([1, 0]))
    assert np.array_equal(map_split(tmp_path / "train.npz")[0], images)


def test_a_missing_or_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.npz"
    with pytest.raises(InvalidDatasetError, match=rf"^{re.escape(str(path))}: no such file or directory; accepted: "):
        map_split(path)
    write(path, 7, (8, 8, 3))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InvalidDatasetError, match=rf"^{re.escape(str(path))}: .*zip.*; accepted: "):
        map_split(path)


def test_a_split_travels_as_its_path(tmp_path: Path) -> None:
    images, labels = write(tmp_path / "train.npz", 500, (16, 16, 3))
    samples = MappedSamples(tmp_path / "train.npz")
    assert np.array_equal(samples.inputs, images)
    sent = pickle.dumps(samples)
    assert len(sent) < 500
    arrived = pickle.loads(sent)  # noqa: S301  # it is our own
    assert np.array_equal(arrived.inputs, images)
    assert np.array_equal(arrived.labels, labels)


def train(folder: Path, name: str) -> tuple[MappedSamples, str | None]:
    """Trains an epoch on a split of a folder; gives the split and, where the trial failed, the reason."""
    samples = MappedSamples(folder / name)
    description = ModelDescription("mlp", (32, 32, 3), 2, epochs=1, seed=0, study_folder=folder / "study")
    trial = TrialSpecification(0, POINT, done=0, until=1)
    return samples, run_trial(trial, description, samples, samples, 1, "here").reason


def test_training_reads_the_pages_of_the_file_and_copies_none_of_them(tmp_path: Path) -> None:
    write(tmp_path / "train.npz", 3000, (32, 32, 3))
    samples, reason = train(tmp_path, "train.npz")
    assert reason is None
    size = samples.inputs.nbytes // 1024
    pages = memory_of(tmp_path / "train.npz")
    assert pages["Rss"] >= size, "all of it has been read, in this mapping"
    assert pages["Anonymous"] == 0, "and all of it is the page cache's, which processes share"

    from jobs.models.training import _tensors

    assert memoryview_address(_tensors(samples)[0]) == samples.inputs.ctypes.data


def test_an_executor_that_does_not_see_the_data_set_says_so_in_its_trial(tmp_path: Path) -> None:
    _, reason = train(tmp_path, "nowhere.npz")
    assert reason == (
        f"InvalidDatasetError: {tmp_path}/nowhere.npz: no such file or directory; accepted: what prepare_dataset wrote, in a "
        "folder that driver and executors mount"
    )


def memory_of(path: Path) -> dict[str, int]:
    """Adds up what the kernel says of this process's mappings of a file, in kB."""
    found: dict[str, int] = {}
    ours = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
            ours = line.endswith(f" {path}")
        elif ours and (said := re.match(r"^(\w+): +(\d+) kB", line)):
            found[said[1]] = found.get(said[1], 0) + int(said[2])
    assert found, f"{path} is not mapped"
    return found


def memoryview_address(tensor: object) -> int:
    return int(np.asarray(memoryview(tensor)).ctypes.data)  # type: ignore[arg-type]
