"""What a trial costs beyond its training, and what the driver holds, from ten trials to a thousand.

    python -m benchmarks.overhead

The trials are real and trivial: one step of a tiny network on scikit-learn's digits, on real executors. Beyond training is
everything else that keeps an executor from it: dispatch, reading the trial, its checkpoint, the study's storage, MLflow, the
leaderboard. An executor's first trial also imports TensorFlow and compiles the network, which every study pays once; it is left
out. The driver's memory is its Python process's proportional set size; the JVM's heap beside it is bounded by Spark.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.workspace import REPOSITORY
from tests.standalone_cluster import standalone_cluster

MEBIBYTE = 1 << 20


def main() -> None:
    """Runs the benchmark and prints one row of JSON for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--executors", type=int, default=2, help="one for each core leaves none to the driver")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (
        tempfile.TemporaryDirectory() as scratch,
        standalone_cluster(Path(scratch), workers=options.executors) as cluster,
    ):
        for trials in options.trials:
            print(json.dumps(measure(Path(scratch) / str(trials), cluster.master, trials)), flush=True)


def measure(home: Path, master: str, trials: int) -> dict[str, float]:
    """Tunes in a workspace of its own."""
    home.mkdir()
    experiment = {
        "name": "trivial",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "strategy": "sparse",
        "search": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": True}},
        "default": {"layers": 1, "neurons": 1, "learning_rate": 0.01, "batch_size": 1024, "dropout": 0.0},
        "budget": {"epochs": 1, "trials": trials},
    }
    (home / "trivial.yaml").write_text(yaml.safe_dump(experiment))
    submit(home, master, "prepare_dataset", "--result", str(home / "dataset.json"))
    dataset = json.loads((home / "dataset.json").read_text())["folder"]
    memory = submit(home, master, "tune_model", "--dataset", dataset, "--study", "s", "--result", str(home / "r.json"))
    board = read_leaderboard(home / "studies" / "s")
    beyond, in_task = beyond_training(board)
    quarter = max(1, len(memory) // 4)
    return {
        "trials": len(board.trials),
        "beyond_training_seconds": round(statistics.median(beyond), 3),
        "of_that_in_its_task_seconds": round(statistics.median(in_task), 3),
        "driver_peak_mebibytes": round(max(memory) / MEBIBYTE),
        "driver_last_quarter_mebibytes": round(statistics.median(memory[-quarter:]) / MEBIBYTE),
    }


def beyond_training(board: Leaderboard) -> tuple[list[float], list[float]]:
    """Gives for each trial the seconds since the one before it on the same executor ended, less those of its training.

    Beside them, what of it passed within the trial's task: that which is not dispatch.
    """
    ended: dict[str, float] = {}
    beyond, in_task = [], []
    for trial in sorted(board.trials, key=lambda trial: trial.finished_at):
        if trial.executor in ended:
            training = trial.curve[-1].seconds
            beyond.append(trial.finished_at - ended[trial.executor] - training)
            in_task.append(trial.seconds - training)
        ended[trial.executor] = trial.finished_at
    return beyond, in_task


def submit(home: Path, master: str, job: str, *arguments: str) -> list[int]:
    """Runs a job and gives the bytes that its Python driver held, read twice a second."""
    command = [
        "spark-submit", "--master", master, "--conf", "spark.executor.cores=1", "--conf", "spark.executor.memory=1g",
        "--conf", "spark.ui.enabled=false", f"jobs/{job}.py", "--experiment", str(home / "trivial.yaml"),
        "--workspace", str(home), *arguments,
    ]  # fmt: skip
    with (home / f"{job}.log").open("wb") as log:
        driver = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        held: list[int] = []
        ended = threading.Event()
        reader = threading.Thread(target=_read_memory, args=(driver.pid, job, ended, held))
        reader.start()
        status = driver.wait()
        ended.set()
        reader.join()
    if status:
        raise SystemExit(f"{job} ended with {status}:\n{(home / f'{job}.log').read_text()[-4000:]}")
    return held


def _read_memory(pid: int, job: str, ended: threading.Event, held: list[int]) -> None:
    while not ended.wait(0.5):
        with suppress(psutil.NoSuchProcess):
            held += [memory for process in psutil.Process(pid).children() if (memory := _held_by(process, job))]


def _held_by(process: psutil.Process, job: str) -> int:
    try:
        ours = any(part.endswith(f"{job}.py") for part in process.cmdline()[1:2])
        return int(process.memory_full_info().pss) if ours else 0
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0


if __name__ == "__main__":
    main()
