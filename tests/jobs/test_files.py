"""A reader sees all of a file or folder, or nothing of it."""

from pathlib import Path

import pytest

from jobs.files import staged_folder, write_atomically


def test_a_file_appears_whole_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    write_atomically(path, "one")
    write_atomically(path, b"two")
    assert path.read_text() == "two"
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_a_reader_that_holds_the_old_file_open_keeps_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old" * 1000)
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old" * 1000


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "sets" / "one"
    with staged_folder(target) as staged:
        (staged / "file").write_text("x")
        assert not target.exists()
    assert (target / "file").read_text() == "x"
    assert [folder.name for folder in target.parent.iterdir()] == ["one"]


def test_a_folder_whose_making_fails_never_appears(tmp_path: Path) -> None:
    def fill() -> None:
        with staged_folder(tmp_path / "one") as staged:
            (staged / "file").write_text("x")
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_of_the_same_folder_the_first_wins(tmp_path: Path) -> None:
    target = tmp_path / "one"
    with staged_folder(target) as second:
        with staged_folder(target) as first:
            (first / "file").write_text("first")
        (second / "file").write_text("second")
    assert (target / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]
