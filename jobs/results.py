"""What each step hands on: small typed records, written as `result.json` and passed through Airflow as XCom."""

from datetime import date, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from jobs.files import write_atomically
from jobs.models.hyperparameters import Scalar


class Result(BaseModel):
    """Base of every step's result; immutable, refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def write(self, path: Path) -> None:
        """Writes the result as JSON; a reader sees all of it or nothing."""
        write_atomically(path, self.as_json())

    def as_json(self) -> str:
        """Gives the content of the file."""
        return self.model_dump_json(indent=2) + "\n"


class Failure(Result):
    """What a step that its user can mend leaves instead of its result, as `error.json`."""

    message: str
    transient: bool


class PreparedDataset(Result):
    """Result of `prepare_dataset`."""

    name: str
    fingerprint: str
    folder: str
    classes: list[str]
    image_shape: tuple[int, int, int] | None
    """None where the data set holds features instead of pixels."""
    features: int | None = None
    """How many of each image; None where the data set holds pixels."""
    train: int
    validation: int
    test: int
    reused: bool
    quarantined: dict[str, int] = {}
    """Images of the source that cannot be used, by reason; `quarantine.csv` in the folder names them."""


class TunedStudy(Result):
    """Result of `tune_model`; accuracies are fractions of 1 on the validation split."""

    study: str
    folder: str
    experiment: str
    complete: int
    stopped: int
    failed: int
    best_trial: int
    best_validation_accuracy: float
    default_validation_accuracy: float | None
    best_over_seeds: list[float] = []
    """Of the best trial with each seed that it was trained with, the study's own first."""
    report: str
    executors: list[str]
    seconds: float


class TestScore(Result):
    """How one trial does on the test split, which is read once."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    trial: int
    hyperparameters: dict[str, Scalar]
    correct: int
    errors: int
    accuracy: float
    interval: tuple[float, float]
    """Wilson's 95 % interval of the accuracy."""


class SelectedModel(Result):
    """Result of `select_model`: the registered challenger against the default hyperparameters."""

    model_name: str
    model_version: int
    study: str
    dataset_fingerprint: str
    graph: str
    graph_sha256: str
    test_images: int
    winner: TestScore
    default: TestScore | None
    errors_avoided: float | None
    """Share of the default's test errors that the winner does not make; None when the default makes none."""


class PairedTest(Result):
    """McNemar's exact test, one-sided, of a challenger against a champion on the same test images."""

    images: int
    challenger_correct: int
    champion_correct: int
    won: int
    """Images on which only the challenger is right."""
    lost: int
    """Images on which only the champion is right."""
    p_value: float

    @property
    def challenger_accuracy(self) -> float:
        """As a fraction of 1."""
        return self.challenger_correct / self.images

    @property
    def champion_accuracy(self) -> float:
        """As a fraction of 1."""
        return self.champion_correct / self.images


class GateDecision(Result):
    """Result of `gate_model`; `test` is None when there was nothing to compare with."""

    model_name: str
    challenger_version: int
    champion_version: int | None
    passed: bool
    p_value: float | None
    reason: str
    test: PairedTest | None
    margin: float
    significance: float


class Promotion(Result):
    """Result of `promote_model`."""

    model_name: str
    challenger_version: int
    champion_version: int | None
    """Who is champion afterwards; None when the model has none."""
    previous_version: int | None
    promoted: bool
    p_value: float | None
    reason: str


class RolledBack(Result):
    """Result of `roll_back_model`; `changed` is False when the version was champion already."""

    model_name: str
    champion_version: int
    previous_version: int | None
    changed: bool
    who: str
    why: str


QuarantineReason = Literal["empty", "not_an_image", "unreadable", "too_large", "fetch_failed", "low_score"]


class LabellingPlan(Result):
    """Result of `resolve_model`: what the tasks of a labelling run agree on."""

    image_set: str
    day: date
    images: str
    """Folder of the day's images."""
    published_as: str
    """Name under which labels and quarantine appear; that of the image set, unless only a sample is labelled."""
    model_name: str
    model_version: int
    chosen: str
    """Why it is this version."""
    wait_until: datetime
    """Until when the images may arrive."""


class QualityMeasure(Result):
    """One measure of the check before publishing; by how much a day is worse than the recent ones, and what is allowed."""

    name: Literal["quarantine", "confidence", "labels"]
    value: float
    limit: float
    passed: bool
    text: str


class QualityCheck(Result):
    """Result of `check_labels`."""

    verdict: Literal["passed", "warned", "failed", "off"]
    compared_with: list[date]
    measures: list[QualityMeasure]


class LabelledImageSet(Result):
    """Result of `label_images`; `images` is always `labelled` + `quarantined`."""

    model_name: str
    model_version: int | None
    graph_sha256: str
    study: str | None = None
    """That the model was selected from; None for a graph that is not from the registry."""
    dataset_fingerprint: str | None = None
    """Of the data set that the model was trained on."""
    source: str = ""
    """The folder, list or table that named the images."""
    images: int
    labelled: int
    quarantined: int
    reasons: dict[QuarantineReason, int]
    most_frequent: dict[str, int] = {}
    """How many images have each label; of the 100 most frequent labels, most frequent first."""
    distinct_labels: int = 0
    confidence: list[int] = []
    """How many labels have a score in each of ten equal bins from 0 to 1."""
    labels: str
    quarantine: str
    seconds: float
    """In all, with the start of Spark and of TensorFlow."""
    images_per_second: float = 0.0
    """While the executors were labelling, without start and publishing."""
    staged: str | None = None
    """Identifies what was staged, where publishing is left to a later step."""


class CleanedUp(Result):
    """Result of `housekeeping`; in a dry run, what would have been removed."""

    dry_run: bool
    removed: dict[Literal["checkpoints", "study", "dataset", "run", "staged"], int]
    bytes: int
