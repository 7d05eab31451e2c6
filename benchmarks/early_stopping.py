"""What early stopping saves: the same grid to its end and by promotion, on real executors, over several seeds.

    python -m benchmarks.early_stopping --mnist FOLDER

Both runs train the same networks from the same weights in the same order, so the only difference is what is trained.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.workspace import REPOSITORY
from tests.standalone_cluster import standalone_cluster

GRID = {"learning_rate": {"low": 0.0001, "high": 0.03, "log": True, "steps": 6}, "neurons": [32, 64, 128, 256]}
DEFAULT = {"layers": 1, "neurons": 64, "learning_rate": 0.0001, "batch_size": 128, "dropout": 0.2}
EPOCHS = 27


@dataclass(frozen=True)
class Comparison:
    """Both runs of one seed."""

    seed: int
    whole: Leaderboard
    stopped: Leaderboard

    def row(self) -> dict[str, float]:
        """Gives validation errors in percent, and what the stopped run cost as a share of the whole one."""
        errors = [100 * (1 - (board.best().validation_accuracy or 0)) for board in (self.whole, self.stopped)]
        epochs = [sum(trial.epochs for trial in board.trials) for board in (self.whole, self.stopped)]
        seconds = [sum(trial.seconds for trial in board.trials) for board in (self.whole, self.stopped)]
        return {
            "seed": self.seed,
            "trials": len(self.whole.trials),
            "error_whole": round(errors[0], 3),
            "error_stopped": round(errors[1], 3),
            "points_lost": round(errors[1] - errors[0], 3),
            "share_of_epochs": round(epochs[1] / epochs[0], 3),
            "share_of_seconds": round(seconds[1] / seconds[0], 3),
        }


def main() -> None:
    """Runs the benchmark and prints one row of JSON for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-rung", type=float, default=1)
    parser.add_argument("--reduction", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the leaderboards, which benchmarks.replay reads")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    stopping = {"first_rung": options.first_rung, "reduction": options.reduction}
    with tempfile.TemporaryDirectory() as scratch, standalone_cluster(Path(scratch), workers=2) as cluster:
        for seed in range(options.seeds):
            boards = [
                run(Path(scratch) / f"{kind}-{seed}", cluster.master, options.mnist, seed, early)
                for kind, early in (("stopped", stopping), ("whole", None))
            ]
            print(json.dumps(Comparison(seed, boards[1], boards[0]).row()), flush=True)
            if options.keep:
                boards[1].write(options.keep / f"whole-{seed}")
                boards[0].write(options.keep / f"stopped-{seed}")


def run(home: Path, master: str, mnist: Path, seed: int, early_stopping: dict[str, float] | None) -> Leaderboard:
    """Prepares and tunes in a workspace of its own."""
    home.mkdir()
    experiment = {
        "name": "grid",
        "dataset": {"source": "mnist", "folder": str(mnist.resolve()), "seed": seed},
        "model": "mlp",
        "search": GRID,
        "default": DEFAULT,
        "budget": {"epochs": EPOCHS},
        "seed": seed,
    }
    if early_stopping:
        experiment["early_stopping"] = early_stopping
    path = home / "grid.yaml"
    path.write_text(yaml.safe_dump(experiment))
    submit(home, "prepare_dataset", "local", "--experiment", path, "--result", home / "dataset.json")
    dataset = json.loads((home / "dataset.json").read_text())["folder"]
    submit(home, "tune_model", master, "--experiment", path, "--dataset", dataset, "--study", "grid")
    return read_leaderboard(home / "studies" / "grid")


def submit(home: Path, job: str, master: str, *arguments: object, cores: int | None = None) -> None:
    """Runs a job by spark-submit on executors of one core, on so many or all; its output is kept beside the workspace."""
    command = [
        "spark-submit",
        "--master",
        master,
        "--conf",
        "spark.executor.cores=1",
        "--conf",
        "spark.ui.enabled=false",
    ]
    if cores is not None:
        command += ["--conf", f"spark.cores.max={cores}"]
    command += [f"jobs/{job}.py", *map(str, arguments), "--workspace", str(home)]
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
    with (home / f"{job}.log").open("w") as log:
        subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)


if __name__ == "__main__":
    main()
