"""The experiment file: what a user edits to say which data, which model, which search and how much of it."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from jobs.datasets.sources import ImageFeaturesSource, ImageFolderSource, Section, Seed, Source
from jobs.errors import InvalidExperimentError
from jobs.models.hyperparameters import HEAD, REQUIRED, USED, Hyperparameters, Model, Scalar
from jobs.strict_yaml import load_yaml
from jobs.tuning.search_space import Choice, Range, SearchSpace
from jobs.workspace import REPOSITORY

Strategy = Literal["grid", "sparse", "tpe"]
"""`grid`: every combination. `sparse`: points that cover the space evenly. `tpe`: each proposed from the scores so far."""


class Budget(Section):
    """How much a study may spend.

    Attributes:
        epochs: Passes over the training split in a complete trial, 1 to 10000.
        trials: Points to try, the default hyperparameters among them; a grid has its own number.
        minutes: Wall-clock time of one driver after which nothing new is begun; None sets no limit.
        trial_minutes: Time that one trial may take in all, seen at the end of each epoch; None sets no limit.
        target: Validation accuracy, above 0, at most 1, at which the study ends; None looks for the best.
    """

    epochs: Annotated[int, Field(ge=1, le=10000)]
    trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    trial_minutes: Annotated[float, Field(gt=0)] | None = None
    target: Annotated[float, Field(gt=0, le=1)] | None = None


class EarlyStopping(Section):
    """Asynchronous successive halving: trials pause at rungs, and only the best go on.

    Attributes:
        first_rung: Epochs of the first rung, above 0; 0.5 pauses trials in the middle of their first epoch.
        reduction: How many trials compete for one place in the next rung, which has as many times more epochs.
    """

    first_rung: Annotated[float, Field(gt=0, le=10000)] = 1
    reduction: Annotated[int, Field(ge=2, le=100)] = 2


class Finalists(Section):
    """The best trials, trained again with other seeds before one of them wins by its mean.

    Attributes:
        trials: How many of the best trials.
        seeds: With how many seeds each, the experiment's own among them.
    """

    trials: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[int, Field(ge=2, le=100)] = 3


class Experiment(Section):
    """One experiment, as its YAML file says it.

    Attributes:
        name: Name of the experiment, of its file and of its model in the registry.
        dataset: What to learn from.
        model: `mlp`, `cnn`, `head`, or a function of the user's own as `package.module:function`.
        code: Files and folders with that function, which executors are given: packages, modules (`.py`) or archives (`.zip`).
            From a file, they are relative to its folder.
        strategy: How points of the search space are chosen.
        early_stopping: Whether, and how, trials compete before they are complete.
        finalists: Whether the best trials are repeated with other seeds; None lets the best single score win.
        search: The values to try.
        default: The hyperparameters that are always tried, and with which the winner is compared.
        try_first: Points to try right after them; each says what differs from the default.
        budget: How much a study may spend.
        seed: Seed of weights, dropout, augmentation, order of the samples, and of the strategy.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    dataset: Source
    model: Model
    code: tuple[Path, ...] = ()
    strategy: Strategy = "grid"
    early_stopping: EarlyStopping | None = None
    finalists: Finalists | None = None
    search: SearchSpace
    default: Hyperparameters
    try_first: tuple[dict[str, Scalar], ...] = ()
    budget: Budget
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _built_in_models_have_no_other_hyperparameters(cls, content: Any) -> Any:
        known = USED.get(str(content.get("model"))) if isinstance(content, dict) else None
        sections = {name: content.get(name) for name in ("default", "search")} if known else {}
        if known and isinstance(points := content.get("try_first"), list):
            sections |= {f"try_first.{place}": point for place, point in enumerate(points)}
        for section, names in sections.items():
            for name, value in names.items() if isinstance(names, dict) else ():
                if known and name not in known and value is not None:
                    why = (
                        f"not used by model {content['model']}"
                        if name in Hyperparameters.model_fields
                        else "unknown field"
                    )
                    raise ValueError(f"{section}.{name}: {why}; accepted: {', '.join(sorted(known))}")
        return content

    @model_validator(mode="after")
    def _model_suits_the_data_set(self) -> Self:
        features = isinstance(self.dataset, ImageFeaturesSource)
        if features and self.model != HEAD:
            raise ValueError(
                f"model: {self.model!r} learns from pixels, and dataset.source image_features gives features; accepted: {HEAD}"
            )
        if self.model == HEAD and not features:
            raise ValueError(
                f"model: {HEAD!r} learns from features, and dataset.source {self.dataset.source} gives pixels; accepted: mlp, "
                "cnn or a function of your own; or dataset.source: image_features"
            )
        return self

    @model_validator(mode="after")
    def _hyperparameters_suit_the_model(self) -> Self:
        if ":" in self.model:
            known = {*Hyperparameters.model_fields, *self.default.own()}
            for name in self.search.axes():
                if name not in known:
                    raise ValueError(f"search.{name}: has no default; accepted: a value in default.{name} as well")
            return self
        for name in sorted(REQUIRED[self.model] - self.default.model_fields_set):
            raise ValueError(f"default.{name}: missing")
        if self.code:
            raise ValueError(f"code: not used by model {self.model}; accepted: leave it out, or a model of your own")
        return self

    @model_validator(mode="after")
    def _points_to_try_first_are_points(self) -> Self:
        for place in range(len(self.try_first)):
            try:
                self._point_to_try_first(place)
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"try_first.{place}.{name}: {_shown(first['input'])}: {first['msg']}") from None
        return self

    @model_validator(mode="after")
    def _search_suits_the_strategy(self) -> Self:
        if self.strategy == "grid":
            self._check_grid()
        elif self.budget.trials is None:
            raise ValueError(f"budget.trials: missing; accepted for strategy {self.strategy}: how many points to try")
        elif self.budget.trials < (first := len(self.first_points())):
            raise ValueError(
                f"budget.trials: {self.budget.trials}; accepted: at least the {first} that are tried first"
            )
        return self

    @model_validator(mode="after")
    def _first_rung_is_below_a_complete_trial(self) -> Self:
        if self.early_stopping and self.early_stopping.first_rung >= self.budget.epochs:
            raise ValueError(
                f"early_stopping.first_rung: {self.early_stopping.first_rung:g}; accepted: below budget.epochs "
                f"({self.budget.epochs})"
            )
        return self

    def first_points(self) -> list[Hyperparameters]:
        """Gives the points that are tried before any other: the default hyperparameters, then those of `try_first`."""
        points = [self._point_to_try_first(place) for place in range(len(self.try_first))]
        return list(dict.fromkeys([self.default, *points]))

    def schedules_the_learning_rate(self) -> bool:
        """Whether a trial may have a learning rate that depends on how long a complete trial is."""
        axis = self.search.axes().get("schedule")
        schedules = {point.schedule for point in self.first_points()} | set(axis.grid() if axis else ())
        return schedules != {"constant"}

    def _point_to_try_first(self, place: int) -> Hyperparameters:
        return Hyperparameters.model_validate(self.default.given() | self.try_first[place])

    def _check_grid(self) -> None:
        if self.budget.trials is not None:
            raise ValueError(
                f"budget.trials: {self.budget.trials} is not used by strategy grid; accepted: leave it out, or sparse or tpe"
            )
        for name, axis in self.search.axes().items():
            if isinstance(axis, Range) and axis.steps is None:
                raise ValueError(
                    f"search.{name}: steps is missing; accepted for strategy grid: a list of values, or low, high and steps"
                )


def experiments_folder() -> Path:
    """Gives the folder of experiment files: `ATOLL_EXPERIMENTS`, else `experiments` in the repository."""
    return Path(os.environ.get("ATOLL_EXPERIMENTS") or REPOSITORY / "experiments")


def experiment_names() -> list[str]:
    """Gives the names of the experiment files, sorted, without reading them."""
    return sorted(path.stem for path in experiments_folder().glob("*.yaml"))


def load_experiment(path: Path) -> Experiment:
    """Reads and checks an experiment file.

    Raises:
        InvalidExperimentError: The file is missing, is not YAML, repeats a key, or has a field that is missing, unknown or
            out of its limits; the message names the file, the field, the value and what is accepted.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(sorted(str(other) for other in path.parent.glob("*.yaml"))) or "none there"
        raise InvalidExperimentError(f"{path}: no such experiment file; accepted: {known}") from None
    except (yaml.YAMLError, ValueError, KeyError, RecursionError, IsADirectoryError) as error:
        raise InvalidExperimentError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InvalidExperimentError(
            f"{path}: holds {_shown(content)}; accepted: fields such as name, dataset, model, search"
        )
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise InvalidExperimentError("; ".join(_say(path, detail) for detail in error.errors())) from None
    if experiment.name != path.stem:
        raise InvalidExperimentError(
            f"{path}: name: {experiment.name!r} differs from the file's; accepted: {path.stem!r}"
        )
    code = tuple((path.parent / given).resolve() for given in experiment.code)
    if missing := [given for given, found in zip(experiment.code, code, strict=True) if not found.exists()]:
        raise InvalidExperimentError(
            f"{path}: code: {str(missing[0])!r} does not exist; accepted: a package's folder, a .py or a .zip file, from "
            f"{path.parent.resolve()}"
        )
    dataset = experiment.dataset
    if isinstance(dataset, ImageFolderSource | ImageFeaturesSource):
        dataset = dataset.seen_from(path.parent)
    return experiment.model_copy(update={"code": code, "dataset": dataset})


_TAGS = {"values", "range", "digits", "mnist", "image_folder", "image_features"}
_FORMS: dict[str, type[BaseModel]] = {"values": Choice, "range": Range}
"""Union members that pydantic puts into a field's path; no user wrote them."""

_LONGEST_VALUE = 200
"""Characters of a value that a message repeats."""


def _say(path: Path, detail: ErrorDetails) -> str:
    *above, last = detail["loc"] or ("",)
    written = detail["type"] == "extra_forbidden" or last not in _TAGS
    places = [str(place) for place in above if place not in _TAGS] + ([str(last)] if written else [])
    field = ".".join(place if place.isprintable() else repr(place) for place in places)
    value = detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{path}: {field}: unknown field; accepted: {', '.join(_siblings(detail['loc']))}"
    if detail["type"] == "missing":
        return f"{path}: {field}: missing"
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = detail["ctx"]["discriminator"].strip("'")
        if detail["type"] == "union_tag_not_found":
            return f"{path}: {field}.{tag}: missing"
        given = value.get(tag) if isinstance(value, dict) else value
        return f"{path}: {field}.{tag}: {_shown(given)}; accepted: {detail['ctx'].get('expected_tags', '')}"
    if detail["type"] == "model_type":
        lists = "a list of values, or " if "range" in detail["loc"] else ""
        return f"{path}: {field}: {_shown(value)}; accepted: {lists}fields"
    if detail["type"] == "value_error":
        return f"{path}: {field + ': ' if field else ''}{message}"
    return f"{path}: {field}: {_shown(value)}: {message[0].lower()}{message[1:]}"


def _shown(value: Any) -> str:
    """Writes a value as a line can hold it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Gives the names of the fields that are accepted where the last part of `location` stands."""
    models: list[type[BaseModel]] = [Experiment]
    for place in (str(part) for part in location[:-1]):
        if place in _FORMS:
            models = [_FORMS[place]]
            continue
        if place in _TAGS:
            models = [model for model in models if _answers_to(model, place)]
            continue
        annotations = [model.model_fields[place].annotation for model in models if place in model.model_fields]
        models = [model for annotation in annotations for model in _models(annotation)]
    return sorted({name for model in models for name in model.model_fields})


def _answers_to(model: type[BaseModel], tag: str) -> bool:
    source = model.model_fields.get("source")
    return source is None or tag in get_args(source.annotation)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
