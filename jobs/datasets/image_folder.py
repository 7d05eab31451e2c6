"""From a folder of images, one sub-folder per class, to a prepared data set, on Spark."""

import errno
import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from jobs.datasets.class_folders import ClassFolders, list_class_folders, named
from jobs.datasets.content_splits import split_by_content
from jobs.datasets.dataset import SPLITS, Dataset, open_dataset, write_manifest
from jobs.datasets.extraction import Extraction, Extractor, FolderSource, Outcomes
from jobs.datasets.folder_report import IMAGES_FILE, QUARANTINE_FILE, check_share, images_table, quarantine_table
from jobs.datasets.folder_tasks import HashPartition, Quarantined, Shard
from jobs.datasets.split_file import split_file
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError
from jobs.executor_watch import watched_executors
from jobs.files import staged_folder, write_atomically
from jobs.labelling.progress import logged_progress
from jobs.printing import printable
from jobs.spark import ExecutorLayout, executor_count, spark_application
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from pyspark import SparkContext

log = logging.getLogger("atoll")

_PER_PARTITION = 256  # images; small enough to see progress, and a task costs some 50 ms on top of them


def prepare_image_folder(name: str, extraction: Extraction, workspace: Workspace) -> tuple[Dataset, Path, bool]:
    """Lists the images, takes their digests on the executors, and decodes them there unless the data set is there already.

    The driver holds names and digests, never the pixels of more than one image.

    Args:
        name: Name of the experiment.
        extraction: What to take from the images of which folder.
        workspace: Where the data set goes; every executor mounts it.

    Returns:
        Its manifest, its folder, and whether it was there already.

    Raises:
        InvalidDatasetError: The folder does not hold classes, more images than accepted cannot be used, or a class has too
            few that can.
        InvalidGraphError: The graph that is to give features cannot.
        SparkUnavailableError: The cluster gives no executor.
    """
    source = extraction.source
    listed = list_class_folders(source.folder.expanduser().resolve())
    log.info("%s: %d files in %d classes", listed.root, len(listed.names), len(listed.classes))
    if listed.beside:
        log.info("not used, since they lie in no class: %s", named(listed.beside))
    with spark_application(f"prepare {name}") as (context, layout), watched_executors(context, layout):
        names = context.parallelize(listed.names, _partitions(listed, executor_count(context, layout)))
        digests: list[bytes | Quarantined] = names.mapPartitions(HashPartition(listed.root)).collect()
        folder = workspace.dataset(name, fingerprint(extraction, listed, digests))
        _split(listed, digests, source)  # a class that is too small is told before anything is decoded
        with _alone(folder):
            reused = folder.is_dir()
            if reused:
                dataset = open_dataset(folder)
                check_share(dataset.quarantined, len(listed.names), source.max_quarantined, folder / QUARANTINE_FILE)
            else:
                extractor = extraction.start(context, layout, len(listed.names))
                dataset = _write(context, layout, listed, digests, source, extractor, folder)
    if dataset.quarantined:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(dataset.quarantined.items()))
        log.warning("of %d images some cannot be used: %s; see %s", len(listed.names), counts, folder / QUARANTINE_FILE)
    return dataset, folder, reused


def fingerprint(extraction: Extraction, listed: ClassFolders, digests: Outcomes) -> str:
    """Computes the fingerprint: sha256 over names and contents of all files and what is made of them, 16 digits of it."""
    source, (form, taken) = extraction.source, extraction.said
    digest = hashlib.sha256(form)
    said = (taken, source.shares, source.seed, source.max_megapixels, source.max_megabytes, listed.classes)
    digest.update(repr(said).encode())
    for name, content in zip(listed.names, digests, strict=True):
        path = name.encode("utf-8", "surrogateescape")
        digest.update(len(path).to_bytes(8, "big") + path)
        digest.update(hashlib.sha256().digest() if isinstance(content, Quarantined) else content)
    return digest.hexdigest()[:16]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits while another driver writes this data set, and removes what is left of one that died; it may be large."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        for left in folder.parent.glob(f".{folder.name}.*"):
            if left.is_dir():
                log.info("removing %s, which a driver left that died", left)
                shutil.rmtree(left, ignore_errors=True)
        yield


def _write(
    context: "SparkContext", layout: ExecutorLayout, listed: ClassFolders, digests: Outcomes, source: FolderSource,
    extractor: Extractor, folder: Path,
) -> Dataset:  # fmt: skip
    """Decodes into shards, splits, and puts the splits together; all of it appears at once, or nothing."""
    with staged_folder(folder) as staged:
        shards = staged / "shards"
        shards.mkdir()
        done = _extract(context, layout, listed, extractor, shards)
        outcomes = _settled(listed, digests, [outcome for shard in done for outcome in shard.outcomes])
        report = quarantine_table(listed, outcomes)
        quarantined: dict[str, int] = dict(
            Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Quarantined))
        )
        apart = folder.with_name(f"{folder.name}.{QUARANTINE_FILE}")
        if quarantined:
            write_atomically(apart, report)  # it stays where the data set is refused
        check_share(quarantined, len(outcomes), source.max_quarantined, apart)
        try:
            splits = _split(listed, outcomes, source)
        except InvalidDatasetError as error:  # there were enough before they were decoded
            raise InvalidDatasetError(f"{error}; what cannot be used is in {apart}") from None
        _join(shards, done, outcomes, splits, np.array(listed.labels, np.int64), extractor, staged)
        shutil.rmtree(shards)
        (staged / QUARANTINE_FILE).write_text(report, encoding="utf-8")
        (staged / IMAGES_FILE).write_text(images_table(listed, outcomes, splits), encoding="utf-8")
        kept = extractor.finish(staged, listed, outcomes, splits)
        dataset = write_manifest(staged, folder.parent.name, folder.name, listed.classes, kept, splits, quarantined)
    apart.unlink(missing_ok=True)
    return dataset


def _extract(
    context: "SparkContext", layout: ExecutorLayout, listed: ClassFolders, extractor: Extractor, shards: Path
) -> list[Shard]:
    done, quarantined = context.accumulator(0), context.accumulator(0)
    task = extractor.task(listed.root, shards, done, quarantined)
    partitions = _partitions(listed, executor_count(context, layout))
    with logged_progress(len(listed.names), lambda: done.value, lambda: quarantined.value):
        try:
            written: list[Shard] = context.parallelize(listed.names, partitions).mapPartitions(task).collect()
        except Exception as error:
            if "No space left on device" in str(error):  # on an executor, whose errors come as text
                raise OSError(errno.ENOSPC, "No space left on device", str(shards)) from None
            raise
    return written


def _partitions(listed: ClassFolders, executors: int) -> int:
    return min(len(listed.names), max(executors, -(-len(listed.names) // _PER_PARTITION)))


def _settled(listed: ClassFolders, digests: Outcomes, decoded: Outcomes) -> list[bytes | Quarantined]:
    """Puts the images aside that lie in two classes, and checks that no file has changed since its digest was taken.

    Raises:
        InvalidDatasetError: One has.
    """
    labels: dict[bytes, set[int]] = {}
    for digest, label in zip(digests, listed.labels, strict=True):
        if isinstance(digest, bytes):
            labels.setdefault(digest, set()).add(label)
    settled: list[bytes | Quarantined] = []
    for name, before, now in zip(listed.names, digests, decoded, strict=True):
        gone = isinstance(now, Quarantined) and now.reason == "fetch_failed"
        if isinstance(before, bytes) == gone or (isinstance(now, bytes) and now != before):
            raise InvalidDatasetError(
                f"{listed.root / printable(name)}: changed while the data set was prepared; accepted: a folder at rest"
            )
        if isinstance(now, bytes) and len(labels[now]) > 1:
            classes = " and ".join(listed.classes[label] for label in sorted(labels[now]))
            now = Quarantined("two_classes", f"the same bytes lie in {classes}")
        settled.append(now)
    return settled


def _split(listed: ClassFolders, outcomes: Outcomes, source: FolderSource) -> SplitIndices:
    """Splits the images that can be used; gives places in the list of all of them."""
    usable = np.array([place for place, outcome in enumerate(outcomes) if isinstance(outcome, bytes)], np.int64)
    splits = split_by_content(
        [outcome for outcome in outcomes if isinstance(outcome, bytes)],
        [listed.labels[place] for place in usable],
        listed.classes,
        shares=source.shares,
        seed=source.seed,
    )
    return SplitIndices(usable[splits.train], usable[splits.validation], usable[splits.test], usable[splits.held_out])


def _join(
    shards: Path, done: Sequence[Shard], outcomes: Outcomes, splits: SplitIndices, labels: NDArray[np.int64],
    extractor: Extractor, staged: Path,
) -> None:  # fmt: skip
    """Copies what was taken from each image from its shard to the file of its split."""
    with ExitStack() as open_files:
        target: dict[int, IO[bytes]] = {}
        for split in SPLITS:
            places = getattr(splits, split)
            inputs = open_files.enter_context(split_file(staged / f"{split}.npz", extractor.shape, labels[places]))
            target |= dict.fromkeys(places.tolist(), inputs)
        place = 0
        for shard in done:
            with (shards / shard.file).open("rb") as taken:
                for outcome in shard.outcomes:
                    if isinstance(outcome, bytes):
                        sample = taken.read(extractor.size)
                        if place in target:
                            target[place].write(sample)
                    place += 1
