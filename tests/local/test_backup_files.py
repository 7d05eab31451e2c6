"""Copying a workspace that others write to: days as one run left them, what vanishes, what is not to be copied."""

import os
import threading
from pathlib import Path

import pytest

from jobs.labelling.destination import Destination
from jobs.labelling.publish import publish, seal
from jobs.workspace import Workspace
from local.backup.files import copy_day, copy_folder, copy_published
from local.errors import BackupRefusedError
from tests.local.published_days import DAY, IMAGES, runs_seen, staged_by


@pytest.fixture
def day(tmp_path: Path) -> Destination:
    """A day that was published once, by the run `old`."""
    destination = Destination.of_day(Workspace(tmp_path / "home"), "tones", DAY)
    with destination.locked():
        publish(destination, *staged_by(destination, "old"), IMAGES)
    return destination


def test_every_copy_made_while_a_day_is_published_over_and_over_is_of_one_run(day: Destination, tmp_path: Path) -> None:
    over = threading.Event()

    def publish_again() -> None:
        number = 0
        while not over.is_set():
            with day.locked():
                publish(day, *staged_by(day, f"run {number}"), IMAGES)
            number += 1

    publisher = threading.Thread(target=publish_again)
    publisher.start()
    try:
        seen = []
        for number in range(40):
            copy = Workspace(tmp_path / f"copy-{number}")
            copy_day(day, Destination.of_day(copy, "tones", DAY), patience=60)
            seen.append(runs_seen(copy.root))
    finally:
        over.set()
        publisher.join()
    assert [labels for labels, quarantine in seen if labels != quarantine or len(labels) != 1] == []
    assert len({label for labels, _ in seen for label in labels}) > 3, "it was published meanwhile"


def half_published(day: Destination) -> None:
    """Leaves a day as a driver does that dies between its two folders: decided, the new labels, the old quarantine."""
    with day.locked():
        staged, parts = staged_by(day, "new")
        seal(staged, parts, IMAGES)
    day.journal.write_text(f'{{"run": "{staged.run}", "labels": "{day.labels.name}"}}')
    day.labels.rename(day.labels.with_name("aside"))
    staged.labels.rename(day.labels)


def test_a_day_whose_driver_died_while_publishing_it_is_completed_and_copied(day: Destination, tmp_path: Path) -> None:
    half_published(day)
    copy_published(Workspace(tmp_path / "home"), Workspace(tmp_path / "copy"))
    assert runs_seen(tmp_path / "copy") == ({"new"}, {"new"})
    assert runs_seen(tmp_path / "home") == ({"new"}, {"new"})


def test_a_day_that_never_stands_still_is_told(day: Destination, tmp_path: Path) -> None:
    half_published(day)
    target = Destination.of_day(Workspace(tmp_path / "copy"), "tones", DAY)
    with day.locked(), pytest.raises(BackupRefusedError, match="ds=2026-03-01: is being published and has not come to"):
        copy_day(day, target, patience=0)
    assert not target.labels.exists()


def test_locks_and_what_is_being_written_stay_behind_and_times_and_links_are_kept(
    day: Destination, tmp_path: Path
) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    (home / "labels" / "tones" / "note.txt").write_text("somebody's own")
    (home / "labels" / "tones" / ".ds=2026-03-02.staged-0").mkdir()
    copied = copy_published(Workspace(home), Workspace(copy))
    found = sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file())
    assert [name for name in found if "/." in name] == []
    assert "labels/tones/note.txt" in found
    assert copied.files == len(found)
    study = home / "studies" / "digits"
    study.mkdir(parents=True)
    (study / "leaderboard.json").write_text("{}")
    (study / "latest").symlink_to("leaderboard.json")
    os.utime(study, (1_000_000_000, 1_000_000_000))
    assert copy_folder(home / "studies", copy / "studies").files == 2
    assert (copy / "studies" / "digits" / "latest").readlink() == Path("leaderboard.json")
    assert (copy / "studies" / "digits").stat().st_mtime == 1_000_000_000
