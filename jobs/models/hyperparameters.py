"""What describes one network: the hyperparameters that a search may vary."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Architecture = Literal["mlp", "cnn"]
"""`mlp`: dense layers on the flattened image. `cnn`: two convolutions with pooling, then dense layers."""

Layers = Annotated[int, Field(ge=1, le=16)]
Neurons = Annotated[int, Field(ge=1, le=16384)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
BatchSize = Annotated[int, Field(ge=1, le=65536)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Hyperparameters(BaseModel):
    """The hyperparameters of one trial.

    Attributes:
        layers: Number of dense hidden layers, 1 to 16.
        neurons: Number of neurons in each of them, 1 to 16384.
        learning_rate: Step size of Adam, above 0, at most 10.
        batch_size: Samples per training step, 1 to 65536.
        dropout: Share of a dense layer's outputs set to zero in training, 0 (none) to below 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Layers
    neurons: Neurons
    learning_rate: LearningRate
    batch_size: BatchSize
    dropout: Dropout
