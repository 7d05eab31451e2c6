"""What one run changes of an experiment file: from the trigger form, by way of a job's arguments."""

import argparse
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.datasets.sources import Seed
from jobs.errors import InvalidArgumentError
from jobs.experiment import EarlyStopping, Experiment, Finalists, Strategy

MOST_TRIALS = 100_000
MOST_EPOCHS = 10_000
MOST_SEEDS = 100
LONGEST_MINUTES = 14 * 24 * 60
"""Limits that the trigger form shows; those of an experiment file are no tighter."""


class ExperimentOverrides(BaseModel):
    """What differs from the experiment file; None leaves a field as the file says it.

    Attributes:
        strategy: How points of the search space are chosen.
        trials: Points to try; not for a grid, which has its own number.
        epochs: Passes over the training split in a complete trial.
        minutes: After which nothing new is begun.
        trial_minutes: That one trial may take.
        early_stopping: `on` for the file's rungs, or the usual ones where it has none; `off` for none.
        seed: Of weights, dropout, order of the samples, and of the strategy.
        finalist_seeds: With how many seeds the best trials are trained before one wins; 1 lets the best single score win.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy | None = None
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    minutes: Annotated[float, Field(gt=0, le=LONGEST_MINUTES)] | None = None
    trial_minutes: Annotated[float, Field(gt=0, le=LONGEST_MINUTES)] | None = None
    early_stopping: Literal["on", "off"] | None = None
    seed: Seed | None = None
    finalist_seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = None

    @classmethod
    def declare(cls, arguments: argparse.ArgumentParser) -> None:
        """Adds an option for each field, so that every job of a run takes the same."""
        for name in cls.model_fields:
            option = f"--{name.replace('_', '-')}"
            arguments.add_argument(option, metavar="VALUE", help="instead of what the experiment file says")

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Self:
        """Reads the options of `declare`.

        Raises:
            InvalidArgumentError: A value is out of its limits; names the option and the value.
        """
        given = {name: getattr(options, name) for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            detail = error.errors()[0]
            option = f"--{str(detail['loc'][0]).replace('_', '-')}"
            message = detail["msg"]
            raise InvalidArgumentError(f"{option}: {detail['input']!r}: {message[0].lower()}{message[1:]}") from None

    def apply(self, experiment: Experiment) -> Experiment:
        """Gives the experiment with the overrides, checked as a whole again.

        A grid drops the number of trials that the file sets for another strategy.

        Raises:
            InvalidArgumentError: The overrides contradict each other or the file.
        """
        content: dict[str, Any] = {name: getattr(experiment, name) for name in Experiment.model_fields}
        content["budget"] = self._budget(experiment)
        if self.strategy is not None:
            content["strategy"] = self.strategy
        if self.seed is not None:
            content["seed"] = self.seed
        if self.early_stopping is not None:
            content["early_stopping"] = self._early_stopping(experiment)
        if self.finalist_seeds is not None:
            content["finalists"] = self._finalists(experiment)
        try:
            return Experiment.model_validate(content)
        except ValidationError as error:
            detail = error.errors()[0]
            field = ".".join(map(str, detail["loc"]))
            message = detail["msg"].removeprefix("Value error, ")
            raise InvalidArgumentError(
                f"experiment {experiment.name} as changed for this run: {field + ': ' if field else ''}{message}"
            ) from None

    def _budget(self, experiment: Experiment) -> dict[str, Any]:
        budget = experiment.budget.model_dump(exclude_unset=True)
        if self.strategy == "grid":
            budget.pop("trials", None)
        for name in ("trials", "epochs", "minutes", "trial_minutes"):
            if getattr(self, name) is not None:
                budget[name] = getattr(self, name)
        return budget

    def _early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        return (experiment.early_stopping or EarlyStopping()) if self.early_stopping == "on" else None

    def _finalists(self, experiment: Experiment) -> Finalists | None:
        if self.finalist_seeds == 1 or self.finalist_seeds is None:
            return None
        usual = experiment.finalists or Finalists()
        return Finalists(trials=usual.trials, seeds=self.finalist_seeds)
