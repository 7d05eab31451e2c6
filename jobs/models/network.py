"""The networks that a search varies, as Keras models."""

from typing import TYPE_CHECKING

from jobs.models.hyperparameters import Architecture, Hyperparameters

if TYPE_CHECKING:
    import keras


def build_network(
    architecture: Architecture, hyperparameters: Hyperparameters, image_shape: tuple[int, int, int], classes: int
) -> "keras.Model":
    """Builds a classifier of images.

    Args:
        architecture: `mlp` or `cnn`; the latter is two 3x3 convolutions of 32 and 64 filters, each with 2x2 pooling, in
            front of the dense layers.
        hyperparameters: Number and width of the dense hidden layers, and their dropout.
        image_shape: Height, width and channels, in pixels.
        classes: Number of classes.

    Returns:
        A model from float32 images of shape (batch, height, width, channels), values 0 to 1, to float32 logits of shape
        (batch, classes). It is not compiled; its initial weights follow Keras's global seed.
    """
    import keras

    outputs = inputs = keras.Input(image_shape, name="images")
    if architecture == "cnn":
        for filters in (32, 64):
            outputs = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(outputs)
            outputs = keras.layers.MaxPooling2D(2, padding="same")(outputs)
    outputs = keras.layers.Flatten()(outputs)
    for _ in range(hyperparameters.layers):
        outputs = keras.layers.Dense(hyperparameters.neurons, activation="relu")(outputs)
        if hyperparameters.dropout:
            outputs = keras.layers.Dropout(hyperparameters.dropout)(outputs)
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(outputs))
