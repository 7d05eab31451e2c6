"""The code of a user's own model travels as one archive."""

import sys
import zipfile
from pathlib import Path

import pytest

from jobs.errors import InvalidExperimentError
from jobs.experiment import load_experiment
from jobs.models.own_code import keep_code, pack_code, use_code


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "my_nets"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "small.py").write_text("WIDTH = 7\n")
    (folder / "__pycache__" / "small.pyc").write_text("old")
    return folder


def test_packages_modules_and_archives_become_one_archive(tmp_path: Path, package: Path) -> None:
    (tmp_path / "one_module.py").write_text("ONE = 1\n")
    with zipfile.ZipFile(tmp_path / "others.zip", "w") as archive:
        archive.writestr("others/__init__.py", "")
    code = (package, tmp_path / "one_module.py", tmp_path / "others.zip")
    packed = pack_code(code)
    assert packed == pack_code(code), "the same code gives the same bytes"
    (tmp_path / "packed.zip").write_bytes(packed)
    assert zipfile.ZipFile(tmp_path / "packed.zip").namelist() == [
        "my_nets/__init__.py", "my_nets/small.py", "one_module.py", "others/__init__.py",
    ]  # fmt: skip


def test_a_study_keeps_the_code_that_it_was_begun_with(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    assert keep_code((package,), study) == keep_code((package,), study)
    (package / "small.py").write_text("WIDTH = 8\n")
    with pytest.raises(InvalidExperimentError, match=r"study study was begun with other code; accepted: the same"):
        keep_code((package,), study)
    monkeypatch.setattr(sys, "path", [*sys.path])
    use_code(study)
    import my_nets.small  # type: ignore[import-not-found]

    assert my_nets.small.WIDTH == 7


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("jobs.py", "", "jobs is Atoll's own package; accepted: another name"),
        ("notes.txt", "", "is no package, module or archive; accepted: a folder, a .py file, a .zip file"),
        ("broken.zip", "", "is no package, module or archive"),
    ],
)
def test_what_cannot_be_shipped_is_told(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidExperimentError, match=said):
        pack_code((tmp_path / name,))


@pytest.mark.parametrize("target", ["/proc/self/environ", "../secret.py"])
def test_a_link_out_of_the_code_is_not_packed(tmp_path: Path, package: Path, target: str) -> None:
    (tmp_path / "secret.py").write_text("PASSWORD = 1\n")
    (package / "innocent.py").symlink_to(target)
    with pytest.raises(InvalidExperimentError, match=r"innocent\.py: a link out of .*; accepted: files of the folder"):
        pack_code((package,))


def test_a_link_within_the_code_is_packed(package: Path) -> None:
    (package / "alias.py").symlink_to("small.py")
    assert b"my_nets/alias.py" in pack_code((package,))


def test_an_archive_that_holds_more_than_code_does_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb/__init__.py", "w") as member,
    ):
        for _ in range(101):
            member.write(bytes(1_000_000))
    assert (tmp_path / "bomb.zip").stat().st_size < 200_000
    with pytest.raises(InvalidExperimentError, match=r"bomb\.zip: more than 100 MB; accepted: code alone"):
        pack_code((tmp_path / "bomb.zip",))


def test_two_files_of_one_name_are_told(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "other" / "my_nets"
    other.mkdir(parents=True)
    (other / "small.py").write_text("WIDTH = 9\n")
    with pytest.raises(InvalidExperimentError, match=r"my_nets/small\.py is there already"):
        pack_code((package, other))


def test_code_is_found_beside_the_experiment_file(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = """
name: mine
dataset: {source: digits}
model: my_nets.small:build
code: [my_nets]
search: {growth: [2, 4], style: {values: [plain, wide], when: {growth: 4}}}
default: {learning_rate: 0.01, batch_size: 32, growth: 2, style: plain}
budget: {epochs: 1}
"""
    path.write_text(text)
    experiment = load_experiment(path)
    assert experiment.code == (package,)
    points = experiment.search.grid(experiment.default)
    assert [point.given() for point in points] == [
        {"learning_rate": 0.01, "batch_size": 32, "growth": growth, "style": style}
        for growth, style in ((2, "plain"), (4, "plain"), (4, "wide"))
    ]
    path.write_text(text.replace("[my_nets]", "[my_net]"))
    with pytest.raises(
        InvalidExperimentError, match=r"mine\.yaml: code: 'my_net' does not exist; accepted: a package's"
    ):
        load_experiment(path)
    path.write_text(text.replace("search: {growth", "search: {depth: [1], growth"))
    with pytest.raises(
        InvalidExperimentError, match=r"search\.depth: has no default; accepted: a value in default\.depth"
    ):
        load_experiment(path)
