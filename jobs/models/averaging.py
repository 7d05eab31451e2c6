"""Averaging the weights over the last training steps. Importing this module imports TensorFlow."""

from typing import Any

import keras


class AveragingAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras is not typed
    """Adam that keeps a moving average of the weights, and can exchange the two.

    The average is scored and kept, training goes on with the weights themselves (Polyak and Juditsky, "Acceleration of
    Stochastic Approximation by Averaging", SIAM J. Control Optim. 1992). Keras's own way leaves the average in the network
    at the end of each `fit`, so that a training which is scored on its way would go on from there.
    """

    def __init__(self, learning_rate: Any, momentum: float) -> None:
        """Prepares an optimiser.

        Args:
            learning_rate: Step size, or its schedule.
            momentum: Share of the average that each step keeps, above 0 and below 1: it reaches over 1 / (1 - momentum) steps.
        """
        super().__init__(learning_rate, use_ema=True, ema_momentum=momentum)

    def build(self, variables: list[Any]) -> None:
        """Begins the average at the weights as they are."""
        if self.built:
            return
        super().build(variables)
        for weight, average in zip(variables, self._model_variables_moving_average, strict=True):
            average.assign(weight)

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Leaves the weights as they are; see `exchange`."""

    def exchange(self) -> None:
        """Puts the average into the network and keeps its weights, or puts them back."""
        for weight, average in zip(self._trainable_variables, self._model_variables_moving_average, strict=True):
            value = weight.numpy()
            weight.assign(average)
            average.assign(value)
