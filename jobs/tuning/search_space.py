"""The search space: for each hyperparameter the values to try; pure, without Optuna, Spark or TensorFlow."""

import graphlib
import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from jobs.models import hyperparameters as kinds
from jobs.models.hyperparameters import Hyperparameters, Scalar

Value = TypeVar("Value", int, float)
AnyValue = TypeVar("AnyValue", bound=Scalar)

Condition = dict[str, Annotated[list[Scalar], Field(min_length=1)]]
"""Values of other hyperparameters, one of which each must have."""


class _Conditional(BaseModel):
    """What may depend on other hyperparameters.

    Attributes:
        when: It is varied only where each of these hyperparameters has one of these values; elsewhere it keeps its default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Condition = {}

    @field_validator("when", mode="before")
    @classmethod
    def _one_value_is_a_list_of_one(cls, when: Any) -> Any:
        if not isinstance(when, Mapping):
            return when
        return {name: values if isinstance(values, list) else [values] for name, values in when.items()}


class Range(_Conditional, Generic[Value]):
    """An interval of values.

    Attributes:
        low: Smallest value, included.
        high: Largest value, included.
        log: Whether values are spaced evenly in their logarithm.
        steps: Number of values that a grid takes from the interval; a grid needs it.
    """

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

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)

    def _readable(self, point: float) -> Value:
        """Rounds a number to one that people write, within the interval."""
        number = type(self.low)
        rounded = number(round(point) if number is int else float(f"{point:.6g}"))
        return min(max(rounded, self.low), self.high)


class Choice(_Conditional, Generic[AnyValue]):
    """Some values; a plain list is a choice without a condition.

    Attributes:
        values: Each once.
    """

    values: Annotated[list[AnyValue], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _a_list_is_its_values(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, list) else given

    @field_validator("values")
    @classmethod
    def _differ(cls, values: list[AnyValue]) -> list[AnyValue]:
        if len(set(values)) < len(values):
            raise ValueError(f"{values} repeats a value; accepted: each value once")
        return values

    def grid(self) -> list[AnyValue]:
        """Gives the values."""
        return self.values

    def __contains__(self, value: Any) -> bool:
        return value in self.values


Axis = Choice[Any] | Range[Any]
"""The values to try for one hyperparameter."""


def _form(value: Any) -> str:
    if isinstance(value, Mapping):
        return "values" if "values" in value and not value.keys() & {"low", "high"} else "range"
    return "values" if isinstance(value, list | Choice) else "range"


class _AxisOf:
    """Has pydantic read a list, a `Choice` or a `Range` of one kind of value."""

    def __init__(self, kind: Any, *, ordered: bool = True) -> None:
        self._kind, self._ordered = kind, ordered

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choice = Annotated[Choice[self._kind], Tag("values")]  # type: ignore[name-defined]
        if not self._ordered:
            return handler.generate_schema(Annotated[choice, Field()] | None)
        interval = Annotated[Range[self._kind], Tag("range")]  # type: ignore[name-defined]
        return handler.generate_schema(Annotated[choice | interval, Discriminator(_form)] | None)


class SearchSpace(BaseModel):
    """The values to try for each hyperparameter: a list, a `Choice` or a `Range`. What is left out keeps its default."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Annotated[Any, _AxisOf(Scalar)]]

    layers: Annotated[Any, _AxisOf(kinds.Layers)] = None
    neurons: Annotated[Any, _AxisOf(kinds.Neurons)] = None
    learning_rate: Annotated[Any, _AxisOf(kinds.LearningRate)] = None
    batch_size: Annotated[Any, _AxisOf(kinds.BatchSize)] = None
    dropout: Annotated[Any, _AxisOf(kinds.Dropout)] = None
    blocks: Annotated[Any, _AxisOf(kinds.Blocks)] = None
    convolutions: Annotated[Any, _AxisOf(kinds.Convolutions)] = None
    filters: Annotated[Any, _AxisOf(kinds.Filters)] = None
    kernel: Annotated[Any, _AxisOf(kinds.Kernel)] = None
    batch_normalization: Annotated[Any, _AxisOf(bool, ordered=False)] = None
    schedule: Annotated[Any, _AxisOf(kinds.Schedule, ordered=False)] = None
    ema_momentum: Annotated[Any, _AxisOf(kinds.EmaMomentum)] = None
    shift: Annotated[Any, _AxisOf(kinds.Shift)] = None
    rotation: Annotated[Any, _AxisOf(kinds.Rotation)] = None
    zoom: Annotated[Any, _AxisOf(kinds.Zoom)] = None

    @model_validator(mode="after")
    def _conditions_can_be_told(self) -> Self:
        known = {*Hyperparameters.model_fields, *self.__pydantic_extra__}
        for name, axis in self._given().items():
            for other in axis.when:
                if other not in known:
                    raise ValueError(f"{name}.when: {other!r}; accepted: {', '.join(sorted(known - {name}))}")
        try:
            self.axes()
        except graphlib.CycleError as error:
            raise ValueError(
                f"when: {' depends on '.join(error.args[1])}; accepted: conditions without a circle"
            ) from None
        return self

    def axes(self) -> dict[str, Axis]:
        """Gives what is varied, by name; what depends on others comes after them."""
        given = self._given()
        conditions = {name: [other for other in axis.when if other in given] for name, axis in given.items()}
        return {name: given[name] for name in graphlib.TopologicalSorter(conditions).static_order()}

    def point(self, default: Hyperparameters, values: Mapping[str, Scalar]) -> Hyperparameters:
        """Gives the point with these values; where an axis's condition is not met, the default's value stays.

        Args:
            default: The value of each hyperparameter that is not varied there.
            values: A value for each axis.
        """
        point = default
        for name, axis in self.axes().items():
            if applies(axis, point):
                point = point.model_copy(update={name: values[name]})
        return point

    def values(self, point: Hyperparameters) -> dict[str, Scalar] | None:
        """Gives a point's values on the axes that apply to it, or None when it lies outside of the space."""
        found = {name: getattr(point, name) for name, axis in self.axes().items() if applies(axis, point)}
        return found if all(value in getattr(self, name) for name, value in found.items()) else None

    def grid(self, default: Hyperparameters) -> list[Hyperparameters]:
        """Gives every combination, the default hyperparameters first, no combination twice.

        Args:
            default: What to try first, and the value of each hyperparameter that the space leaves out.

        Raises:
            ValueError: A range has no `steps`.
        """
        axes = self._given()
        combinations = itertools.product(*(axis.grid() for axis in axes.values()))
        points = (self.point(default, dict(zip(axes, values, strict=True))) for values in combinations)
        return list(dict.fromkeys([default, *points]))

    def _given(self) -> dict[str, Axis]:
        names = (*type(self).model_fields, *self.__pydantic_extra__)
        return {name: axis for name in names if (axis := getattr(self, name)) is not None}


def applies(axis: Axis, point: Hyperparameters) -> bool:
    """Says whether an axis is varied at a point whose other hyperparameters are known."""
    return all(getattr(point, name) in values for name, values in axis.when.items())
