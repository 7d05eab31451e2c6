"""Thumbnails: nothing but images of the day's image set can be read through them, and none of them hurts the server."""

import asyncio
import io
import os
import struct
import zlib
from datetime import date
from pathlib import Path

import httpx
import pytest
from atoll.pages import days, thumbnails
from atoll.pages.thumbnails import NoThumbnailError, read_inside, thumbnail
from fastapi import FastAPI
from PIL import Image

from jobs.labelling.schema import ModelStamp
from jobs.workspace import Workspace
from tests.plugins.pages import example


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An image set, and beside it a secret."""
    (tmp_path / "secret.png").write_bytes(png(4, 4))
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "bird.png").write_bytes(png(300, 200))
    return folder


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "PNG")
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_picture_is_made_smaller_with_its_proportions(images: Path) -> None:
    content, media_type = thumbnail(images, "sub/bird.png", 192)
    assert (opened(content).size, media_type) == ((192, 128), "image/jpeg")


def test_a_tiny_picture_keeps_its_exact_pixels(images: Path) -> None:
    (images / "digit.png").write_bytes(png(8, 8))
    content, media_type = thumbnail(images, "digit.png", 192)
    assert (opened(content).size, media_type) == ((8, 8), "image/png")
    assert opened(content).convert("RGB").getpixel((3, 3)) == (200, 30, 30)


def test_a_picture_taken_sideways_stands_upright(images: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(images / "tilted.jpg", exif=exif)
    assert opened(thumbnail(images, "tilted.jpg", 192)[0]).size == (96, 192)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "sub/../../secret.png",
        "/etc/passwd",
        "..",
        ".",
        "",
        "sub",
        "sub//bird.png",
        "./sub/bird.png",
        "a\0b",
    ],
)
def test_no_name_leads_out_of_the_image_set(images: Path, name: str) -> None:
    with pytest.raises(NoThumbnailError):
        thumbnail(images, name, 192)


def test_no_link_leads_out_of_the_image_set(images: Path) -> None:
    (images / "link.png").symlink_to(images.parent / "secret.png")
    (images / "above").symlink_to(images.parent, target_is_directory=True)
    for name in ("link.png", "above/secret.png"):
        with pytest.raises(NoThumbnailError, match="cannot be read"):
            thumbnail(images, name, 192)


def test_the_image_set_itself_may_lie_behind_a_link(images: Path) -> None:
    (images.parent / "mounted").symlink_to(images, target_is_directory=True)
    assert thumbnail(images.parent / "mounted", "sub/bird.png", 192)[1] == "image/jpeg"


def test_a_pipe_does_not_hold_the_server_up(images: Path) -> None:
    os.mkfifo(images / "pipe.png")
    with pytest.raises(NoThumbnailError, match="not a file"):
        thumbnail(images, "pipe.png", 192)


def test_no_more_is_read_than_asked_for(images: Path) -> None:
    assert len(read_inside(images, "sub/bird.png", 10)) == 10


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(images: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (images / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(NoThumbnailError, match="megapixels"):
        thumbnail(images, "bomb.png", 192)


@pytest.mark.parametrize("content", [b"", b"This is not an image.\n", b"<svg onload='alert(1)'/>", png(64, 64)[:80]])
def test_what_is_no_whole_image_is_told_and_not_shown(images: Path, content: bytes) -> None:
    (images / "broken.png").write_bytes(content)
    with pytest.raises(NoThumbnailError):
        thumbnail(images, "broken.png", 192)


def test_what_hides_in_a_picture_is_not_handed_on(images: Path) -> None:
    payload = b"<script>alert(1)</script>"
    exif = Image.Exif()
    exif[0x010E] = payload.decode()
    for name, options in (("a.jpg", {"comment": payload, "exif": exif}), ("b.png", {"exif": exif})):
        Image.new("RGB", (400, 300)).save(images / name, **options)
        with (images / name).open("ab") as file:
            file.write(payload)
        assert (images / name).read_bytes().count(payload) >= 2
        assert payload not in thumbnail(images, name, 192)[0]


def test_a_gallery_of_huge_images_leaves_the_server_free_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 3, 1)
    example.add_day(Workspace(tmp_path), "digits", day, ModelStamp("digits", 1, "ab"), images=60, damaged=0)
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path))
    server = FastAPI()
    server.include_router(days.router)
    server.dependency_overrides[days.access.SEES_LABELS.dependency] = lambda: None
    server.get("/other")(lambda: "an answer")  # by a thread of the server's, as most of Airflow's
    names = sorted(path.name for path in Workspace(tmp_path).image_set("digits", day).iterdir())

    async def visit() -> list[int]:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", timeout=600) as client:
            with thumbnails._budget.reserve(thumbnails._LIMITS.bytes * 10):  # as a huge image does while it is decoded
                address = f"/days/digits/{day}/thumbnail"
                asked = [asyncio.create_task(client.get(address, params={"name": name})) for name in names]
                try:
                    other = await asyncio.wait_for(client.get("/other"), 60)
                finally:
                    waiting = [one for one in asked if not one.done()]
            assert other.json() == "an answer"
            assert len(waiting) == len(names)
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(visit()) == [200] * 60
