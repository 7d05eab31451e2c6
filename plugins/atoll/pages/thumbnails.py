"""Small pictures of the images of a labelled day; nothing outside of that day's image set can be read through them."""

import io
import os
import stat

from PIL import Image, ImageOps

from jobs import object_store
from jobs.errors import AtollError
from jobs.labelling.header import ImageLimits, check_image
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError
from jobs.object_place import ObjectPlace, Place

SIZES = (192, 768)
"""Longest side in pixels: in the gallery, and on the page of one image."""

_LIMITS = ImageLimits(megapixels=100, megabytes=50)
_AS_PNG = 96
"""Images up to this size keep their exact pixels."""

_budget = PixelBudget(int(_LIMITS.megapixels * 1e6))


class NoThumbnailError(Exception):
    """There is no picture to show; says why."""


def thumbnail(image_set: Place, name: str, size: int) -> tuple[bytes, str]:
    """Makes a small picture of an image.

    Args:
        image_set: Folder of the day's images.
        name: Name of the image in it, as its row of labels says.
        size: Longest side in pixels.

    Returns:
        The picture, and its media type.

    Raises:
        NoThumbnailError: It is not a file of this image set, too large, or cannot be decoded.
    """
    encoded = read_inside(image_set, name, _LIMITS.bytes + 1)
    try:
        header = check_image(encoded, _LIMITS)
        with _budget.reserve(header.stored.pixels), Image.open(io.BytesIO(encoded), formats=(header.format,)) as image:
            image.draft("RGB", (size, size))
            return _shrink(image, size)
    except ImageRejectedError as error:
        raise NoThumbnailError(str(error)) from None
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise NoThumbnailError(f"cannot be decoded: {error}") from None


def read_inside(folder: Place, name: str, limit: int) -> bytes:
    """Reads a file below a folder, and nothing that lies elsewhere, whatever links there are.

    Each part of the name is opened in the one before it and may not be a link, so that nobody can change the way between
    looking and reading. An object store has no links, and no way up.

    Args:
        folder: May itself be reached over links.
        name: Path below it, with `/`.
        limit: How many bytes are read at most.

    Raises:
        NoThumbnailError: It is not an ordinary file below the folder.
    """
    *folders, last = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in (*folders, last)):
        raise NoThumbnailError("not the name of an image")
    if isinstance(folder, ObjectPlace):
        return _read_object(folder / name, limit)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hold the server up
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for part in folders:
            opened.append(os.open(part, flags | os.O_DIRECTORY, dir_fd=opened[-1]))
        opened.append(os.open(last, flags, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise NoThumbnailError("not a file")
        with os.fdopen(opened.pop(), "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise NoThumbnailError(f"cannot be read: {error.strerror or error}") from None
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _read_object(place: ObjectPlace, limit: int) -> bytes:
    try:
        found = object_store.read(place, limit)
    except AtollError as error:
        raise NoThumbnailError(f"cannot be read: {error}") from None
    if found is None:
        raise NoThumbnailError("cannot be read: it is gone")
    return found.content


def _shrink(image: Image.Image, size: int) -> tuple[bytes, str]:
    exact = max(image.size) <= _AS_PNG
    plain = "RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"
    small = image if image.mode in ("L", "RGB", "RGBA") else image.convert(plain)
    small.thumbnail((size, size))  # before it is turned: only the small one is held twice
    small = ImageOps.exif_transpose(small)
    small.info = {name: value for name, value in small.info.items() if name == "transparency"}  # pixels, no comments
    file = io.BytesIO()
    if exact or small.mode == "RGBA":
        small.save(file, "PNG")
        return file.getvalue(), "image/png"
    small.save(file, "JPEG", quality=82)
    return file.getvalue(), "image/jpeg"
