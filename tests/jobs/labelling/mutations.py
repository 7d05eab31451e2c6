"""Damaged images: good ones of every kind, spoilt in every way that is known to have stopped a decoder."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image


def good_images(photos: Path) -> dict[str, bytes]:
    """Small images of every format and kind, by name."""
    photo = Image.open(photos / "cat.jpg").convert("RGB")
    photo.thumbnail((200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    grey16 = photo.convert("L").convert("I").point(lambda value: value * 256).convert("I;16")
    made = {
        "baseline.jpg": _encoded(photo, "JPEG", quality=90),
        "progressive.jpg": _encoded(photo, "JPEG", progressive=True),
        "cmyk.jpg": _encoded(photo.convert("CMYK"), "JPEG"),
        "grey.jpg": _encoded(photo.convert("L"), "JPEG"),
        "turned.jpg": _encoded(photo, "JPEG", exif=exif),
        "rgb.png": _encoded(photo, "PNG"),
        "palette.png": _encoded(photo.convert("P"), "PNG"),
        "alpha.png": _encoded(photo.convert("RGBA"), "PNG"),
        "grey16.png": _encoded(grey16, "PNG"),
        "still.gif": _encoded(photo, "GIF"),
        "animated.gif": _encoded(photo, "GIF", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)]),
        "rgb.bmp": _encoded(photo, "BMP"),
        "palette.bmp": _encoded(photo.convert("P"), "BMP"),
        "lossy.webp": _encoded(photo, "WEBP"),
        "lossless.webp": _encoded(photo, "WEBP", lossless=True),
        "animated.webp": _encoded(photo, "WEBP", save_all=True, append_images=[photo.rotate(90)]),
    }
    return made | {"photo.jpg": (photos / "hot_dog.jpg").read_bytes()}


def mutations(good: dict[str, bytes], seed: int = 2016) -> dict[str, bytes]:
    """Spoils each good image in many ways; the same seed gives the same bytes."""
    made: dict[str, bytes] = {}
    chance = random.Random(seed)
    for name, content in good.items():
        stem, _, suffix = name.partition(".")
        for way, spoilt in _ways(content, chance):
            made[f"{stem}-{way}.{suffix}"] = spoilt
        other = chance.choice(["txt", "tiff", "png" if suffix == "jpg" else "jpg"])
        made[f"{stem}-called-otherwise.{other}"] = content
    return made | dict(_absurd(good)) | _no_images()


def _ways(content: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    for share in (0.02, 0.3, 0.9):
        yield f"cut-at-{share}", content[: max(1, int(len(content) * share))]
    yield "one-byte-short", content[:-1]
    for number in range(4):
        yield f"flips-in-header-{number}", _flipped(content, chance, min(400, len(content)), 3)
        yield f"flips-{number}", _flipped(content, chance, len(content), 1 + len(content) // 2000)
    middle = chance.randrange(len(content) // 2)
    yield "zeros-inside", content[:middle] + bytes(500) + content[middle + 500 :]
    yield "hole", content[:middle] + content[middle + 300 :]
    yield "twice", content + content
    yield "rubbish-after", content + chance.randbytes(5000)
    yield "rubbish-before", b"\0" + content


def _flipped(content: bytes, chance: random.Random, among: int, times: int) -> bytes:
    spoilt = bytearray(content)
    for _ in range(times):
        spoilt[chance.randrange(4, among)] ^= 1 << chance.randrange(8)  # the kind stays recognisable
    return bytes(spoilt)


def _absurd(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Headers that ask for far more, or less, than there is."""
    for width, height in ((65535, 65535), (65535, 1), (1, 65535), (0, 0), (0, 100), (6000, 6000)):
        size = f"{width}x{height}"
        for name in ("baseline.jpg", "progressive.jpg", "cmyk.jpg", "turned.jpg"):
            yield f"says-{size}-{name}", jpeg_of_size(good[name], width, height)
        for name in ("rgb.png", "palette.png", "grey16.png"):
            yield f"says-{size}-{name}", png_of_size(good[name], width, height)
        for name in ("still.gif", "animated.gif"):
            yield f"says-{size}-{name}", _at(good[name], 6, struct.pack("<HH", width, height))
        for name in ("rgb.bmp", "palette.bmp"):
            yield f"says-{size}-{name}", _at(good[name], 18, struct.pack("<ii", width, height))
        canvas = struct.pack("<I", max(0, width - 1))[:3] + struct.pack("<I", max(0, height - 1))[:3]
        yield f"says-{size}-animated.webp", _at(good["animated.webp"], 24, canvas)
    for number in (2**31 - 1, 2**31, 2**32 - 1):
        yield f"says-{number}-rgb.png", png_of_size(good["rgb.png"], number, number)
        yield f"says-{number}-rgb.bmp", _at(good["rgb.bmp"], 18, struct.pack("<II", number, number))
        yield f"says-{number}-riff.webp", _at(good["lossy.webp"], 4, struct.pack("<I", number))
    start = good["rgb.png"].index(b"IDAT") - 4
    for kind in (b"zTXt", b"iCCP"):  # a bomb in what no one looks at
        bomb = _chunk(kind, b"x\0\0" + zlib.compress(bytes(200_000_000), 9))
        yield f"bomb-in-{kind.decode()}.png", good["rgb.png"][:start] + bomb + good["rgb.png"][start:]
    pixels = _chunk(b"IDAT", zlib.compress(bytes(100_000_000), 9))
    yield "too-many-pixels.png", good["rgb.png"][:start] + pixels + good["rgb.png"][start:]
    progressive = good["progressive.jpg"]
    scan = progressive.index(b"\xff\xda")
    yield "scans.jpg", progressive[:scan] + progressive[scan : scan + 200] * 5000 + progressive[scan:]
    marker = good["baseline.jpg"][:2] + b"\xff\xe1\xff\xff" + b"x" * 100
    yield "segment-past-the-end.jpg", marker
    yield "endless-fill.jpg", good["baseline.jpg"][:2] + b"\xff" * 1_000_000


def _no_images() -> dict[str, bytes]:
    return {
        "page.jpg": b"<!DOCTYPE html><html><title>Not found</title></html>",
        "zeros.jpg": bytes(10_000),
        "start.jpg": b"\xff\xd8\xff",
        "start.png": b"\x89PNG\r\n\x1a\n",
        "start.gif": b"GIF89a",
        "start.bmp": b"BM",
        "start.webp": b"RIFF\x00\x00\x00\x00WEBP",
        "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        "book.pdf": b"%PDF-1.7\n",
        "no bytes.jpg": b"",
        "n\u00e4me with spaces \U0001f600.jpg": b"\xff\xd8\xff\xe0",
    }


def jpeg_of_size(content: bytes, width: int, height: int) -> bytes:
    """Changes the size in each frame header of a JPEG."""
    spoilt = bytearray(content)
    place = 2
    while spoilt[place] == 0xFF and spoilt[place + 1] != 0xDA:
        if spoilt[place + 1] in (0xC0, 0xC1, 0xC2):
            spoilt[place + 5 : place + 9] = struct.pack(">HH", height, width)
        place += 2 + int.from_bytes(spoilt[place + 2 : place + 4], "big")
    return bytes(spoilt)


def png_of_size(content: bytes, width: int, height: int) -> bytes:
    """Changes the size in a PNG's header, whose checksum stays right."""
    return content[:8] + _chunk(b"IHDR", struct.pack(">II", width, height) + content[24:29]) + content[33:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _at(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()
