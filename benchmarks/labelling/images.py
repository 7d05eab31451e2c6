"""A set of JPEGs of about 500 pixels, made from a few photos: cropped, flipped and compressed differently."""

import random
from pathlib import Path

from PIL import Image

_SIDE = 500
"""Pixels of the longer side."""


def make_images(photos: Path, folder: Path, count: int) -> None:
    """Writes JPEGs as `00/00000.jpg`; the same photos and count give the same images.

    Args:
        photos: A folder of JPEGs, the smaller side of each at least 300 pixels or so.
        folder: Where to write; made where it is missing.
        count: How many images.
    """
    drawn = random.Random(2015)
    sources = [Image.open(path).convert("RGB") for path in sorted(photos.iterdir())]
    for number in range(count):
        photo = sources[number % len(sources)]
        part = drawn.uniform(0.8, 1.0)
        width, height = int(photo.width * part), int(photo.height * part)
        left, top = drawn.randint(0, photo.width - width), drawn.randint(0, photo.height - height)
        image = photo.crop((left, top, left + width, top + height))
        if drawn.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        scale = _SIDE / max(width, height)
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
        path = folder / f"{number // 1000:02d}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=drawn.randint(75, 95))


def repeat_images(folder: Path, larger: Path, times: int) -> None:
    """Makes a set that is `times` as large out of hard links to the same files."""
    for image in sorted(folder.rglob("*.jpg")):
        for repetition in range(times):
            link = larger / f"{repetition:02d}" / image.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.hardlink_to(image)
