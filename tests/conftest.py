"""What all tests share."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.object_server import ObjectServer, forget_connection, object_server
from tests.standalone_cluster import Cluster, standalone_cluster

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile("atoll", deadline=None)  # a busy machine is no failure
settings.load_profile("atoll")

QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Hundreds of virtual machines live for seconds each: optimising their code took a third of each one's time."""

# Airflow makes its home when it is first imported: before any fixture.
_airflow_home = tempfile.TemporaryDirectory(prefix="atoll-airflow-")
os.environ["AIRFLOW_HOME"] = _airflow_home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="session", autouse=True)
def _quiet_and_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes this machine's workspace, databases or experiments."""
    for name in [name for name in os.environ if name.startswith(("ATOLL_", "MLFLOW_")) and name != "ATOLL_TEST_DATA"]:
        del os.environ[name]
    os.environ["ATOLL_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["JDK_JAVA_OPTIONS"] = QUICK_JVM


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with MNIST, the stock graph and the photos."""
    folder = Path(os.environ.get("ATOLL_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no test data at {folder}; set ATOLL_TEST_DATA to the folder that holds mnist/, stock/ and photos/"
        )
    return folder


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A standalone cluster of two workers with one core each."""
    with standalone_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def _object_server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


@pytest.fixture
def store(_object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """An S3 server, which this process and all that it starts know from the environment alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in _object_server.environment.items():
        monkeypatch.setenv(name, value)
    _object_server.requests.clear()
    forget_connection()
    yield _object_server
    forget_connection()


Submitted = subprocess.CompletedProcess[str]


@pytest.fixture
def spark_submit() -> Callable[..., Submitted]:
    """Runs an application of `jobs/` by spark-submit, as a user would."""

    def submit(
        script: str, *arguments: object, conf: dict[str, str] | None = None, master: str = "local[2]"
    ) -> Submitted:
        settings = [text for key, value in (conf or {}).items() for text in ("--conf", f"{key}={value}")]
        command = ["spark-submit", "--master", master, *settings, f"jobs/{script}.py", *map(str, arguments)]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)

    return submit


@pytest.fixture(scope="module")  # while it is open, no other test can run an event loop
def browser() -> "Iterator[Browser]":
    """A headless Chromium of the system."""
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright here: make test installs it")
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


def read_json(path: Path) -> dict:
    """Reads a result as anyone outside of Atoll would."""
    return json.loads(path.read_text())
