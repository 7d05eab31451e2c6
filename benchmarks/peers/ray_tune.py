"""Ray Tune on both cores, one for each trial, with its asynchronous successive halving where trials may be stopped.

Actors are used again for the next trial, so that TensorFlow is imported once on each core and not once a trial.
"""

import os
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from benchmarks.peers.trials import REDUCTION, Epoch, asked, train


def main() -> None:
    """Runs all trials."""
    work = asked()
    ray.init(num_cpus=2, include_dashboard=False, logging_level="warning", log_to_driver=False)

    def trial(config: dict[str, Any]) -> None:
        def after_epoch(done: Epoch) -> None:
            tune.report({"error": done.error})

        train(work, config["trial"], 1, after_epoch)

    scheduler = ASHAScheduler(max_t=work.epochs, grace_period=1, reduction_factor=REDUCTION) if work.stopping else None
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"trial": tune.grid_search(list(range(len(work.points))))},
        tune_config=tune.TuneConfig(metric="error", mode="min", scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=work.notes, verbose=0),
    )
    tuner.fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
