"""The file of a split: inputs and `labels` as an uncompressed `.npz`, written one by one, and mapped where it is read.

The inputs are `images`, of bytes, or `features`, of floats.
"""

import io
import mmap
import struct
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from jobs.errors import InvalidDatasetError

ALIGNMENT = 64
"""Bytes; a tensor can lie where the inputs lie only if their address is a multiple of it."""

_KINDS: dict[str, np.dtype[Any]] = {"images": np.dtype(np.uint8), "features": np.dtype("<f4")}

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip's member (APPNOTE 4.3.7): lengths of its name and extra field
# Python 3.11 has no name for it. Without it, Linux refuses to map a file that is larger than the memory for writing.
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


@contextmanager
def split_file(path: Path, shape: tuple[int, ...], labels: NDArray[np.int64]) -> Iterator[IO[bytes]]:
    """Gives a stream to write the inputs of a split into, so that the driver never holds them all.

    Args:
        path: The file to write; `numpy.load` reads it too.
        shape: Height, width and channels of an image, or how many features there are.
        labels: int64, shape (samples,); as many images, uint8, or vectors of features, float32, must be written, one after
            another.
    """
    kind = "features" if len(shape) == 1 else "images"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open(f"{kind}.npy", "w", force_zip64=True) as inputs:
            inputs.write(_header(_KINDS[kind], (len(labels), *shape), begins=_data_offset(path, archive)))
            yield inputs
        with archive.open("labels.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, labels)


def map_split(path: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Maps the inputs of a split into memory, and reads its labels.

    Inputs are read from the file when they are first used. All processes of a machine that map the file share them; what one
    writes into them, it alone sees.

    Returns:
        Images, uint8 of shape (samples, height, width, channels), or features, float32 of shape (samples, features); and
        labels, int64 of shape (samples,).

    Raises:
        InvalidDatasetError: The file is missing or is none that `split_file` wrote.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            labels: NDArray[np.int64] = np.lib.format.read_array(io.BytesIO(archive.read("labels.npy")))
            kind = "features" if "features.npy" in archive.namelist() else "images"
            member = archive.getinfo(f"{kind}.npy")
            file.seek(member.header_offset)
            name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            file.seek(name + extra, io.SEEK_CUR)
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            private = mmap.MAP_PRIVATE | _MAP_NORESERVE
            pages = mmap.mmap(file.fileno(), 0, flags=private, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            inputs = np.frombuffer(pages, _KINDS[kind], int(np.prod(shape)), file.tell())
            return inputs.reshape(shape), labels
    except (OSError, KeyError, ValueError, struct.error, zipfile.BadZipFile) as error:
        what = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise InvalidDatasetError(
            f"{path}: {what.lower()}; accepted: what prepare_dataset wrote, in a folder that driver and executors mount"
        ) from None


def _data_offset(path: Path, archive: zipfile.ZipFile) -> int:
    """Gives where the member begins that has just been opened for writing."""
    if archive.fp is None:
        raise ValueError(f"{path} is closed")
    return archive.fp.tell()


def _header(kind: np.dtype[Any], shape: tuple[int, ...], begins: int) -> bytes:
    """Writes the header of an array so that what follows it is aligned in the whole file."""
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": kind.str, "fortran_order": False, "shape": shape})
    header = written.getvalue()  # 6 bytes of magic, 2 of version, 2 of length, then text that spaces and a newline end
    spaces = -(begins + len(header)) % ALIGNMENT
    length = struct.pack("<H", len(header) - 10 + spaces)
    return header[:8] + length + header[10:-1] + b" " * spaces + b"\n"
