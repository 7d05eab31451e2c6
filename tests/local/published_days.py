"""Days of labels that name the run which gave them, published as executors and driver do, without Spark."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.labelling.destination import Destination
from jobs.labelling.partition import PartFiles
from jobs.labelling.publish import Staged, stage
from jobs.labelling.schema import LABELS, QUARANTINE
from jobs.workspace import Workspace

DAY = date(2026, 3, 1)
IMAGES = ("one.png", "two.png", "cut.png")


def staged_by(destination: Destination, label: str) -> tuple[Staged, list[PartFiles]]:
    """Stages a day, as executors do: every label, and the quarantine's detail, name the run that gave them."""
    staged = stage(destination)
    top = [{"label": label, "score": 1.0}]
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    rows = [[name, label, 1.0, top, "tones", 1, "0" * 64, 8, 8, moment] for name in IMAGES[:2]]
    write(staged.labels / "part-0.parquet", rows, LABELS)
    write(staged.quarantine / "part-0.parquet", [[IMAGES[2], "not_an_image", label]], QUARANTINE)
    return staged, [PartFiles("part-0.parquet", "part-0.parquet")]


def write(path: Path, rows: Sequence[Sequence[object]], schema: pa.Schema) -> None:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    pq.write_table(pa.table(columns, schema), path)


def runs_seen(folder: Path) -> tuple[set[str], set[str]]:
    """Which runs a reader of a copy sees, in labels and in quarantine."""
    day = Destination.of_day(Workspace(folder), "tones", DAY)
    labels = pq.read_table(day.labels, partitioning=None)["label"].to_pylist()
    details = pq.read_table(day.quarantine, partitioning=None)["detail"].to_pylist()
    assert (len(labels), len(details)) == (2, 1)
    return set(labels), set(details)
