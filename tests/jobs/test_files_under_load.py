"""Many writers and readers at once, and places where nothing can be written."""

import json
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.files import staged_folder, write_atomically


def at_once(*bodies: Callable[[], None]) -> None:
    """Runs all of them at the same time, and fails with the first that fails."""
    start, failures = threading.Barrier(len(bodies)), []

    def run(body: Callable[[], None]) -> None:
        start.wait(30)
        try:
            body()
        except BaseException as error:  # noqa: BLE001  # raised again below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def test_a_reader_sees_one_writers_text_as_a_whole_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    texts = [json.dumps([writer] * 20_000) for writer in range(3)]
    write_atomically(path, texts[0])
    written = threading.Event()

    def write() -> None:
        try:
            for text in texts * 10:
                write_atomically(path, text)
        finally:
            written.set()

    def read() -> None:
        while not written.is_set():
            assert path.read_text() in texts

    at_once(write, write, read, read)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_of_many_writers_of_one_folder_one_wins_and_the_reader_sees_it_whole(tmp_path: Path) -> None:
    for attempt in range(10):
        target = tmp_path / "sets" / str(attempt)

        def write(target: Path = target) -> None:
            with staged_folder(target) as staged:
                for number in range(5):
                    (staged / str(number)).write_text(staged.name)

        def read(target: Path = target) -> None:
            deadline = time.monotonic() + 30
            while not target.exists():
                assert time.monotonic() < deadline, "no writer has won"
            assert sorted(file.name for file in target.iterdir()) == list("01234")

        at_once(write, write, write, read)
        assert len({file.read_text() for file in target.iterdir()}) == 1
    assert sorted(folder.name for folder in (tmp_path / "sets").iterdir()) == sorted(map(str, range(10)))


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "x")
    with staged_folder(tmp_path / "folder"):
        pass
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_a_writer_that_is_stopped_leaves_nothing(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: int) -> None:
        raise error

    def fill() -> None:
        with staged_folder(tmp_path / "sets" / "one") as staged:
            (staged / "file").write_text("x")
            raise error

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(error):
        write_atomically(tmp_path / "files" / "one", "x")
    with pytest.raises(error):
        fill()
    assert list((tmp_path / "files").iterdir()) == list((tmp_path / "sets").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")

    def fill() -> None:
        with staged_folder(tmp_path / "taken") as staged:
            (staged / "file").write_text("x")

    with pytest.raises(NotADirectoryError):
        fill()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken" / "file", "x")
    assert (tmp_path / "taken").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_in_the_place_of_a_file_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inner").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "taken", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert (tmp_path / "taken" / "inner").is_dir()
