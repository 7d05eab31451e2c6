"""How dispatch would scale to a thousand executors: a simulation with the costs of a trial's dispatch measured in the same run.

    python -m benchmarks.simulation

Measured are the round trip of a trial (trials without work, one after the other on one executor of a real standalone cluster),
the driver's share of it, which it can do for one trial at a time (the same on eight executors that all wait for it), and what
the study itself takes to choose a trial and to save its outcome. The simulation is of a queue: each executor whose trial has
ended waits for the driver, the driver serves one after the other, then the trial travels and runs. It is held against a hundred
waiting trials at a time, really dispatched, since so many sleeping Python workers fit on a small machine; a thousand do not.
"""

import argparse
import heapq
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from pyspark import SparkConf, SparkContext

from benchmarks.scaling import LAYOUT, Waiting
from jobs.experiment import Experiment
from jobs.models.training import EpochScore
from jobs.spark import archive_code, executor_count
from jobs.tuning.dispatch import dispatch
from jobs.tuning.storage import study_storage
from jobs.tuning.study import Study
from jobs.tuning.trial import TrialOutcome, TrialRun, TrialSpecification
from tests.standalone_cluster import standalone_cluster

TRIALS_PER_EXECUTOR = 6
EXECUTORS = (1, 2, 4, 8, 13, 30, 100, 300, 1000)
REAL = 100
"""Trials at a time of the run that the simulation is held against."""

DURATIONS = {"2 to 8 seconds": (2.0, 8.0), "1 to 4 minutes": (60.0, 240.0)}
"""The shortest and the longest trial, in seconds. The second is what trials of `experiments/mnist_2016.yaml` take to a rung."""


@dataclass(frozen=True)
class Cost:
    """What it takes to dispatch a trial, in seconds.

    Attributes:
        round_trip: From the end of one trial to the beginning of the next on an executor that has the driver to itself.
        driver: Of that, what the driver can do for one trial at a time.
        study: What the study takes to choose a trial and to save its outcome, also one at a time.
    """

    round_trip: float
    driver: float
    study: float


def main() -> None:
    """Runs the benchmark and prints one row of JSON for each number of executors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to draw the speed-up")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    one, eight = per_trial(1, 100), per_trial(8, 800)
    cost = Cost(round_trip=one, driver=min(one, eight), study=study_seconds(1000))
    print(json.dumps({name: round(value, 4) for name, value in vars(cost).items()}), flush=True)
    seconds = drawn(REAL, *DURATIONS["2 to 8 seconds"])
    dispatch_only = Cost(cost.round_trip, cost.driver, 0.0)  # the real run beside it has no study either
    real, simulated = speed_up_at_once(seconds), simulate(seconds, REAL, dispatch_only)
    print(json.dumps({"at_once": REAL, "real_speed_up": round(real, 1), "simulated": round(simulated, 1)}), flush=True)
    rows = {
        name: [round(simulate(drawn(executors, *limits), executors, cost), 1) for executors in EXECUTORS]
        for name, limits in DURATIONS.items()
    }
    for place, executors in enumerate(EXECUTORS):
        print(json.dumps({"executors": executors} | {name: row[place] for name, row in rows.items()}), flush=True)
    if options.picture:
        draw(rows, real, options.picture)


def drawn(executors: int, shortest: float, longest: float) -> list[float]:
    """Draws the seconds of each trial."""
    source = random.Random(2016)
    return [source.uniform(shortest, longest) for _ in range(executors * TRIALS_PER_EXECUTOR)]


def simulate(seconds: Sequence[float], executors: int, cost: Cost) -> float:
    """Gives the speed-up over one executor, by an event for each trial that ends.

    Args:
        seconds: Of each trial.
        executors: How many run at once.
        cost: Of each trial's dispatch.
    """
    order = Waiting(list(seconds))
    served = cost.driver + cost.study
    travel = cost.round_trip - cost.driver
    idle = [0.0] * executors  # when each executor began to wait for the driver
    driver_free = last = 0.0
    while (trial := order.next_trial()) is not None:
        driver_free = max(driver_free, heapq.heappop(idle)) + served
        ended = driver_free + travel + seconds[trial.number]
        heapq.heappush(idle, ended)
        last = max(last, ended)
    alone = sum(seconds) + len(seconds) * (cost.round_trip + cost.study)
    return alone / last


def per_trial(executors: int, trials: int) -> float:
    """Gives the seconds per trial of trials that do nothing, on a real standalone cluster."""
    with tempfile.TemporaryDirectory() as scratch, standalone_cluster(Path(scratch), workers=executors) as cluster:
        conf = (
            SparkConf().setMaster(cluster.master).set("spark.executor.cores", "1").set("spark.executor.memory", "512m")
        )
        context = started(conf, Path(scratch))
        try:
            while executor_count(context, LAYOUT) < executors:
                time.sleep(0.1)
            run_all(context, [0.0] * executors * 8, executors)  # all are warm
            return run_all(context, [0.0] * trials, executors) / trials
        finally:
            context.stop()


def speed_up_at_once(seconds: list[float]) -> float:
    """Gives the real speed-up of `REAL` trials at once, all tasks of one process that has so many Python workers."""
    with tempfile.TemporaryDirectory() as scratch:
        context = started(SparkConf().setMaster(f"local[{REAL}]"), Path(scratch))
        try:
            context.parallelize(range(REAL), REAL).foreach(lambda _: time.sleep(10))  # every worker has started
            one = run_all(context, [0.0] * 20, 1) / 20
            return (sum(seconds) + one * len(seconds)) / run_all(context, seconds, REAL)
        finally:
            context.stop()


def started(conf: SparkConf, scratch: Path) -> SparkContext:
    """Starts a Spark application whose executors have Atoll's code."""
    conf.setAppName("simulation").set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false").set(
        "spark.task.cpus", "1"
    )
    context = SparkContext(conf=conf)
    context.setLogLevel("ERROR")
    context.addPyFile(str(archive_code(scratch)))
    return context


def run_all(context: SparkContext, seconds: list[float], at_once: int) -> float:
    """Gives the seconds that Atoll's dispatch takes for trials that wait."""

    def runner(trial: TrialSpecification) -> TrialOutcome:
        context.parallelize([seconds[trial.number]], 1).foreach(time.sleep)
        return outcome(trial)

    began = time.monotonic()
    list(dispatch(Waiting(seconds), runner, lambda: at_once))
    return time.monotonic() - began


def study_seconds(trials: int) -> float:
    """Gives what a saved study takes for each trial: to choose it, and to take note of its outcome."""
    content = {
        "name": "simulation",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "strategy": "sparse",
        "search": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": True}},
        "default": {"layers": 1, "neurons": 1, "learning_rate": 0.01, "batch_size": 32, "dropout": 0.0},
        "budget": {"epochs": 1, "trials": trials},
    }
    with tempfile.TemporaryDirectory() as scratch:
        study = Study(study_storage(Path(scratch)), "simulation", Experiment.model_validate(content), "-")
        began = time.monotonic()
        while trial := study.next_trial():
            study.report(outcome(trial))
        return (time.monotonic() - began) / trials


def outcome(trial: TrialSpecification) -> TrialOutcome:
    """Makes the outcome of a trial that did nothing."""
    score = EpochScore(1.0, 0.5, 0.5, 0.5, 1.0)
    run = TrialRun(executor="-", process=0, started_at=0, finished_at=1, epochs=1)
    return TrialOutcome(
        number=trial.number,
        hyperparameters=trial.hyperparameters,
        state="complete",
        runs=[run],
        curve=[score],
        validation_accuracy=0.5,
    )


def draw(rows: dict[str, list[float]], real: float, path: Path) -> None:
    """Draws the simulated speed-ups beside the ideal and the real run."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(EXECUTORS, EXECUTORS, color="#9aa7b0", linestyle="--", label="ideal")
    for (name, row), color in zip(rows.items(), ("#e0a030", "#1f6f8b"), strict=True):
        axes.plot(EXECUTORS, row, color=color, marker="o", label=f"simulated, trials of {name}")
    axes.scatter(
        [REAL], [real], color="#c0392b", marker="x", zorder=3, label="really dispatched, trials of 2 to 8 seconds"
    )
    axes.set(xlabel="executors", ylabel="speed-up over one", xscale="log", yscale="log")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
