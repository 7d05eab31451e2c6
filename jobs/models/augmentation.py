"""Random shifts, rotations and zooms of training images, which depend on a seed alone."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Augmentation:
    """How far training images are changed at random; each image anew in each epoch.

    Keras's layers for this draw from a generator with a state, so what an image gets would depend on how often training was
    paused. Here it depends on the seed alone.

    Attributes:
        shift: Largest move, as a share of height and width.
        rotation: Largest turn, in degrees.
        zoom: Largest change of size, as a share.
    """

    shift: float
    rotation: float
    zoom: float

    def __bool__(self) -> bool:
        return bool(self.shift or self.rotation or self.zoom)

    def apply(self, images: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """Changes a batch of images; bilinear, and mirrored beyond their edges.

        Args:
            images: float32, shape (batch, height, width, channels).
            seed: int64, shape (2,); the same seed gives the same images.

        Returns:
            Images of the same shape.
        """
        import tensorflow as tf

        shape = tf.shape(images)
        draws = tf.random.stateless_uniform((4, shape[0]), seed, minval=-1.0, maxval=1.0)
        height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
        across, down = draws[0] * self.shift * width, draws[1] * self.shift * height
        angle, scale = draws[2] * math.radians(self.rotation), 1.0 + draws[3] * self.zoom
        cosine, sine = tf.cos(angle) * scale, tf.sin(angle) * scale
        centre_x, centre_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
        # From a place in the new image to the one in the old that it shows, about the centre.
        zeros = tf.zeros_like(angle)
        transforms = tf.stack(
            [
                cosine, -sine, centre_x - cosine * centre_x + sine * centre_y + across,
                sine, cosine, centre_y - sine * centre_x - cosine * centre_y + down,
                zeros, zeros,
            ],
            axis=1,
        )  # fmt: skip
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images, transforms=transforms, output_shape=shape[1:3], fill_value=0.0,
            interpolation="BILINEAR", fill_mode="REFLECT",
        )  # fmt: skip
