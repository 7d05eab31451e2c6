"""What the documentation shows can be done as it is written."""

import re
from pathlib import Path

import pytest

from jobs import label_images
from jobs.datasets.class_folders import list_class_folders
from jobs.datasets.sources import ImageFeaturesSource, ImageFolderSource
from jobs.errors import InvalidDatasetError, InvalidExperimentError
from jobs.experiment import load_experiment
from jobs.results import QuarantineReason
from jobs.workspace import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_attack_on_the_page_is_answered_by_a_test_that_is_there() -> None:
    page = REPOSITORY / "docs" / "security.md"
    named = re.findall(r"\[([a-z0-9 ]+)\]\((\.\./tests/[^)]+)\)", page.read_text())
    assert len(named) > 50
    missing = [
        name for name, path in named if f"def test_{name.replace(' ', '_')}(" not in (page.parent / path).read_text()
    ]
    assert missing == []


def test_the_experiment_on_the_page_is_valid_and_its_mistake_is_told_as_the_page_says(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "adding-an-experiment.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    path = tmp_path / "wide.yaml"
    path.write_text(found[1])
    experiment = load_experiment(path)
    assert len(experiment.search.grid(experiment.default)) == 31
    path.write_text(found[1].replace("low: 0.0003, high: 0.03", "low: 0.03, high: 0.0003"))
    with pytest.raises(InvalidExperimentError) as mistake:
        load_experiment(path)
    assert str(mistake.value).replace(str(tmp_path), "experiments") in text


def test_images_of_ones_own_are_laid_out_and_named_as_the_page_shows_and_its_mistake_is_told(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "adding-an-experiment.md").read_text()
    section = text.partition("## Images of your own")[2].partition("\n## ")[0]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found
    path = tmp_path / "experiments" / "flowers.yaml"
    path.parent.mkdir()
    path.write_text(found[1])
    source = load_experiment(path).dataset
    assert isinstance(source, ImageFolderSource)
    assert source.folder == tmp_path / "flowers"
    classes = re.findall(r"^      (\w+)/", section, re.MULTILINE)
    for name in classes:
        (source.folder / name).mkdir(parents=True)
        (source.folder / name / "001.jpg").touch()
    assert list_class_folders(source.folder).classes == tuple(classes) == ("daisy", "rose", "tulip")
    (source.folder / "tulip" / "001.jpg").unlink()
    with pytest.raises(InvalidDatasetError) as mistake:
        list_class_folders(source.folder)
    assert str(mistake.value).replace(str(tmp_path), "/data") in section


def test_a_head_on_features_is_described_by_a_valid_experiment_that_repeats_no_point(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "adding-an-experiment.md").read_text()
    section = text.partition("## A head on features")[2].partition("\n## ")[0]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found
    path = tmp_path / "experiments" / "flowers_head.yaml"
    path.parent.mkdir()
    path.write_text(found[1])
    experiment = load_experiment(path)
    source = experiment.dataset
    assert isinstance(source, ImageFeaturesSource)
    assert source.folder == tmp_path / "flowers"
    assert source.graph == tmp_path / "graphs" / "classify_image_graph_def.pb"
    assert len(experiment.search.grid(experiment.default)) == 3 * (1 + 2) + 1


@pytest.mark.parametrize("page", ["README.md", "docs/airflow.md"])
def test_every_variable_on_the_page_is_read_somewhere(page: str) -> None:
    code = "".join(
        path.read_text()
        for folder in ("jobs", "dags", "plugins", "local", "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
    )
    named = set(re.findall(r"`(ATOLL_\w+)`", (REPOSITORY / page).read_text()))
    assert named
    assert [name for name in sorted(named) if f'"{name}"' not in code] == []


@pytest.mark.parametrize("page", ["architecture.md", "labelling.md"])
def test_every_quarantine_reason_is_explained(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text()
    assert [reason for reason in QuarantineReason.__args__ if f"| `{reason}` |" not in text] == []


def test_every_option_of_labelling_is_explained_with_its_default() -> None:
    text = (REPOSITORY / "docs" / "labelling.md").read_text()
    for action in label_images.parser()._actions:
        option = action.option_strings[-1]
        if option == "--help":
            continue
        rows = [line for line in text.splitlines() if re.search(rf"[` ]{option}[` ]", line)]
        assert rows, f"{option} is not on the page"
        if isinstance(action.default, int | float) and action.nargs != 0:  # a switch is off
            assert any(f" {action.default:g} " in row for row in rows), f"{option} is {action.default} by default"


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([\w-]+)", (REPOSITORY / "README.md").read_text()))
    assert named
    assert named <= targets
