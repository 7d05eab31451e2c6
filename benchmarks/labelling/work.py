"""What one contestant is asked to do, and what it leaves: a row for each image with the time at which it was labelled."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

INPUT, CUT, OUTPUT = "DecodeJpeg/contents:0", "ResizeBilinear:0", "softmax:0"
"""Of the stock graph: one encoded image; a batch of images of one size; a batch of scores."""


@dataclass(frozen=True)
class Work:
    """One run.

    Attributes:
        graph: The frozen graph.
        images: Folder of JPEGs, with subfolders.
        output: Folder for Parquet files of `path`, `label` (index of the best class), `score` and `at` (seconds since 1970).
        cores: How many may be used.
    """

    graph: str
    images: str
    output: str
    cores: int

    def write(self, path: Path) -> None:
        """Writes it for the contestant's program."""
        path.write_text(json.dumps(asdict(self)))

    def paths(self) -> list[str]:
        """Gives the path of each image."""
        return [str(path) for path in sorted(Path(self.images).rglob("*.jpg"))]


def asked() -> Work:
    """Reads the work from the file on the command line."""
    return Work(**json.loads(Path(sys.argv[1]).read_text()))
