"""The head of a network whose body is a frozen graph: dense layers on the features that it gives of an image."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

_STANDARDISATION = "standardisation"

_HARDLY_VARIES = 1e-3
"""Standard deviation, as a share of the mean, below which a feature is taken as constant: what it varies by is rounding, which
must not be made large."""

_ROWS = 4096
"""Samples that are summed up at once, since a split may be larger than the memory."""


def features_input(features: int) -> "tuple[keras.KerasTensor, keras.KerasTensor]":
    """Begins a head: gives its input, and the standardised features.

    The standardisation is a layer of fixed numbers, which `standardise` sets; they are among the network's weights, so a
    checkpoint and a frozen graph hold them.

    Args:
        features: How many there are.
    """
    import keras

    inputs = keras.Input((features,), name="features")
    # In inference (it is not trainable) this layer is (x - mean) / sqrt(variance + epsilon) and nothing else.
    layer = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-12, trainable=False, name=_STANDARDISATION
    )
    return inputs, layer(inputs)


def standardise(network: "keras.Model", features: NDArray[np.float32]) -> None:
    """Fits the standardisation of a head; one of no other network.

    Args:
        network: As `build_network` gives it for the model `head`.
        features: Of the training split alone, shape (samples, features).
    """
    mean, variance = _moments(features)
    constant = variance <= (_HARDLY_VARIES * mean) ** 2
    network.get_layer(_STANDARDISATION).set_weights([mean, np.where(constant, 1.0, variance)])


def _moments(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives mean and variance of each feature, in two passes: the square of a mean would take the digits of the variance."""
    parts = [slice(start, start + _ROWS) for start in range(0, len(features), _ROWS)]
    mean = sum(features[part].sum(axis=0, dtype=np.float64) for part in parts) / len(features)
    squares = sum(((features[part] - mean) ** 2).sum(axis=0) for part in parts)
    return mean, np.asarray(squares / len(features), np.float64)
