"""MNIST in its IDX files (LeCun, Cortes, Burges), from a folder or downloaded, with a checksum on every file."""

import gzip
import hashlib
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.source_images import SourceImages
from jobs.errors import InvalidDatasetError
from jobs.files import write_atomically

log = logging.getLogger("atoll")

MD5: Mapping[str, str] = MappingProxyType(
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
)
"""The four files and the md5 of each after decompression."""

_UNSIGNED_BYTE = 0x08  # the IDX code of the only element type that MNIST uses
_TIMEOUT = 30.0


def read_mnist(folder: Path) -> SourceImages:
    """Reads the training images followed by the published test images.

    Args:
        folder: Folder with the four IDX files of `MD5`, each plain or with `.gz`.

    Raises:
        InvalidDatasetError: A file is missing, truncated, of another type, or fails its checksum.
    """
    files = {name: _read_file(folder, name) for name in MD5}
    parts = {name: parse_idx(content, name, 3 if "images" in name else 1) for name, content in files.items()}
    for name, content in files.items():
        check_md5(content, str(folder / name), MD5[name])
    images = np.concatenate([parts["train-images-idx3-ubyte"], parts["t10k-images-idx3-ubyte"]])
    labels = np.concatenate([parts["train-labels-idx1-ubyte"], parts["t10k-labels-idx1-ubyte"]])
    return SourceImages(
        images[..., np.newaxis],
        labels.astype(np.int64),
        tuple(str(digit) for digit in range(10)),
        test_from=len(parts["train-images-idx3-ubyte"]),
    )


def parse_idx(content: bytes, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Parses one IDX file (http://yann.lecun.com/exdb/mnist, "the IDX file format").

    Args:
        content: The whole file, decompressed.
        name: How messages name the file.
        dimensions: How many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        uint8 array with the shape that the header states.

    Raises:
        InvalidDatasetError: The header is not that of such a file, or the length differs from what it states.
    """
    header = 4 + 4 * dimensions
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if content[:4] != magic:
        raise InvalidDatasetError(
            f"{name}: starts with {content[:4].hex(' ') or 'nothing'}; accepted: {magic.hex(' ')}, "
            f"an IDX file of unsigned bytes in {dimensions} dimensions"
        )
    if len(content) < header:
        raise InvalidDatasetError(f"{name}: truncated: {len(content)} bytes; accepted: a header of {header}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise InvalidDatasetError(f"{name}: {fault}: {len(content)} bytes; accepted: {expected} for shape {shape}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def check_md5(content: bytes, name: str, expected: str) -> None:
    """Compares the md5 of a decompressed file with the published one.

    Raises:
        InvalidDatasetError: They differ.
    """
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise InvalidDatasetError(f"{name}: md5 {found} after decompression; accepted: {expected}")


def download_mnist(folder: Path, mirrors: tuple[str, ...]) -> None:
    """Downloads those of the four files that `folder` lacks, from the first mirror that gives the right content.

    Args:
        folder: Where to write them, as `NAME.gz`; made when missing. A file appears only once it is whole and checked.
        mirrors: Addresses, each ending in `/`.

    Raises:
        InvalidDatasetError: No mirror gives a file, or none gives one with the right checksum.
    """
    for name, md5 in MD5.items():
        if not _find(folder, name):
            write_atomically(folder / f"{name}.gz", _download(name, md5, mirrors))


def _download(name: str, md5: str, mirrors: tuple[str, ...]) -> bytes:
    import httpx

    failures = []
    for mirror in mirrors:
        address = f"{mirror}{name}.gz"
        log.info("downloading %s", address)
        try:
            response = httpx.get(address, timeout=_TIMEOUT, follow_redirects=True)
            response.raise_for_status()
            check_md5(_decompress(response.content, address), address, md5)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, InvalidDatasetError) as error:  # a host may not encode
            failures.append(
                str(error) if isinstance(error, InvalidDatasetError) else f"{address}: {_first_line(error)}"
            )
        else:
            return response.content
    raise InvalidDatasetError(
        f"{name}.gz: no mirror gave it ({'; '.join(failures) or 'none is named'}); "
        "accepted: other dataset.mirrors, or dataset.folder with the four IDX files"
    )


def _read_file(folder: Path, name: str) -> bytes:
    path = _find(folder, name)
    if path is None:
        raise InvalidDatasetError(f"{folder}: no {name} or {name}.gz there; accepted: a folder with {', '.join(MD5)}")
    content = path.read_bytes()
    return _decompress(content, str(path)) if path.suffix == ".gz" else content


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _decompress(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except EOFError:
        raise InvalidDatasetError(f"{name}: truncated: the gzip stream ends early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InvalidDatasetError(f"{name}: not a gzip file: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
