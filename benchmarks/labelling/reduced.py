"""What decoding at a reduced scale saves, and what it does to the scores: on the photos that are large enough.

python -m benchmarks.labelling.reduced --data FOLDER
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.labelling.contest import GRAPH
from benchmarks.labelling.table import Row, print_table
from jobs.models.threads import use_one_core_per_operation

REPEATS = 20


def main() -> None:
    """Prints a table with a row for each photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with stock/ and photos/")
    options = parser.parse_args()
    use_one_core_per_operation(1)
    from jobs.models.frozen_graph import FrozenGraph, fuse_layers_only
    from jobs.models.graph_planning import plan_graph
    from jobs.models.graph_reading import read_graph
    from jobs.models.graph_rewrites import reduction_for

    fuse_layers_only()
    content = (options.data / "stock" / GRAPH).read_bytes()
    plan = plan_graph(content)
    graphs = [FrozenGraph(read_graph(content), replace(plan, reduced_decoding=reduced)) for reduced in (False, True)]
    table: list[Row] = []
    for photo in sorted((options.data / "photos").iterdir()):
        size, encoded = Image.open(photo).size, photo.read_bytes()
        ratio = reduction_for(size, (224, 224))
        if ratio == 1:
            continue
        whole, reduced = (graph.scores([graph.prepare(encoded, size)])[0] for graph in graphs)
        spent = [_milliseconds(graph, encoded, size) for graph in graphs]
        row: Row = {"photo": photo.name, "pixels": f"{size[0]} x {size[1]}", "decoded at": f"1/{ratio}"}
        row |= {"ms": round(spent[0], 1), "ms reduced": round(spent[1], 1)}
        row["same best label"] = "yes" if whole.argmax() == reduced.argmax() else "no"
        row["its score"] = f"{whole.max():.3f} -> {reduced[whole.argmax()]:.3f}"
        row["largest change"] = round(float(np.abs(whole - reduced).max()), 3)
        table.append(row)
    print_table(table)


def _milliseconds(graph: object, encoded: bytes, size: tuple[int, int]) -> float:
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        graph.prepare(encoded, size)
        spent.append(time.perf_counter() - began)
    return 1000 * min(spent)


if __name__ == "__main__":
    main()
