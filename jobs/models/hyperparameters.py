"""What describes one network and its training: the hyperparameters that a search may vary."""

import re
import sys
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

BuiltIn = Literal["mlp", "cnn", "head"]
"""`mlp`: dense layers on the flattened image. `cnn`: blocks of convolutions with pooling, then dense layers. `head`: dense
layers on the features that a frozen graph gives of the image."""

HEAD = "head"
"""The only built-in model that learns from features, and only from them."""

_OWN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


_TAKEN = sys.stdlib_module_names | {"jobs"}
"""Modules that hold no network: `os:system` is a mistake at best."""


def _known(model: str) -> str:
    if model not in get_args(BuiltIn) and not _OWN.fullmatch(model):
        raise ValueError(f"{model!r}; accepted: mlp, cnn, head, or a function of your own as package.module:function")
    if ":" in model and (module := model.partition(":")[0].partition(".")[0]) in _TAKEN:
        whose = "Atoll's own" if module == "jobs" else "a module of Python's"
        raise ValueError(
            f"{model!r}: {module} is {whose}; accepted: a function of your own, in a module of another name"
        )
    return model


Model = Annotated[str, AfterValidator(_known)]
"""The name of a built-in model, or a function of the user's own as `package.module:function`."""

Scalar = bool | int | float | str
"""A value of a hyperparameter."""

Layers = Annotated[int, Field(ge=0, le=16)]
Neurons = Annotated[int, Field(ge=1, le=16384)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
BatchSize = Annotated[int, Field(ge=1, le=65536)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Blocks = Annotated[int, Field(ge=1, le=8)]
Convolutions = Annotated[int, Field(ge=1, le=8)]
Filters = Annotated[int, Field(ge=1, le=4096)]
Kernel = Annotated[int, Field(ge=1, le=31)]
Schedule = Literal["constant", "cosine"]
EmaMomentum = Annotated[float, Field(ge=0, lt=1)]
Shift = Annotated[float, Field(ge=0, le=0.5)]
Rotation = Annotated[float, Field(ge=0, le=180)]
Zoom = Annotated[float, Field(ge=0, lt=1)]


class Hyperparameters(BaseModel):
    """The hyperparameters of one trial. A model of the user's own may have others besides.

    Attributes:
        layers: Number of dense hidden layers, 0 to 16; with 0 there are only the outputs.
        neurons: Number of neurons in each of them, 1 to 16384.
        learning_rate: Step size of Adam, above 0, at most 10; with a schedule, the largest.
        batch_size: Samples per training step, 1 to 65536.
        dropout: Share of a dense layer's outputs, and of a head's features, set to zero in training, 0 (none) to below 1.
        blocks: Blocks of a `cnn`, each ending in 2x2 pooling, 1 to 8.
        convolutions: Convolutions in each block, 1 to 8.
        filters: Filters of the first block's convolutions, 1 to 4096; each block has twice as many as the one before.
        kernel: Height and width of the convolutions, in pixels, 1 to 31.
        batch_normalization: Whether convolutions and dense layers are normalised over the batch.
        schedule: `constant`, or `cosine`: the learning rate falls to 0 at the last epoch of a complete trial.
        ema_momentum: Share of the moving average of the weights that each step keeps, 0 (no average) to below 1; the average is
            what is scored and kept.
        shift: Training images are moved by up to this share of their size, 0 (not) to 0.5.
        rotation: Training images are turned by up to so many degrees, 0 (not) to 180.
        zoom: Training images are made larger or smaller by up to this share, 0 (not) to below 1.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    layers: Layers = 1
    neurons: Neurons = 128
    learning_rate: LearningRate
    batch_size: BatchSize
    dropout: Dropout = 0.0
    blocks: Blocks = 2
    convolutions: Convolutions = 1
    filters: Filters = 32
    kernel: Kernel = 3
    batch_normalization: bool = False
    schedule: Schedule = "constant"
    ema_momentum: EmaMomentum = 0.0
    shift: Shift = 0.0
    rotation: Rotation = 0.0
    zoom: Zoom = 0.0

    @model_serializer(mode="wrap")
    def _as_it_was_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what nobody has set, which would only stand in the way of what was."""
        given = self.model_fields_set
        return {name: value for name, value in write(self).items() if name in given}

    def given(self) -> dict[str, Scalar]:
        """Gives the values that were set, by name."""
        return {name: getattr(self, name) for name in (*type(self).model_fields, *self.own()) if self._is_set(name)}

    def own(self) -> dict[str, Scalar]:
        """Gives the values that only a model of the user's own knows, by name."""
        return self.__pydantic_extra__

    def _is_set(self, name: str) -> bool:
        return name in self.model_fields_set


_TRAINING = {"learning_rate", "batch_size", "schedule", "ema_momentum"}
_AUGMENTATION = {"shift", "rotation", "zoom"}
_DENSE = _TRAINING | {"layers", "neurons", "dropout", "batch_normalization"}
_MLP = _DENSE | _AUGMENTATION

USED: dict[str, set[str]] = {
    "mlp": _MLP,
    "cnn": _MLP | {"blocks", "convolutions", "filters", "kernel"},
    HEAD: _DENSE,
}
"""The hyperparameters that each built-in model has; a model of the user's own has all, and more."""

_OF_A_HEAD = {"learning_rate", "batch_size", "layers", "dropout"}

REQUIRED: dict[str, set[str]] = {
    "mlp": _OF_A_HEAD | {"neurons"},
    "cnn": _OF_A_HEAD | {"neurons"},
    HEAD: _OF_A_HEAD,
}
"""Those that an experiment on each built-in model must set; a head may have no layers, and then no neurons."""
