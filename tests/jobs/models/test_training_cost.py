"""The longest trials are told from their hyperparameters."""

import pytest

from jobs.models.hyperparameters import Hyperparameters
from jobs.models.network import build_network
from jobs.models.training_cost import training_cost

BASE = {"layers": 1, "neurons": 64, "learning_rate": 0.001, "batch_size": 64, "dropout": 0.0}


def cost(model: str, **changes: float) -> float:
    return training_cost(model, Hyperparameters.model_validate(BASE | changes), (28, 28, 1), 10)


@pytest.mark.parametrize(
    ("model", "longer"),
    [
        ("mlp", {"neurons": 256}),
        ("mlp", {"layers": 3}),
        ("mlp", {"batch_size": 8}),
        ("cnn", {"kernel": 5}),
        ("cnn", {"convolutions": 2}),
        ("cnn", {"filters": 64}),
        ("my.nets:build", {"batch_size": 8}),
    ],
)
def test_what_computes_more_costs_more(model: str, longer: dict[str, float]) -> None:
    assert cost(model, **longer) > 1.05 * cost(model)


@pytest.mark.parametrize("shape", [(28, 28, 1), (15, 9, 3)])
def test_the_dense_layers_are_as_large_as_the_networks(shape: tuple[int, int, int]) -> None:
    """Kernels of one pixel and no filters to speak of leave the dense layers, whose multiplications are their weights."""
    point = Hyperparameters.model_validate(BASE | {"kernel": 1, "filters": 1, "neurons": 4096, "batch_size": 65536})
    weights = build_network("cnn", point, shape, 10).count_params()
    assert training_cost("cnn", point, shape, 10) == pytest.approx(weights, rel=0.05)
