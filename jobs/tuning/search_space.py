"""The search space: for each hyperparameter the values to try; pure, without Optuna, Spark or TensorFlow."""

import itertools
import math
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from jobs.models.hyperparameters import BatchSize, Dropout, Hyperparameters, Layers, LearningRate, Neurons

Value = TypeVar("Value", int, float)


class Range(BaseModel, Generic[Value]):
    """An interval of values.

    Attributes:
        low: Smallest value, included.
        high: Largest value, included.
        log: Whether values are spaced evenly in their logarithm.
        steps: Number of values that a grid takes from the interval; a grid needs it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Value
    high: Value
    log: bool = False
    steps: Annotated[int, Field(ge=2, le=1000)] | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"high ({self.high:g}) is below low ({self.low:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"low ({self.low:g}) has no logarithm; accepted with log: above 0")
        return self

    def grid(self) -> list[Value]:
        """Gives `steps` values from `low` to `high`, both included; whole numbers are rounded and never repeated."""
        if self.steps is None:
            raise ValueError("steps is missing; accepted for a grid: a list of values, or low, high and steps")
        transform, inverse = (math.log, math.exp) if self.log else (float, float)
        low, high = transform(self.low), transform(self.high)
        points = [self.low]
        for step in range(1, self.steps - 1):
            points.append(self._readable(inverse(low + (high - low) * step / (self.steps - 1))))
        points.append(self.high)
        return list(dict.fromkeys(points))

    def _readable(self, point: float) -> Value:
        """Rounds a number to one that people write, within the interval."""
        number = type(self.low)
        rounded = number(round(point) if number is int else float(f"{point:.6g}"))
        return min(max(rounded, self.low), self.high)


def _kind(value: Any) -> str:
    return "values" if isinstance(value, list) else "range"


_SOME, _VALUES, _RANGE, _EITHER = Field(min_length=1), Tag("values"), Tag("range"), Discriminator(_kind)


class SearchSpace(BaseModel):
    """The values to try for each hyperparameter: a list, or a `Range`. What is left out keeps its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Annotated[Annotated[list[Layers], _SOME, _VALUES] | Annotated[Range[Layers], _RANGE], _EITHER] | None = None
    neurons: Annotated[Annotated[list[Neurons], _SOME, _VALUES] | Annotated[Range[Neurons], _RANGE], _EITHER] | None = (
        None
    )
    learning_rate: (
        Annotated[Annotated[list[LearningRate], _SOME, _VALUES] | Annotated[Range[LearningRate], _RANGE], _EITHER]
        | None
    ) = None
    batch_size: (
        Annotated[Annotated[list[BatchSize], _SOME, _VALUES] | Annotated[Range[BatchSize], _RANGE], _EITHER] | None
    ) = None
    dropout: Annotated[Annotated[list[Dropout], _SOME, _VALUES] | Annotated[Range[Dropout], _RANGE], _EITHER] | None = (
        None
    )

    @field_validator("*")
    @classmethod
    def _values_differ(cls, values: Any) -> Any:
        if isinstance(values, list) and len(set(values)) < len(values):
            raise ValueError(f"{values} repeats a value; accepted: each value once")
        return values

    def grid(self, default: Hyperparameters) -> list[Hyperparameters]:
        """Gives every combination, the default hyperparameters first, no combination twice.

        Args:
            default: What to try first, and the value of each hyperparameter that the space leaves out.

        Raises:
            ValueError: A range has no `steps`.
        """
        axes: dict[str, list[float]] = {}
        for name in type(self).model_fields:
            values = getattr(self, name)
            if values is not None:
                axes[name] = values if isinstance(values, list) else values.grid()
        combinations = (
            default.model_copy(update=dict(zip(axes, point, strict=True)))
            for point in itertools.product(*axes.values())
        )
        return list(dict.fromkeys([default, *combinations]))
