"""Tuning: from an experiment and its prepared data set to a finished study."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from jobs.datasets.dataset import Dataset, check_split, open_dataset
from jobs.errors import AlreadyRunningError, InvalidDatasetError, InvalidStudyError
from jobs.experiment import Experiment
from jobs.models.hyperparameters import HEAD
from jobs.models.own_code import CODE_FILE, keep_code
from jobs.models.training_cost import training_cost
from jobs.records import mistake_in
from jobs.registry.tracking import StudyTracking
from jobs.results import TunedStudy
from jobs.spark import spark_application
from jobs.tuning.dispatch import SparkTrials, dispatch
from jobs.tuning.finals import Finals
from jobs.tuning.leaderboard import Leaderboard, LiveLeaderboard
from jobs.tuning.mapped_samples import MappedSamples
from jobs.tuning.progress import StudyProgress, describe, duration
from jobs.tuning.report import REPORT_FOLDER, write_report
from jobs.tuning.storage import study_storage
from jobs.tuning.study import Study
from jobs.tuning.trial import ModelDescription, TrialOutcome
from jobs.workspace import Workspace

log = logging.getLogger("atoll")


def tune(experiment: Experiment, dataset_folder: Path, study: str, workspace: Workspace) -> TunedStudy:
    """Runs the trials of a study that have not finished yet, and writes its leaderboard.

    Args:
        experiment: What to search.
        dataset_folder: The prepared data set.
        study: Name of the study; the same name goes on with the same study.
        workspace: Where the study's folder lies.

    Raises:
        AlreadyRunningError: Another driver works on this study.
        InvalidDatasetError: It holds pixels where the model learns from features, or the other way round.
        InvalidStudyError: The name belongs to another experiment or data set, or every trial failed.
        SparkUnavailableError: The cluster cannot run the trials.
    """
    began = time.monotonic()
    dataset = open_dataset(dataset_folder)
    _check_samples(experiment, dataset, dataset_folder)
    folder = workspace.study(study)
    with study_lock(folder):
        if experiment.code:
            keep_code(experiment.code, folder)
        trials = _open_study(study, experiment, dataset, folder)

        def board() -> Leaderboard:
            return Leaderboard(
                study=study,
                experiment=experiment,
                dataset=str(dataset_folder),
                dataset_fingerprint=dataset.fingerprint,
                trials=trials.outcomes(),
                repeats=trials.repeats(),
            )

        with StudyTracking(workspace, experiment.name, study, dataset.fingerprint) as tracking:
            tracking.log_missing(trials.outcomes())
            live = LiveLeaderboard(folder, board)
            live.refresh()
            if Finals(trials, experiment.finalists).unfinished():
                for outcome in _run_trials(trials, experiment, dataset, dataset_folder, folder):
                    if not outcome.repeat:
                        tracking.log_trial(outcome)
                    live.refresh()
            leaderboard = board()
            leaderboard.write(folder)
            write_report(leaderboard, folder / REPORT_FOLDER)
            tracking.log_leaderboard(folder)
        return _result(leaderboard, folder, time.monotonic() - began)


def _open_study(study: str, experiment: Experiment, dataset: Dataset, folder: Path) -> Study:
    try:
        return Study(
            study_storage(folder),
            study,
            experiment,
            dataset.fingerprint,
            cost=lambda point: training_cost(experiment.model, point, dataset.sample_shape, len(dataset.classes)),
        )
    except ValidationError as error:
        raise InvalidStudyError(
            f"study {study}: {mistake_in(error)}; accepted: a study of this version, or a new name"
        ) from None


def _check_samples(experiment: Experiment, dataset: Dataset, folder: Path) -> None:
    if (experiment.model == HEAD) != (dataset.features is not None):
        held, learned = ("features", "pixels") if dataset.features else ("pixels", "features")
        raise InvalidDatasetError(
            f"{folder}: holds {held}, and model {experiment.model!r} learns from {learned}; accepted: what "
            f"prepare_dataset made for experiment {experiment.name}"
        )


@contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Holds the lock of a study, which the kernel frees when its holder dies.

    Raises:
        AlreadyRunningError: Another driver holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise AlreadyRunningError(f"study {folder.name}: another driver works on it; wait for it, or stop it") from None


def _run_trials(
    study: Study,
    experiment: Experiment,
    dataset: Dataset,
    dataset_folder: Path,
    folder: Path,
) -> Iterator[TrialOutcome]:
    description = ModelDescription(
        model=experiment.model,
        sample_shape=dataset.sample_shape,
        classes=len(dataset.classes),
        epochs=experiment.budget.epochs,
        seed=experiment.seed,
        study_folder=folder,
        minutes=experiment.budget.trial_minutes,
        rungs=study.rungs,
    )
    place = dataset_folder.resolve()  # executors have another working directory
    train, validation = (MappedSamples(check_split(place, split)) for split in ("train", "validation"))
    known = study.outcomes()
    log.info(
        "study %s: %s, %d trials, %d known, %s on %d training images",
        folder.name, experiment.strategy, study.size, len(known), experiment.model, len(train.labels),
    )  # fmt: skip
    if experiment.early_stopping:
        log.info("early stopping: trials pause after %s epochs", ", ".join(f"{rung:g}" for rung in study.rungs[:-1]))
    finals = Finals(study, experiment.finalists)
    progress = StudyProgress(study.size, finals.expected_epochs(), [*known, *study.repeats()])
    with (
        spark_application(f"tune {folder.name}") as (context, layout),
        SparkTrials(context, layout, description, train, validation) as trials,
    ):
        if (folder / CODE_FILE).exists():
            context.addPyFile(str(folder / CODE_FILE))
        log.info(
            "%d executor(s) of %d cores at %s, one trial at a time on each",
            trials.slots(),
            layout.cores,
            context.master,
        )
        for outcome in dispatch(finals, trials, trials.slots, progress.start):
            known_now = study.outcome(outcome.number, outcome.repeat)
            progress.finish(known_now)
            _say(known_now)
            log.info(progress.line())
            yield known_now
    if why := study.over():
        log.info("the study ends: %s", why)


def _say(outcome: TrialOutcome) -> None:
    score = f"{outcome.validation_accuracy:.2%}" if outcome.validation_accuracy is not None else outcome.reason
    paused = f", paused after {outcome.epochs:g} epochs" if outcome.state == "paused" else ""
    log.info(
        "trial %d%s: %s, %s%s, %s on executor %s", outcome.number,
        f", seed {outcome.repeat + 1}" if outcome.repeat else "", describe(outcome.hyperparameters), score, paused,
        duration(outcome.seconds), outcome.executor,
    )  # fmt: skip
    if outcome.traceback:
        log.warning("%s", outcome.traceback.rstrip())


def _result(leaderboard: Leaderboard, folder: Path, seconds: float) -> TunedStudy:
    best, default = leaderboard.best(), leaderboard.default()
    if best is None or best.validation_accuracy is None:
        reasons = sorted({trial.reason or "" for trial in leaderboard.trials})
        raise InvalidStudyError(f"study {leaderboard.study}: every trial failed: {'; '.join(reasons[:3])}")
    log.info("best: trial %d, %s, %.2f%%", best.number, describe(best.hyperparameters), best.validation_accuracy * 100)
    return TunedStudy(
        study=leaderboard.study,
        folder=str(folder),
        experiment=leaderboard.experiment.name,
        complete=sum(trial.state == "complete" for trial in leaderboard.trials),
        stopped=sum(trial.state == "paused" for trial in leaderboard.trials),
        failed=sum(trial.state == "failed" for trial in leaderboard.trials),
        best_trial=best.number,
        best_validation_accuracy=best.validation_accuracy,
        default_validation_accuracy=default.validation_accuracy if default else None,
        best_over_seeds=leaderboard.over_seeds(best),
        report=str(folder / REPORT_FOLDER / "report.html"),
        executors=sorted({run.executor for trial in leaderboard.trials for run in trial.runs}),
        seconds=seconds,
    )
