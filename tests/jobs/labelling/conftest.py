"""What the tests of labelling share: the stock graph, photos, and a destination."""

import argparse
import os
import subprocess

import pytest

from jobs.label_images import parser
from jobs.labelling.destination import Destination
from jobs.labelling.request import request_from


@pytest.fixture(scope="session")
def stock(test_data):
    """Arguments for the stock graph and its labels."""
    folder = test_data / "stock"
    return ["--graph", folder / "mobilenet_v2_imagenet_frozen.pb", "--labels", folder / "imagenet_labels.txt"]


@pytest.fixture
def destination(tmp_path):
    return Destination.in_folder(tmp_path / "out")


@pytest.fixture
def options():
    """Parses a command line as `application.run` does."""

    def parse(*arguments: object) -> argparse.Namespace:
        declared = parser()
        declared.add_argument("--workspace")
        return declared.parse_args([str(argument) for argument in arguments])

    return parse


@pytest.fixture
def request_for(options):
    return lambda *arguments: request_from(options(*arguments))


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a real disk of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk that is small enough to fill")
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
