"""Giving memory back to the system: glibc keeps most of what is freed, in each of many places."""

import contextlib
import ctypes
import gc

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of glibc
_LARGE = 16_000_000
"""Bytes from which on freed memory is given back at once: by default soon 32 MB. Pillow's pieces of images have 16 MiB."""

_ARENAS = 2
"""Places that keep freed memory; by default there is one for each thread, up to eight for each core."""


def return_large_memory() -> None:
    """Lets this process give back the memory of images as soon as it is freed; best before there are threads."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc, where it is not needed
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim_memory() -> None:
    """Gives back what was freed and kept, some 150 MB after a batch was inferred; takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def release_memory() -> None:
    """Drops what Python holds in cycles, and gives it back: importing a graph leaves several times its size behind."""
    gc.collect()
    trim_memory()
