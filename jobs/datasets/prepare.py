"""From an experiment to its prepared data set."""

import logging
import os
from pathlib import Path

from jobs.datasets.dataset import Dataset, fingerprint, open_dataset, write_dataset
from jobs.datasets.digits import read_digits
from jobs.datasets.mnist import download_mnist, read_mnist
from jobs.datasets.source_images import SourceImages
from jobs.datasets.sources import DigitsSource, ImageFeaturesSource, ImageFolderSource, MnistSource
from jobs.datasets.splits import split_samples
from jobs.experiment import Experiment
from jobs.results import PreparedDataset
from jobs.workspace import Workspace

log = logging.getLogger("atoll")


def prepare(experiment: Experiment, workspace: Workspace) -> PreparedDataset:
    """Reads the source, checks it, splits it and writes it under its fingerprint, unless it is already there.

    Raises:
        InvalidDatasetError: The source is missing, damaged, or too small for its splits.
        InvalidGraphError: The source is a graph's features, and the graph cannot give them.
        SparkUnavailableError: The source is a folder of images, and the cluster gives no executor.
    """
    if isinstance(experiment.dataset, ImageFolderSource):
        from jobs.datasets.image_folder import prepare_image_folder
        from jobs.datasets.pixel_extraction import PixelExtraction

        return _result(*prepare_image_folder(experiment.name, PixelExtraction(experiment.dataset), workspace))
    if isinstance(experiment.dataset, ImageFeaturesSource):
        from jobs.datasets.feature_extraction import FeatureExtraction
        from jobs.datasets.image_folder import prepare_image_folder

        extraction = FeatureExtraction.of(experiment.dataset, workspace)
        return _result(*prepare_image_folder(experiment.name, extraction, workspace))
    source = read_source(experiment.dataset, workspace)
    source.check(f"dataset {experiment.dataset.source}")
    split = experiment.dataset.split
    splits = split_samples(
        source.labels,
        train=split.train,
        validation=split.validation,
        test=split.test,
        test_from=source.test_from,
        seed=experiment.dataset.seed,
    )
    folder = workspace.dataset(experiment.name, fingerprint(source, splits))
    reused = folder.is_dir()
    dataset = open_dataset(folder) if reused else write_dataset(folder, experiment.name, source, splits)
    return _result(dataset, folder, reused)


def read_source(source: DigitsSource | MnistSource, workspace: Workspace) -> SourceImages:
    """Reads all images of a source; MNIST without a folder is downloaded into the workspace first."""
    match source:
        case DigitsSource():
            return read_digits()
        case MnistSource():
            folder = source.folder
            if folder is None:
                folder = workspace.root / "downloads" / "mnist"
                download_mnist(folder, source.mirrors)
            return read_mnist(folder)


def _result(dataset: Dataset, folder: Path, reused: bool) -> PreparedDataset:
    if reused:
        os.utime(folder)  # housekeeping counts the days from its last use
    log.info("data set %s %s, %s", dataset.name, dataset.fingerprint, "found" if reused else f"written to {folder}")
    return PreparedDataset(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        folder=str(folder),
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        features=dataset.features.features if dataset.features else None,
        train=dataset.counts["train"],
        validation=dataset.counts["validation"],
        test=dataset.counts["test"],
        reused=reused,
        quarantined=dataset.quarantined,
    )
