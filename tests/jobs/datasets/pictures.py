"""Pictures made in code: coloured shapes of three classes, and files that only look like pictures."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "square", "triangle")


def shape(kind: str, seed: int) -> Image.Image:
    """One of the three shapes, bright, on a noisy ground; size, place and colour differ by the seed."""
    draws = np.random.default_rng((CLASSES.index(kind), seed))
    height, width = (int(size) for size in draws.integers(40, 90, 2))
    picture = Image.fromarray(draws.integers(0, 60, (height, width, 3), dtype=np.uint8))
    left, top = width // 4 + int(draws.integers(-5, 6)), height // 4 + int(draws.integers(-5, 6))
    box = (left, top, left + width // 2, top + height // 2)
    colour = [int(value) for value in draws.integers(0, 60, 3)]
    colour[CLASSES.index(kind)] = int(draws.integers(200, 256))
    draw = ImageDraw.Draw(picture)
    if kind == "circle":
        draw.ellipse(box, fill=tuple(colour))
    elif kind == "square":
        draw.rectangle(box, fill=tuple(colour))
    else:
        draw.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=tuple(colour))
    return picture


def encode(picture: Image.Image, kind: str, orientation: int = 1, **options: Any) -> bytes:
    """Encodes a picture in a format of Pillow's, with a note of how to turn it where it is to be turned."""
    if orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def huge_png() -> bytes:
    """A few bytes of PNG whose header asks for 20000 x 20000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def write_shapes(folder: Path, each: int, first: int = 0) -> None:
    """Writes so many pictures of each class, in turn as JPEG and PNG, every fourth in a folder within the class."""
    for kind in CLASSES:
        (folder / kind / "more").mkdir(parents=True)
        for number in range(first, first + each):
            suffix, form = ("jpg", "JPEG") if number % 2 else ("png", "PNG")
            place = folder / kind / ("more" if number % 4 == 0 else "") / f"{number:03}.{suffix}"
            place.write_bytes(encode(shape(kind, number), form))
