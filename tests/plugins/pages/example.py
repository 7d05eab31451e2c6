"""A workspace as a few nights of Atoll leave it, made in seconds by the code that really writes each part."""

import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from jobs.datasets.dataset import read_split
from jobs.datasets.prepare import prepare
from jobs.datasets.sample_images import write_digits_image_set
from jobs.experiment import Experiment
from jobs.files import write_atomically
from jobs.labelling.part_files import write_part
from jobs.labelling.partition import PartFiles
from jobs.labelling.publication import publication_of_day
from jobs.labelling.reading import Wanted, read_day
from jobs.labelling.schema import (
    NOTHING_CARRIED,
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    ScoredLabel,
    labels_table,
    quarantine_table,
)
from jobs.models.training import EpochScore
from jobs.registry.champions import set_champion
from jobs.registry.final_test import RECORD_FILE, FinalTest
from jobs.registry.gate import GateRule, gate
from jobs.registry.versions import ModelVersion, find_champion, register
from jobs.results import PreparedDataset
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.trial import TrialOutcome, TrialRun
from jobs.workspace import Workspace

BEGAN = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)

EXPERIMENT = Experiment.model_validate(
    {
        "name": "digits",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "strategy": "grid",
        "search": {
            "learning_rate": [0.0003, 0.001, 0.003, 0.01, 0.03],
            "neurons": [32, 128, 512],
            "dropout": [0.0, 0.3],
        },
        "default": {"layers": 1, "neurons": 32, "learning_rate": 0.001, "batch_size": 32, "dropout": 0.0},
        "budget": {"epochs": 12},
    }
)


def outcome(number: int, epochs: int = 12, began: float = BEGAN.timestamp()) -> TrialOutcome:
    """A trial of the grid, with a learning curve as they look; the highest learning rate with the largest network diverges."""
    point = EXPERIMENT.search.grid(EXPERIMENT.default)[number]
    noise = random.Random(number)
    off = (
        abs(math.log10(point.learning_rate) + 2.4) + 0.15 * abs(math.log2(point.neurons) - 8) / 3 - 0.1 * point.dropout
    )
    run = TrialRun(
        executor=f"{number % 2}@worker-{number % 2 + 1}", process=4000 + number % 2, epochs=epochs,
        started_at=began + 20 * (number // 2), finished_at=began + 20 * (number // 2) + 14 + noise.random() * 5,
    )  # fmt: skip
    if point.learning_rate == 0.03 and point.neurons == 512:
        return TrialOutcome(
            number=number, hyperparameters=point, state="failed", runs=[run],
            reason="diverged: the loss is nan in epoch 1", traceback=None,
        )  # fmt: skip
    curve = []
    for epoch in range(1, epochs + 1):
        error = (
            0.012 + 0.05 * off**2 + (0.3 + 0.3 * off) * math.exp(-epoch / (1.5 + off)) + noise.uniform(-0.003, 0.003)
        )
        curve.append(
            EpochScore(epoch=epoch, training_loss=error * 2, validation_loss=error * 2.5,
                       validation_accuracy=min(0.995, 1 - error), seconds=1.1 * epoch)
        )  # fmt: skip
    return TrialOutcome(
        number=number, hyperparameters=point, state="complete",
        validation_accuracy=curve[-1].validation_accuracy, curve=curve, runs=[run],
    )  # fmt: skip


def add_study(workspace: Workspace, study: str, trials: Sequence[TrialOutcome], dataset: PreparedDataset) -> None:
    """Writes a study's leaderboard, as far as it has come."""
    Leaderboard(
        study=study, experiment=EXPERIMENT, dataset=dataset.folder, dataset_fingerprint=dataset.fingerprint,
        trials=list(trials),
    ).write(workspace.study(study))  # fmt: skip


def add_version(
    workspace: Workspace, study: str, dataset: PreparedDataset, wrong: range, since: datetime
) -> ModelVersion:
    """Registers a version that gets some test images wrong, and lets the gate decide whether it becomes champion."""
    folder = workspace.study(study) / "model"
    folder.mkdir(parents=True)
    _, labels = read_split(Path(dataset.folder), "test")
    predicted = labels.copy()
    predicted[list(wrong)] = (predicted[list(wrong)] + 3) % 10
    reigning = find_champion("digits", workspace)
    before = workspace.study(reigning.study) / "model" / RECORD_FILE if reigning else None
    record = FinalTest(
        dataset_fingerprint=dataset.fingerprint, read_at=since.timestamp(), labels=labels.tolist(),
        winner=predicted.tolist(), default=None,
        champion=FinalTest.model_validate_json(before.read_bytes()).winner if before else None,
        champion_version=reigning.version if reigning else None,
    )  # fmt: skip
    write_atomically(folder / RECORD_FILE, record.model_dump_json())
    write_atomically(folder / "graph.pb", f"graph of {study}")
    write_atomically(folder / "labels.txt", "".join(f"{digit}\n" for digit in range(10)))
    errors = int(np.count_nonzero(predicted != labels))
    metrics = {
        "test_accuracy": 1 - errors / len(labels), "test_errors": float(errors),
        "default_test_accuracy": 1 - 26 / len(labels), "default_test_errors": 26.0,
    }  # fmt: skip
    version = register("digits", study, dataset.fingerprint, folder, metrics, workspace)
    decision = gate("digits", version.version, workspace, GateRule())
    if decision.passed:
        set_champion(version, workspace, f"tune_model {study.removeprefix('digits-')}", decision.reason, since)
    return version


def add_day(
    workspace: Workspace,
    image_set: str,
    day: date,
    model: ModelStamp,
    images: int = 120,
    damaged: int = 4,
    mistakes: int = 3,
) -> None:
    """Writes an image set of digits and publishes its labels and quarantine; so many of the labels are wrong."""
    source = workspace.image_set(image_set, day)
    noise = random.Random(day.toordinal())
    truth = write_digits_image_set(source, sorted(noise.sample(range(1797), images)), damaged)
    wrong = set(random.Random(model.version or 0).sample(sorted(truth), mistakes))
    at = datetime(day.year, day.month, day.day, 4, 2, tzinfo=UTC) + timedelta(days=1)
    labelled, rejected = [], []
    for name in sorted(path.name for path in source.iterdir()):
        if name not in truth:
            reason = ("unreadable", "empty", "not_an_image")[int(name[-6:-4]) % 3]
            rejected.append(QuarantinedImage(name, reason, f"{reason.replace('_', ' ')}, as its header says"))
            continue
        label = (truth[name] + 3) % 10 if name in wrong else truth[name]
        score = noise.uniform(0.35, 0.6) if name in wrong else 1 - noise.random() ** 3 * 0.55
        others = [digit for digit in noise.sample(range(10), 6) if digit != label][:4]
        rest = [(1 - score) * share for share in (0.55, 0.25, 0.12, 0.05)]
        top_k = ScoredLabel(str(label), score), *(ScoredLabel(str(d), s) for d, s in zip(others, rest, strict=True))
        labelled.append(LabelledImage(name, top_k, 8, 8, at))
    publish_day(workspace, image_set, day, model, labelled, rejected)


def publish_day(
    workspace: Workspace, image_set: str, day: date, model: ModelStamp,
    labelled: Sequence[LabelledImage], rejected: Sequence[QuarantinedImage], rows_per_file: int = 50,
) -> None:  # fmt: skip
    """Publishes rows the way a run of `label_images` does."""
    publication = publication_of_day(workspace, image_set, day)
    with publication.locked():
        staged = publication.stage()
        parts = []
        for start in range(0, len(labelled), rows_per_file):
            name = f"part-{start // rows_per_file:05}-0.parquet"
            write_part(labels_table(labelled[start : start + rows_per_file], model), staged.labels / name)
            parts.append(PartFiles(name, None))
        if rejected:
            write_part(quarantine_table(rejected), staged.quarantine / "part-00000-0.parquet")
            parts.append(PartFiles(None, "part-00000-0.parquet"))
        staged.publish(parts, [row.image for row in (*labelled, *rejected)], NOTHING_CARRIED)


def stamp_of(version: ModelVersion) -> ModelStamp:
    """What is written beside each label of a version."""
    return ModelStamp(version.name, version.version, version.graph_sha256)


def fill(workspace: Workspace, days: int = 12) -> list[ModelVersion]:
    """Four versions, of which the gate has refused the third, their studies, and some days that the champions labelled.

    The last day was labelled by the refused version too, beside its labels.
    """
    dataset = prepare(EXPERIMENT, workspace)
    grid = EXPERIMENT.search.grid(EXPERIMENT.default)
    versions = []
    for night, wrong in enumerate((range(24), range(12), range(3, 14), range(4))):
        began = BEGAN + timedelta(days=3 * night)
        study = f"digits-scheduled__{began:%Y-%m-%dT%H-00-00-00-00}"
        add_study(workspace, study, [outcome(trial, began=began.timestamp()) for trial in range(len(grid))], dataset)
        write_atomically(workspace.study(study) / "report" / "report.html", "<title>written last</title>")
        versions.append(add_version(workspace, study, dataset, wrong, began + timedelta(hours=1)))
    for offset in range(days):
        model = stamp_of(versions[0 if offset < 3 else 1 if offset < 9 else 3])
        day = BEGAN.date() + timedelta(days=offset)
        add_day(workspace, "digits", day, model, 100 + 5 * offset, 3 + 2 * offset % 7, 8 - offset // 2)
    add_variant(workspace, "digits", "challenger", day, stamp_of(versions[2]))
    return versions


def add_variant(workspace: Workspace, image_set: str, variant: str, day: date, model: ModelStamp) -> None:
    """Publishes the labels that another version gives to a day, beside those it has: each ninth is another digit."""
    known = read_day(workspace, image_set, day)
    labelled = []
    for number, row in enumerate(known.rows(known.select(Wanted(order="name")).slice(0, len(known)))):
        label = str((int(row.label) + 3) % 10) if number % 9 == 0 else row.label
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC) + timedelta(days=1)
        labelled.append(LabelledImage(row.image, (ScoredLabel(label, 0.9 * row.score),), row.width, row.height, at))
    publish_day(workspace, f"{image_set}-{variant}", day, model, labelled, [])
