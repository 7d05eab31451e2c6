"""How the labels of an image set change from day to day."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from jobs.labelling.reading import plain, read_quarantine
from jobs.labelling.recent import Recent, published
from jobs.labelling.row_files import RowFiles, published_rows
from jobs.labelling.schema import ModelStamp
from jobs.workspace import Workspace

_COLUMNS = ["label", "score", "model_name", "model_version", "graph_sha256"]
_DICTIONARIES = ["label", "model_name", "graph_sha256"]
_THREADS = 4
_BYTES_OF_A_LABEL = 200


@dataclass(frozen=True)
class DayFigures:
    """One day in numbers.

    Attributes:
        day: Which day.
        labels: Images of each label, the most frequent first.
        mean_score: Mean of the best scores; None without a labelled image.
        models: The models that have labelled it: one, unless somebody has put files together.
        reasons: Images in quarantine for each reason.
    """

    day: date
    labels: dict[str, int]
    mean_score: float | None
    models: tuple[ModelStamp, ...]
    reasons: dict[str, int]

    @property
    def labelled(self) -> int:
        """Images with a label."""
        return sum(self.labels.values())

    @property
    def quarantined(self) -> int:
        """Images without one."""
        return sum(self.reasons.values())

    @property
    def quarantine_share(self) -> float:
        """Share of the day's images that are in quarantine, 0 to 1."""
        return self.quarantined / max(1, self.labelled + self.quarantined)


@dataclass(frozen=True)
class _Labels:
    labels: dict[str, int]
    mean_score: float | None
    models: tuple[ModelStamp, ...]


_recent: Recent[_Labels] = Recent(64 * 1024 * 1024)


def day_figures(workspace: Workspace, image_set: str, days: Iterable[date]) -> list[DayFigures]:
    """Counts what some days hold; kept in memory until a day is published anew.

    Raises:
        InvalidImageSetError: One of them has not been labelled.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda day: _figures(workspace, image_set, day), days))


def _figures(workspace: Workspace, image_set: str, day: date) -> DayFigures:
    def read(files: RowFiles) -> tuple[_Labels, int]:
        found = _count(files.tables(_COLUMNS, read_dictionary=_DICTIONARIES, use_threads=False))
        return found, _BYTES_OF_A_LABEL * (1 + len(found.labels))

    find = partial(published_rows, workspace, "labels", image_set, day)
    labels = published(_recent, find, workspace.labels(image_set, day), read)
    counted = pc.value_counts(read_quarantine(workspace, image_set, day)["reason"]).to_pylist()
    reasons = {one["values"]: one["counts"] for one in counted}
    return DayFigures(day, labels.labels, labels.mean_score, labels.models, reasons)


def _count(tables: list[pa.Table]) -> _Labels:
    if not tables:
        return _Labels({}, None, ())
    table = pa.concat_tables(tables).unify_dictionaries()
    counted = pc.value_counts(plain(table["label"])).to_pylist()
    ranked = sorted(counted, key=lambda one: (-one["counts"], one["values"]))
    stamps = pa.table({name: plain(table[name]) for name in _COLUMNS[2:]})
    models = [ModelStamp(*row.values()) for row in stamps.group_by(_COLUMNS[2:]).aggregate([]).to_pylist()]
    mean = pc.mean(table["score"]).as_py()
    return _Labels(
        {one["values"]: one["counts"] for one in ranked},
        None if mean is None else float(mean),
        tuple(sorted(models, key=lambda one: (one.name, one.version or 0, one.graph_sha256))),
    )
