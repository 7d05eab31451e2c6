"""Listing a folder of images: one sub-folder per class, named by the class. No image is opened here."""

import os
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidDatasetError
from jobs.printing import printable

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
_NAMED = 3  # files that a message names before it says how many more there are


@dataclass(frozen=True)
class ClassFolders:
    """The files of a folder with one sub-folder per class.

    Attributes:
        root: Absolute path of the folder.
        classes: Names of the sub-folders, sorted.
        names: Path of each file below the classes, relative to `root`, with `/`; sorted within each class.
        labels: For each of them, the index of its class.
        beside: Files that lie beside the classes and are not named as images are, such as a `README.txt`; not used.
    """

    root: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    beside: tuple[str, ...]


def list_class_folders(root: Path) -> ClassFolders:
    """Lists the files of each class, at any depth below its folder; what begins with `.` is skipped, links are followed.

    Args:
        root: The folder, as an absolute path.

    Raises:
        InvalidDatasetError: There is no such folder, it has fewer than two classes, a class is empty or cannot be a label, or
            images lie outside of the classes.
    """
    try:
        entries = sorted((entry for entry in os.scandir(root) if not entry.name.startswith(".")), key=_name)
    except OSError as error:
        raise InvalidDatasetError(
            f"dataset.folder: {str(root)!r}: {(error.strerror or str(error)).lower()}; accepted: a folder with one "
            "sub-folder of images per class, which this driver and every executor mount"
        ) from None
    classes = tuple(entry.name for entry in entries if entry.is_dir())
    beside = tuple(entry.name for entry in entries if not entry.is_dir())
    _check(root, classes, beside)
    found = [sorted(_files(root / name, name, (os.path.realpath(root),))) for name in classes]
    if empty := [name for name, files in zip(classes, found, strict=True) if not files]:
        raise InvalidDatasetError(
            f"dataset.folder: {str(root)!r}: class folders without a file: {named(empty)}; accepted: images in each, or no "
            "such folder"
        )
    return ClassFolders(
        root,
        classes,
        names=tuple(name for files in found for name in files),
        labels=tuple(label for label, files in enumerate(found) for _ in files),
        beside=beside,
    )


def named(names: list[str] | tuple[str, ...]) -> str:
    """Names the first few of some files, and says how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more


def _check(root: Path, classes: tuple[str, ...], beside: tuple[str, ...]) -> None:
    images = [name for name in beside if name.lower().endswith(_IMAGE_SUFFIXES)]
    if len(classes) < 2:
        what = f"one sub-folder ({printable(classes[0])})" if classes else "no sub-folders"
        loose = f" and {len(images)} images of no class" if images else ""
        raise InvalidDatasetError(
            f"dataset.folder: {str(root)!r} has {what}{loose}; accepted: at least two, one per class, with its images in it"
        )
    if images:
        raise InvalidDatasetError(
            f"dataset.folder: {str(root)!r}: images outside of the class folders: {named(images)}; accepted: every image in "
            "the folder of its class, or elsewhere"
        )
    for name in classes:
        if printable(name) != name:
            raise InvalidDatasetError(
                f"dataset.folder: {str(root)!r}: the folder {printable(name)!r} cannot name a class; accepted: printable "
                "characters in UTF-8"
            )


def _files(folder: Path, prefix: str, above: tuple[str, ...]) -> list[str]:
    """Gives all files below a folder; a link to a folder above itself is not followed again."""
    here = os.path.realpath(folder)
    if here in above:
        return []
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise InvalidDatasetError(
            f"dataset.folder: {printable(str(folder))!r}: {(error.strerror or str(error)).lower()}; accepted: a folder that "
            "this user can read"
        ) from None
    found = []
    for entry in entries:
        name = f"{prefix}/{entry.name}"
        found += _files(folder / entry.name, name, (*above, here)) if entry.is_dir() else [name]
    return found


def _name(entry: "os.DirEntry[str]") -> str:
    return entry.name
