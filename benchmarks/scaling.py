"""How dispatch scales: trials that wait instead of computing, on real standalone clusters of more and more executors.

    python -m benchmarks.scaling

Waiting trials need no core, so 13 executors fit on a small machine and only dispatch is measured. The durations are spread as
those of real trials are; the ones expected to be longest come first, with expectations that are off by up to a fifth. The
clock runs from the first trial to the last outcome, with all executors up. The naive way, beside it, is one Spark job over all
trials in equal shares.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from matplotlib.figure import Figure
from pyspark import SparkConf, SparkContext

from jobs.models.hyperparameters import Hyperparameters
from jobs.spark import ExecutorLayout, archive_code, executor_count
from jobs.tuning.dispatch import dispatch
from jobs.tuning.trial import TrialOutcome, TrialRun, TrialSpecification
from tests.standalone_cluster import standalone_cluster

POINT = Hyperparameters(layers=1, neurons=1, learning_rate=0.1, batch_size=1, dropout=0.0)
LAYOUT = ExecutorLayout(cores=1, local=False)


class Waiting:
    """A strategy that hands out trials, the longest expected first."""

    def __init__(self, seconds: list[float]) -> None:
        blurred = random.Random(1)
        order = sorted(range(len(seconds)), key=lambda number: -seconds[number] * blurred.uniform(0.8, 1.2))
        self._left = order[::-1]

    def next_trial(self) -> TrialSpecification | None:
        """Gives the next trial."""
        return TrialSpecification(self._left.pop(), POINT, 0, 1) if self._left else None

    def report(self, outcome: TrialOutcome) -> None:
        """Learns nothing."""


def main() -> None:
    """Runs the benchmark and prints one row of JSON for each number of executors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executors", type=int, nargs="+", default=[1, 2, 4, 8, 13])
    parser.add_argument("--trials", type=int, default=78)
    parser.add_argument("--picture", type=Path, help="where to draw the speed-up")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    drawn = random.Random(2016)
    seconds = [drawn.uniform(2, 8) for _ in range(options.trials)]
    took = {}
    for executors in sorted(options.executors, reverse=True):
        took[executors] = measure(executors, seconds)
        print(f"{executors} executors: {took[executors][0]:.1f} s, naive {took[executors][1]:.1f} s", flush=True)
    rows: list[dict[str, float]] = []
    alone = took[min(took)][0] * min(took)
    for executors, (ours, naive) in sorted(took.items()):
        rows.append(
            row := {
                "executors": executors,
                "speed_up": round(alone / ours, 2),
                "naive_speed_up": round(alone / naive, 2),
                "overhead_per_trial": round((ours * executors - sum(seconds)) / len(seconds), 3),
            }
        )
        print(json.dumps(row), flush=True)
    if options.picture:
        draw(rows, options.picture)


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Draws the speed-up against the number of executors, beside the ideal and the naive way."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    executors = [row["executors"] for row in rows]
    axes.plot([1, max(executors)], [1, max(executors)], color="#9aa7b0", linestyle="--", label="ideal")
    axes.plot(executors, [row["speed_up"] for row in rows], color="#1f6f8b", marker="o", label="Atoll's dispatch")
    axes.plot(
        executors, [row["naive_speed_up"] for row in rows], color="#e0a030", marker="o", label="one job, equal shares"
    )
    axes.scatter([13], [7], color="#c0392b", marker="x", label="2016 article, 13 nodes, real trials")
    axes.set_xlabel("executors")
    axes.set_ylabel("speed-up over one")
    axes.set_xticks(executors)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def measure(executors: int, seconds: list[float]) -> tuple[float, float]:
    """Gives the seconds from the first trial to the last outcome, by dispatch and by the naive way."""
    with tempfile.TemporaryDirectory() as scratch, standalone_cluster(Path(scratch), workers=executors) as cluster:
        conf = SparkConf().setMaster(cluster.master).setAppName("scaling").set("spark.ui.enabled", "false")
        conf.set("spark.executor.cores", "1").set("spark.executor.memory", "512m").set("spark.task.cpus", "1")
        context = SparkContext(conf=conf)
        try:
            context.addPyFile(str(archive_code(Path(scratch))))
            while executor_count(context, LAYOUT) < executors:
                time.sleep(0.1)
            context.parallelize(range(executors * 4), executors * 4).foreach(lambda _: time.sleep(0.5))  # all are warm

            def runner(trial: TrialSpecification) -> TrialOutcome:
                wait = seconds[trial.number]
                context.parallelize([wait], 1).foreach(time.sleep)
                run = TrialRun(executor="-", process=0, started_at=0, finished_at=wait, epochs=1)
                return TrialOutcome(number=trial.number, hyperparameters=POINT, state="complete", runs=[run])

            began = time.monotonic()
            list(dispatch(Waiting(seconds), runner, lambda: executors))
            ours = time.monotonic() - began
            if executors == 1:
                return ours, ours  # one after the other, whichever way
            began = time.monotonic()
            context.parallelize(seconds, executors).foreach(time.sleep)
            return ours, time.monotonic() - began
        finally:
            context.stop()


if __name__ == "__main__":
    main()
