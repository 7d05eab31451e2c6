"""The networks that a search varies, as Keras models."""

import importlib
from typing import TYPE_CHECKING

from jobs.models.head import features_input
from jobs.models.hyperparameters import HEAD, Hyperparameters

if TYPE_CHECKING:
    import keras


class UnsuitableModelError(Exception):
    """A model of the user's own cannot be found, or does not give what a classifier must."""


def build_network(
    model: str, hyperparameters: Hyperparameters, sample_shape: tuple[int, ...], classes: int
) -> "keras.Model":
    """Builds a classifier of images, or of their features.

    Args:
        model: `mlp`, `cnn`, `head`, or a function of the user's own as `package.module:function`.
        hyperparameters: What shapes the network; see `Hyperparameters`.
        sample_shape: Height, width and channels of an image; for a head, how many features there are.
        classes: Number of classes.

    Returns:
        A model from float32 images of shape (batch, height, width, channels), values 0 to 1, or from features of shape
        (batch, features), to float32 logits of shape (batch, classes). It is not compiled; its initial weights follow
        Keras's global seed, and a head has yet to be given its standardisation.

    Raises:
        UnsuitableModelError: There is no such function, or what it gives is no such model.
    """
    if ":" in model:
        return _build_own(model, hyperparameters, sample_shape, classes)
    import keras

    if model == HEAD:
        inputs, outputs = features_input(*sample_shape)
        outputs = _dropped(outputs, hyperparameters)
    else:
        outputs = inputs = keras.Input(sample_shape, name="images")
        if model == "cnn":
            outputs = _convolved(inputs, hyperparameters)
        outputs = keras.layers.Flatten()(outputs)
    for _ in range(hyperparameters.layers):
        layer = keras.layers.Dense(hyperparameters.neurons, use_bias=not hyperparameters.batch_normalization)
        outputs = _dropped(_activated(layer(outputs), hyperparameters), hyperparameters)
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(outputs))


def _convolved(outputs: "keras.KerasTensor", hyperparameters: Hyperparameters) -> "keras.KerasTensor":
    import keras

    for block in range(hyperparameters.blocks):
        for _ in range(hyperparameters.convolutions):
            layer = keras.layers.Conv2D(
                hyperparameters.filters * 2**block,
                hyperparameters.kernel,
                padding="same",
                use_bias=not hyperparameters.batch_normalization,
            )
            outputs = _activated(layer(outputs), hyperparameters)
        outputs = keras.layers.MaxPooling2D(2, padding="same")(outputs)
    return outputs


def _dropped(outputs: "keras.KerasTensor", hyperparameters: Hyperparameters) -> "keras.KerasTensor":
    import keras

    return keras.layers.Dropout(hyperparameters.dropout)(outputs) if hyperparameters.dropout else outputs


def _activated(outputs: "keras.KerasTensor", hyperparameters: Hyperparameters) -> "keras.KerasTensor":
    import keras

    if hyperparameters.batch_normalization:
        outputs = keras.layers.BatchNormalization()(outputs)
    return keras.layers.ReLU()(outputs)


def _build_own(
    model: str, hyperparameters: Hyperparameters, image_shape: tuple[int, ...], classes: int
) -> "keras.Model":
    import keras

    module, function = model.split(":")
    try:
        build = getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnsuitableModelError(
            f"model: {model!r}: {error}; accepted: a function in the experiment's `code`, as package.module:function"
        ) from None
    network = build(hyperparameters.given(), image_shape, classes)
    if not isinstance(network, keras.Model):
        raise UnsuitableModelError(f"model: {model!r} gives {type(network).__name__}; accepted: a keras.Model")
    expected = (None, *image_shape), (None, classes)
    if (network.input_shape, network.output_shape) != expected:
        raise UnsuitableModelError(
            f"model: {model!r} goes from {network.input_shape} to {network.output_shape}; accepted: {expected[0]} (images, "
            f"values 0 to 1) to {expected[1]} (logits)"
        )
    return network
