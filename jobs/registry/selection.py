"""Selection: the best trial on validation, frozen, tested once, and registered as a version of the model."""

import logging
from pathlib import Path

from jobs.datasets.dataset import Dataset, open_dataset, read_feature_graph
from jobs.errors import InvalidStudyError
from jobs.files import write_atomically
from jobs.registry.final_test import FinalTest, read_final_test, run_final_test
from jobs.registry.mlflow_client import experiment_id, open_client
from jobs.registry.tracking import log_report, study_run
from jobs.registry.versions import GRAPH_FILE, LABELS_FILE, find_registered, register
from jobs.results import SelectedModel, TestScore
from jobs.tuning.confidence import interval_of_share
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.tuning.progress import describe
from jobs.tuning.report import REPORT_FOLDER, write_report
from jobs.tuning.trial import TrialOutcome, checkpoint_path
from jobs.tuning.tune import study_lock
from jobs.workspace import Workspace

log = logging.getLogger("atoll")


def select(study: str, workspace: Workspace) -> SelectedModel:
    """Registers the best trial of a study as a new version of the experiment's model.

    The choice is made on the validation split alone. Then the test split is read once, for the winner, for the default
    hyperparameters and for the reigning champion. Run again, it finds what it did and reads nothing a second time.

    Raises:
        AlreadyRunningError: Another driver works on this study.
        InvalidStudyError: There is no such study, or none of its trials is complete.
    """
    folder = workspace.study(study)
    leaderboard = read_leaderboard(folder)
    with study_lock(folder):
        winner, default = leaderboard.best(), leaderboard.default()
        if winner is None:
            raise InvalidStudyError(f"study {study}: no trial is complete; accepted: a study with one that is")
        log.info("winner on validation: trial %d, %s", winner.number, describe(winner.hyperparameters))
        dataset_folder = Path(leaderboard.dataset)
        dataset = open_dataset(dataset_folder)
        model = folder / "model"
        graph = _freeze(leaderboard, winner, dataset, folder)
        if read_final_test(model) is None:
            write_atomically(model / GRAPH_FILE, graph)
            write_atomically(model / LABELS_FILE, "".join(f"{name}\n" for name in dataset.classes))
            baseline = graph if default == winner else None
            if default is not None and default.state == "complete" and baseline is None:
                baseline = _freeze(leaderboard, default, dataset, folder)
            name = leaderboard.experiment.name
            run_final_test(model, name, dataset_folder, dataset, graph, baseline, workspace)
        selected = _register(leaderboard, winner, default, model, workspace)
        write_report(leaderboard, folder / REPORT_FOLDER, selected)
        client = open_client(workspace)
        experiment = experiment_id(client, workspace, leaderboard.experiment.name)
        log_report(client, study_run(client, experiment, study, leaderboard.dataset_fingerprint), folder)
        return selected


def score(trial: TrialOutcome, predictions: list[int], labels: list[int]) -> TestScore:
    """Counts what a trial got right on the test split."""
    correct = sum(predicted == label for predicted, label in zip(predictions, labels, strict=True))
    return TestScore(
        trial=trial.number,
        hyperparameters=trial.hyperparameters.model_dump(),
        correct=correct,
        errors=len(labels) - correct,
        accuracy=correct / len(labels),
        interval=interval_of_share(correct, len(labels)),
    )


def _freeze(leaderboard: Leaderboard, trial: TrialOutcome, dataset: Dataset, folder: Path) -> bytes:
    from jobs.models.freezing import freeze
    from jobs.models.joining import join_head
    from jobs.models.network import build_network
    from jobs.models.own_code import use_code
    from jobs.models.training import load_weights

    use_code(folder)
    network = build_network(
        leaderboard.experiment.model, trial.hyperparameters, dataset.sample_shape, len(dataset.classes)
    )
    load_weights(network, checkpoint_path(folder, trial.number, trial.epochs))
    if dataset.image_shape:
        return freeze(network, dataset.image_shape)
    graph, features = read_feature_graph(Path(leaderboard.dataset))
    return join_head(network, graph, features.input_tensor, features.tensor, features.pixels)


def _register(
    leaderboard: Leaderboard, winner: TrialOutcome, default: TrialOutcome | None, model: Path, workspace: Workspace
) -> SelectedModel:
    test = read_final_test(model)
    if test is None:
        raise InvalidStudyError(f"{model}: the record of the final test is gone; run select_model again")
    won, baseline = _scores(test, winner, default)
    name = leaderboard.experiment.name
    version = find_registered(name, leaderboard.study, workspace) or register(
        name,
        leaderboard.study,
        leaderboard.dataset_fingerprint,
        model,
        {"test_accuracy": won.accuracy, "test_errors": float(won.errors)}
        | (
            {"default_test_accuracy": baseline.accuracy, "default_test_errors": float(baseline.errors)}
            if baseline
            else {}
        ),
        workspace,
    )
    avoided = 1 - won.errors / baseline.errors if baseline and baseline.errors else None
    log.info("registered as %s version %d; test accuracy %.2f%%", name, version.version, won.accuracy * 100)
    if baseline:
        log.info("default hyperparameters: test accuracy %.2f%%", baseline.accuracy * 100)
    return SelectedModel(
        model_name=name,
        model_version=version.version,
        study=leaderboard.study,
        dataset_fingerprint=leaderboard.dataset_fingerprint,
        graph=str(model / GRAPH_FILE),
        graph_sha256=version.graph_sha256,
        test_images=len(test.labels),
        winner=won,
        default=baseline,
        errors_avoided=avoided,
    )


def _scores(test: FinalTest, winner: TrialOutcome, default: TrialOutcome | None) -> tuple[TestScore, TestScore | None]:
    won = score(winner, test.winner, test.labels)
    if default is None or test.default is None:
        return won, None
    return won, score(default, test.default, test.labels)
