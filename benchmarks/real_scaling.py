"""How a study of real trials scales from one executor to two, of one core each, on one standalone cluster.

    python -m benchmarks.real_scaling --mnist FOLDER

The same grid, trained to its end, on one executor and on two in turn, since the machine may be shared: what else runs on it
then slows both. Each executor is held to a core of its own. Each run tells the load, and the share of the time in which an
executor had a trial, which no neighbour changes. Beside each pair stands what the machine itself can give: how much more two
processes train which know nothing of each other, each on its core, than one alone, since they share memory. The driver has
no core of its own, so that the second executor shares what the first left to it.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from benchmarks.cores import hold_workers_to_cores
from benchmarks.early_stopping import submit
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from tests.standalone_cluster import standalone_cluster

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

SEARCH = {"learning_rate": [0.0001, 0.0003, 0.001, 0.003, 0.01], "neurons": [32, 64, 128, 256]}
DEFAULT = {"layers": 1, "neurons": 64, "learning_rate": 0.001, "batch_size": 128, "dropout": 0.2}
STUDY = "scaling"
MACHINE_EPOCHS = 8
"""Epochs over which the machine's own ratio is taken."""


@dataclass(frozen=True)
class Run:
    """One study.

    Attributes:
        executors: How many there were.
        program: Seconds from the start of spark-submit to its end.
        trials: Seconds from the start of the first trial on an executor to the end of the last.
        busy: Share of that time in which an executor had a trial, 0 to 1.
        load: Mean number of processes that wanted a core in the minute before the end, on the whole machine.
    """

    executors: int
    program: float
    trials: float
    busy: float
    load: float


def main() -> None:
    """Runs the benchmark, prints one row of JSON for each study and one for the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--repeats", type=int, default=3, help="studies on each number of executors")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runs = []
    with tempfile.TemporaryDirectory() as scratch, standalone_cluster(Path(scratch), workers=2) as cluster:
        hold_workers_to_cores(cluster)
        path = write_experiment(Path(scratch), options.mnist, options.epochs)
        result = Path(scratch) / "dataset.json"
        submit(Path(scratch), "prepare_dataset", "local", "--experiment", path, "--result", result)
        dataset = json.loads(result.read_text())["folder"]
        for repeat in range(options.repeats):
            print(json.dumps({"machine_ratio": round(machine_ratio(dataset), 2)}), flush=True)
            for executors in (1, 2) if repeat % 2 == 0 else (2, 1):
                home = Path(tempfile.mkdtemp(prefix=f"{executors}-", dir=scratch))
                arguments = ("--experiment", path, "--dataset", dataset, "--study", STUDY)
                began = time.monotonic()
                submit(home, "tune_model", cluster.master, *arguments, cores=executors)
                program = time.monotonic() - began
                runs.append(measured(executors, program, read_leaderboard(home / "studies" / STUDY)))
                print(json.dumps({name: round(value, 2) for name, value in vars(runs[-1]).items()}), flush=True)
    print(json.dumps(ratios(runs)))


def write_experiment(folder: Path, mnist: Path, epochs: int) -> Path:
    """Writes the experiment file."""
    experiment = {
        "name": STUDY,
        "dataset": {"source": "mnist", "folder": str(mnist.resolve())},
        "model": "mlp",
        "search": SEARCH,
        "default": DEFAULT,
        "budget": {"epochs": epochs},
    }
    path = folder / "scaling.yaml"
    path.write_text(yaml.safe_dump(experiment))
    return path


def machine_ratio(dataset: str) -> float:
    """Gives how many times as much two processes of their own train as one, each held to a core: 2 where nothing is shared."""
    alone, together = statistics.mean(train_beside(dataset, 1)), statistics.mean(train_beside(dataset, 2))
    return 2 * alone / together


def train_beside(dataset: str, processes: int) -> list[float]:
    """Trains the same network in processes that begin together, and gives the seconds of each."""
    fresh = multiprocessing.get_context("spawn")
    ready = fresh.Barrier(processes)
    cores = sorted(os.sched_getaffinity(0))[:processes]
    with fresh.Pool(processes, _begin_together, (ready,)) as pool:
        return pool.starmap(_train, [(dataset, core) for core in cores], chunksize=1)


_ready: "Barrier"
"""Where the processes wait for each other, in each of them."""


def _begin_together(ready: "Barrier") -> None:
    global _ready
    _ready = ready


def _train(dataset: str, core: int) -> float:
    """Trains on one core, and gives the seconds after the first epoch, which also compiles."""
    os.sched_setaffinity(0, {core})
    from jobs.datasets.dataset import read_split
    from jobs.models.hyperparameters import Hyperparameters
    from jobs.models.network import build_network
    from jobs.models.threads import use_cores
    from jobs.models.training import Samples, Trainer

    use_cores(1)
    train, validation = (Samples(*read_split(Path(dataset), split)) for split in ("train", "validation"))
    point = Hyperparameters(**DEFAULT)
    network = build_network("mlp", point, train.inputs.shape[1:], 10)
    scores = Trainer(network, train, validation, point).train(point.learning_rate, range(1, MACHINE_EPOCHS + 2), 0)
    next(scores)
    _ready.wait()
    began = time.monotonic()
    for _ in scores:
        pass
    return time.monotonic() - began


def measured(executors: int, program: float, board: Leaderboard) -> Run:
    """Reads from a leaderboard how the time was spent.

    Raises:
        SystemExit: The study had another number of executors.
    """
    spent = [run for trial in board.trials for run in trial.runs]
    if len(used := {run.executor for run in spent}) != executors:
        raise SystemExit(f"the study ran on {len(used)} executors; it was to run on {executors}")
    trials = max(run.finished_at for run in spent) - min(run.started_at for run in spent)
    busy = sum(run.seconds for run in spent) / (executors * trials)
    return Run(executors, program, trials, busy, os.getloadavg()[0])


def ratios(runs: list[Run]) -> dict[str, float]:
    """Gives how many times as fast two executors are as one: of the medians, and of the fastest runs."""
    row = {}
    for measure in ("trials", "program"):
        one, two = ([getattr(run, measure) for run in runs if run.executors == executors] for executors in (1, 2))
        row[f"{measure}_median_ratio"] = round(statistics.median(one) / statistics.median(two), 2)
        row[f"{measure}_best_ratio"] = round(min(one) / min(two), 2)
    return row


if __name__ == "__main__":
    main()
