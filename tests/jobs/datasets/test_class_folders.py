"""A folder of images is listed by class, and one that is laid out otherwise is refused with what is wrong."""

import os
from pathlib import Path

import pytest

from jobs.datasets.class_folders import list_class_folders
from jobs.errors import InvalidDatasetError


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_the_sub_folders_are_the_classes_and_their_files_are_found_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, "dog/b.jpg", "dog/2024/may/a.jpg", "cat/z.png", "Ape/c", "dog/notes.txt", "README.md")
    listed = list_class_folders(tmp_path)
    assert listed.classes == ("Ape", "cat", "dog")
    assert list(zip(listed.names, listed.labels, strict=True)) == [
        ("Ape/c", 0), ("cat/z.png", 1), ("dog/2024/may/a.jpg", 2), ("dog/b.jpg", 2), ("dog/notes.txt", 2),
    ]  # fmt: skip
    assert listed.beside == ("README.md",)


def test_hidden_files_and_folders_are_no_images_and_no_classes(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/2.png", ".git/config", "a/.DS_Store", "b/.thumbnails/2.png", ".hidden.png")
    listed = list_class_folders(tmp_path)
    assert listed.names == ("a/1.png", "b/2.png")
    assert listed.beside == ()


def test_links_are_followed_but_never_in_a_circle_and_a_broken_one_is_listed(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/1.png", "root/a/0.png")
    root = tmp_path / "root"
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "round").symlink_to(root / "a")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    assert list_class_folders(root).names == ("a/0.png", "a/lost.png", "b/1.png")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "has no sub-folders; accepted: at least two, one per class"),
        (("1.png", "2.jpg"), "has no sub-folders and 2 images of no class; accepted: at least two"),
        (("all/1.png", "all/2.png"), "has one sub-folder (all); accepted: at least two"),
        (("a/1.png", "b/2.png", "3.JPEG"), "images outside of the class folders: 3.JPEG; accepted: every image in the fol"),
        (
            ("a/1.png", "b/2.png", *(f"{number}.webp" for number in range(5))),
            "images outside of the class folders: 0.webp, 1.webp, 2.webp and 2 more; accepted",
        ),
        (("a/1.png", "two\nlines/2.png"), r"the folder 'two\\nlines' cannot name a class"),
        ((os.fsdecode(b"caf\xe9/1.png"), "a/1.png"), r"the folder 'caf\\xe9' cannot name a class"),
        (("a/1.png", "b/.hidden"), "class folders without a file: b; accepted: "),
    ],
)  # fmt: skip
def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    write(tmp_path, *names)
    with pytest.raises(InvalidDatasetError) as told:
        list_class_folders(tmp_path)
    assert f"dataset.folder: {str(tmp_path)!r}" in str(told.value)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_that_is_missing_or_is_a_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, "file")
    for place, said in (("nosuch", "no such file or directory"), ("file", "not a directory")):
        with pytest.raises(
            InvalidDatasetError, match=rf"dataset\.folder: '.*{place}': {said}; accepted: a folder with one"
        ):
            list_class_folders(tmp_path / place)
