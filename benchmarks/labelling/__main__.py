"""Labelling the same images on the same cores in one run: Atoll, the bare graph on ready tensors, and four other ways.

    python -m benchmarks.labelling --data FOLDER --python PYTHON_OF_THE_PEERS

The folder holds `stock/mobilenet_v2_imagenet_frozen.pb`, `stock/imagenet_labels.txt` and `photos/`. JPEGs of 500 pixels are
made from the photos. Every contestant is a process of its own. `whole` counts its time from start to end; `warm` only that
between its first batch and its last. Atoll runs again after every second one, and each is compared with the run of Atoll next
to it, since the machine may be shared.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.labelling.contest import ATOLL, PEERS, READY, Run, contest
from benchmarks.labelling.images import make_images
from benchmarks.labelling.table import print_table, rows

SLOW = {"sketch_2016": 60}
"""Contestants that are given fewer images, of which they do some four a second."""


def main() -> None:
    """Runs the benchmark and prints its table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with stock/ and photos/")
    parser.add_argument("--python", type=Path, required=True, help="Python of the peers' environment")
    parser.add_argument("--images", type=int, default=1500, help="JPEGs of 500 pixels")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each contestant")
    parser.add_argument("--peers", nargs="+", choices=(*READY, *PEERS), default=[*READY, *PEERS])
    parser.add_argument("--json", type=Path, help="where to write every run")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_images(options.data / "photos", folder / "all", options.images)
        make_images(options.data / "photos", folder / "few", min(options.images, *SLOW.values()))
        for repeat in range(options.repeats):
            for name in lap(options.peers, repeat):
                images = folder / ("few" if name in SLOW else "all")
                run = contest(name, options.data / "stock", images, options.cores, options.python, folder)
                runs.append(run)
                warm, load = f"{run.warm:.1f} images/s warm", f"load {os.getloadavg()[0]:.1f}"
                print(f"{name}: {run.images} images in {run.seconds:.0f} s, {warm}, {load}", flush=True)
                if options.json:
                    write_runs(runs, options.json)
    print_table(rows(runs))


def lap(peers: Sequence[str], repeat: int) -> Iterator[str]:
    """Gives the order of one repeat: each has a run of Atoll right before or after it; odd repeats go backwards."""
    yield ATOLL
    for place, peer in enumerate(peers[:: -1 if repeat % 2 else 1], start=1):
        yield peer
        if place % 2 == 0 or place == len(peers):
            yield ATOLL


def write_runs(runs: Sequence[Run], path: Path) -> None:
    """Writes every run so far, without the labels."""
    every = [{key: value for key, value in asdict(run).items() if key != "labels"} for run in runs]
    path.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "runs": every}, indent=1) + "\n")


if __name__ == "__main__":
    main()
