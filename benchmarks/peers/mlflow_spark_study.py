"""MLflow's MlflowSparkStudy: Optuna on executors, its storage an MLflow experiment; stopped early by Optuna's pruner."""

from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow.optuna.storage import MlflowStorage
from mlflow.pyspark.optuna.study import MlflowSparkStudy

from benchmarks.peers.spark_session import open_session
from benchmarks.peers.trials import REDUCTION, Epoch, asked, train


def main() -> None:
    """Runs all trials."""
    work = asked()
    session = open_session(work)
    mlflow.set_tracking_uri(f"sqlite:///{Path(work.notes) / 'mlflow.db'}")
    storage = MlflowStorage(mlflow.create_experiment("peer", artifact_location=(Path(work.notes) / "mlflow").as_uri()))
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    study = MlflowSparkStudy("peer", storage, pruner=pruner if work.stopping else optuna.pruners.NopPruner())
    for number in range(len(work.points)):
        study.enqueue_trial({"trial": number})

    def objective(trial: Any) -> float:
        def after_epoch(done: Epoch) -> None:
            trial.report(done.error, done.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        number = trial.suggest_int("trial", 0, len(work.points) - 1)
        return train(work, number, 1, after_epoch if work.stopping else None)

    study.optimize(objective, n_trials=len(work.points))
    session.stop()


if __name__ == "__main__":
    main()
