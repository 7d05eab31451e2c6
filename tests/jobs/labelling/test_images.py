"""Deciding from images' headers what may be decoded."""

import io
import struct
import threading
import tracemalloc
import warnings
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.labelling.header import ACCEPTED_FORMATS, ImageHeader, ImageLimits, ImageSize, check_image
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError

LIMITS = ImageLimits(megapixels=1, megabytes=0.1)


def encoded(size, form="JPEG"):
    content = io.BytesIO()
    Image.new("L", size).save(content, form)
    return content.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_the_size_comes_from_the_header(form):
    assert check_image(encoded((30, 20), form), LIMITS) == ImageHeader(form, ImageSize(30, 20))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not_an_image"),
        (encoded((10, 10), "TIFF"), "not_an_image"),
        (encoded((1001, 1000)), "too_large"),
        (b"\xff" * 100_001, "too_large"),
    ],
    ids=["no bytes", "text", "another format", "too many pixels", "too many bytes"],
)
def test_what_may_not_be_decoded_is_rejected_with_its_reason(content, reason):
    with pytest.raises(ImageRejectedError) as rejected:
        check_image(content, LIMITS)
    assert rejected.value.reason == reason
    assert "\n" not in rejected.value.detail


def png_with(kind, content, side=8):
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (kind, content),
        (b"IDAT", b""),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))
        for name, inside in chunks
    )


def webp_of(width, height):
    """An animation of two small frames on a canvas of any size."""
    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, "WEBP", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    file = bytearray(content.getvalue())
    file[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(file)


_GROWS = zlib.compress(bytes(80_000_000))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (webp_of(16383, 16383), "too_large"),
        (webp_of(2**24, 200), "too_large"),
        (webp_of(2**24, 2**24), "not_an_image"),
        (png_with(b"tEXt", b"", side=2**31 - 1), "too_large"),
        (
            b"GIF89a" + struct.pack("<HH3x", 9, 9) + b"," + struct.pack("<HHHHBB2x", 0, 0, 65535, 65535, 0, 2),
            "too_large",
        ),
        (b"BM" + struct.pack("<IHHIIiiHH", 0, 0, 0, 54, 40, 2**31 - 1, -(2**31) + 1, 1, 24) + bytes(24), "too_large"),
        (png_with(b"zTXt", b"a\0\0" + _GROWS), "not_an_image"),
        (png_with(b"iTXt", b"a\0\1\0\0\0" + _GROWS), "not_an_image"),
        (png_with(b"iCCP", b"a\0\0" + _GROWS), "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n(/etc/passwd) run\n", "not_an_image"),
    ],
    ids=["webp", "long webp", "huge webp", "png", "gif", "bmp", "text", "long text", "profile", "svg", "postscript"],
)
def test_what_asks_for_gigabytes_or_is_a_program_is_refused_by_its_header(content, reason):
    limits = ImageLimits(megapixels=40, megabytes=50)
    tracemalloc.start()
    try:
        with pytest.raises(ImageRejectedError) as rejected:
            check_image(content, limits)
        assert rejected.value.reason == reason
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_pillow_neither_warns_nor_raises_about_a_bomb(test_data):
    limits = ImageLimits(megapixels=500, megabytes=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for side in (13000, 20000):
            bomb = (test_data / "photos_bad" / f"bomb_{side}x{side}.jpg").read_bytes()
            assert check_image(bomb, limits).size == ImageSize(side, side)


@given(
    st.sampled_from([*(encoded((9, 9), form) for form in ACCEPTED_FORMATS), b""]),
    st.binary(max_size=40),
    st.integers(0, 300),
)
def test_no_bytes_make_the_check_fail_with_anything_but_a_rejection(start, inserted, position):
    with suppress(ImageRejectedError):
        check_image(start[:position] + inserted + start[position:], LIMITS)


def test_images_decoded_at_once_stay_within_the_limit_of_one():
    budget = PixelBudget(100)
    inside, most, lock = 0, 0, threading.Lock()

    def decode():
        nonlocal inside, most
        with budget.reserve(40):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.01)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 2
    with budget.reserve(1000):  # more than the limit waits for all of it, not for ever
        pass
