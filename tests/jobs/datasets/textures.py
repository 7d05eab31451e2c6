"""Textures made in code: three classes that differ in their pattern, never in their colours."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.jobs.datasets.pictures import encode

TEXTURES = ("checks", "dots", "stripes")


def texture(kind: str, seed: int) -> Image.Image:
    """One of the three patterns, in two colours, noisy; size, period, place and colours differ by the seed."""
    draws = np.random.default_rng((TEXTURES.index(kind), seed))
    height, width = (int(size) for size in draws.integers(120, 260, 2))
    period = int(draws.integers(16, 40))
    rows, columns = np.mgrid[:height, :width] + draws.integers(0, period, 2)[:, None, None]
    if kind == "stripes":
        pattern = (rows + columns * draws.uniform(-1, 1)) % period < period / 2
    elif kind == "checks":
        pattern = (rows % period < period / 2) ^ (columns % period < period / 2)
    else:
        pattern = np.hypot(rows % period - period / 2, columns % period - period / 2) < period / 3
    first, second = draws.integers(0, 120, 3), draws.integers(120, 256, 3)
    if draws.random() < 0.5:
        first, second = second, first
    picture = np.where(pattern[:, :, None], first, second) + draws.normal(0, 12, (height, width, 1))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def write_textures(folder: Path, each: int, first: int = 0) -> None:
    """Writes so many pictures of each class, in turn as JPEG and PNG."""
    for kind in TEXTURES:
        (folder / kind).mkdir(parents=True)
        for number in range(first, first + each):
            suffix, form = ("jpg", "JPEG") if number % 2 else ("png", "PNG")
            (folder / kind / f"{number:03}.{suffix}").write_bytes(encode(texture(kind, number), form))
