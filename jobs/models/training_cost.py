"""How long a trial will take compared with others, told from its hyperparameters alone."""

import math

from jobs.models.hyperparameters import Hyperparameters

_STEP = 2e6
"""What a training step costs besides its samples, in multiplications: about 0.4 ms of a core, as measured on small networks."""


def training_cost(model: str, hyperparameters: Hyperparameters, sample_shape: tuple[int, ...], classes: int) -> float:
    """Estimates what training on one sample costs, to put the longest trials first.

    Args:
        model: As the experiment names it; of a model of the user's own only the batch size is known to matter.
        hyperparameters: What would be trained.
        sample_shape: Height, width and channels of an image, or how many features there are.
        classes: Number of classes.

    Returns:
        Multiplications of the forward pass, and the sample's share of what each step costs besides.
    """
    multiplications, inputs = 0, math.prod(sample_shape)
    if model == "cnn":
        height, width, channels = sample_shape
        for block in range(hyperparameters.blocks):
            filters = hyperparameters.filters * 2**block
            for _ in range(hyperparameters.convolutions):
                multiplications += height * width * hyperparameters.kernel**2 * channels * filters
                channels = filters
            height, width = -(-height // 2), -(-width // 2)
        inputs = height * width * channels
    if ":" not in model:
        for outputs in [hyperparameters.neurons] * hyperparameters.layers + [classes]:
            multiplications += inputs * outputs
            inputs = outputs
    return multiplications + _STEP / hyperparameters.batch_size
