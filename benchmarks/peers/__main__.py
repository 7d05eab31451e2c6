"""The same trials on the same two cores in one run: Atoll, a plain Keras loop, SparkTrials, MlflowSparkStudy, Ray Tune.

    python -m benchmarks.peers --mnist FOLDER --python PYTHON_OF_THE_PEERS

Three rounds. `whole`: every trial is trained to its end. `stopped`: each may stop trials early in the way it has, or with
Keras's `EarlyStopping` where it has none. `lent`: as `whole`, but the peers are lent Atoll's way of training (batches gathered
from tensors, several steps per call), so that only the tools differ. Atoll runs again after every second peer and each peer is
compared with the run of Atoll next to it, since the machine may be shared. Preparing the data set is not counted for anyone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
import yaml

from benchmarks.early_stopping import submit
from benchmarks.peers.picture import draw
from benchmarks.peers.score import Run
from benchmarks.peers.table import ATOLL, print_tables, rows
from benchmarks.peers.trials import REDUCTION, Epoch, Point, Work
from jobs.datasets.dataset import read_split
from jobs.experiment import Experiment
from jobs.tuning.leaderboard import read_leaderboard
from jobs.tuning.study import Study
from jobs.workspace import REPOSITORY
from tests.standalone_cluster import standalone_cluster

PEERS = ("plain_keras", "spark_trials", "mlflow_spark_study", "ray_tune")
ROUNDS = ("whole", "stopped", "lent")
SEARCH = {"learning_rate": [0.0003, 0.001, 0.003, 0.01], "neurons": [32, 64, 128, 256]}
DEFAULT = {"layers": 1, "neurons": 64, "learning_rate": 0.001, "batch_size": 128, "dropout": 0.2}
SEED = 0


@dataclass(frozen=True)
class Arena:
    """What all runs share: a folder, the data set as Atoll prepared it and as one file, and Spark's master."""

    folder: Path
    mnist: Path
    dataset: str
    images: Path
    master: str


def main() -> None:
    """Runs the benchmark and prints its tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--python", type=Path, required=True, help="Python of the peers' environment")
    parser.add_argument("--rounds", nargs="+", choices=ROUNDS, default=list(ROUNDS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--repeats", type=int, default=2, help="runs of each peer in each round")
    parser.add_argument("--epochs", type=int, default=3, help="of the rounds `whole` and `lent`")
    parser.add_argument("--long-epochs", type=int, default=12, help="of the round `stopped`")
    parser.add_argument("--json", type=Path, help="where to write every epoch of every run")
    parser.add_argument("--picture", type=Path, help="where to draw")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as scratch, standalone_cluster(Path(scratch), workers=2) as cluster:
        arena = prepare(Path(scratch), options.mnist, cluster.master)
        for kind in options.rounds:
            epochs = options.long_epochs if kind == "stopped" else options.epochs
            for repeat in range(options.repeats):
                for name in lap(options.peers, repeat):
                    run = contest(arena, name, kind, epochs, options.python)
                    runs.setdefault(kind, []).append(run)
                    print(f"{kind}: {name} took {run.seconds():.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
                    if options.json:
                        write_runs(runs, options.json)
    print_tables(rows(runs))
    if options.picture:
        draw(runs, options.picture)


def lap(peers: Sequence[str], repeat: int) -> Iterator[str]:
    """Gives the order of one repeat: each peer has a run of Atoll right before or after it; odd repeats go backwards."""
    yield ATOLL
    for place, peer in enumerate(peers[:: -1 if repeat % 2 else 1], start=1):
        yield peer
        if place % 2 == 0 or place == len(peers):
            yield ATOLL


def write_runs(runs: dict[str, list[Run]], path: Path) -> None:
    """Writes every epoch of every run so far."""
    every = {kind: [asdict(run) for run in one] for kind, one in runs.items()}
    path.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "runs": every}) + "\n")


def prepare(folder: Path, mnist: Path, master: str) -> Arena:
    """Prepares the data set once, and writes its splits where the peers read them."""
    (folder / "prepared").mkdir()
    path = write_experiment(folder / "prepared", mnist, 1, stopping=False)
    result = folder / "prepared" / "dataset.json"
    submit(folder / "prepared", "prepare_dataset", "local", "--experiment", path, "--result", result)
    dataset = json.loads(result.read_text())["folder"]
    arrays = {}
    for split in ("train", "validation"):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = read_split(Path(dataset), split)
    np.savez(folder / "images.npz", **arrays)
    return Arena(folder, mnist, dataset, folder / "images.npz", master)


def write_experiment(folder: Path, mnist: Path, epochs: int, stopping: bool) -> Path:
    """Writes the experiment file of Atoll's run."""
    experiment = {
        "name": "peers",
        "dataset": {"source": "mnist", "folder": str(mnist.resolve()), "seed": SEED},
        "model": "mlp",
        "search": SEARCH,
        "default": DEFAULT,
        "budget": {"epochs": epochs},
        "seed": SEED,
    }
    if stopping:
        experiment["early_stopping"] = {"first_rung": 1, "reduction": REDUCTION}
    path = folder / "peers.yaml"
    path.write_text(yaml.safe_dump(experiment))
    return path


def contest(arena: Arena, name: str, kind: str, epochs: int, python: Path) -> Run:
    """Runs one contestant once."""
    home = Path(tempfile.mkdtemp(prefix=f"{kind}-{name}-", dir=arena.folder))
    path = write_experiment(home, arena.mnist, epochs, kind == "stopped")
    experiment = Experiment.model_validate(yaml.safe_load(path.read_text()))
    slots = 1 if name == "plain_keras" else 2
    if name == ATOLL:
        began = time.time()
        submit(home, "tune_model", arena.master, "--experiment", path, "--dataset", arena.dataset, "--study", "peers")
        return Run(name, slots, began, time.time(), tuple(trained_by_atoll(home / "studies" / "peers")))
    notes = home / "notes"
    notes.mkdir()
    work = Work(
        points=tuple(points(experiment)),
        epochs=epochs,
        stopping=kind == "stopped",
        fast=kind == "lent",
        seed=SEED,
        images=str(arena.images),
        notes=str(notes),
        master=arena.master,
    )
    work.write(home / "work.json")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [str(python.absolute()), "-m", f"benchmarks.peers.{name}", str(home / "work.json")]
    log = home / "log"
    began = time.time()
    with log.open("w") as output:
        ended = subprocess.run(command, cwd=home, env=environment, stdout=output, stderr=output, check=False)
    took = time.time()
    if ended.returncode:
        raise SystemExit(f"{name} ended with {ended.returncode}:\n{log.read_text()[-4000:]}")
    lines = [line for note in sorted(notes.glob("*.jsonl")) for line in note.read_text().splitlines()]
    run = Run(name, slots, began, took, tuple(Epoch(**json.loads(line)) for line in lines))
    if len(run.ends()) != len(work.points):
        raise SystemExit(f"{name} ran {len(run.ends())} of {len(work.points)} trials:\n{log.read_text()[-4000:]}")
    return run


def points(experiment: Experiment) -> Iterator[Point]:
    """Gives the trials in the order in which Atoll begins them."""
    study = Study(optuna.storages.InMemoryStorage(), "order", experiment, "-")
    while trial := study.next_trial():
        chosen = trial.hyperparameters
        yield Point(chosen.neurons, chosen.learning_rate, chosen.batch_size, chosen.dropout)


def trained_by_atoll(study: Path) -> Iterator[Epoch]:
    """Reads from a leaderboard when each epoch ended."""
    for trial in read_leaderboard(study).trials:
        done = 0.0
        for run in trial.runs:
            scores = [score for score in trial.curve if done < score.epoch <= done + run.epochs]
            for score in scores:
                at = run.finished_at - (scores[-1].seconds - score.seconds)
                yield Epoch(trial.number, score.epoch, at, 1 - score.validation_accuracy)
            done += run.epochs


if __name__ == "__main__":
    main()
