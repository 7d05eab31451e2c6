"""What must hold before anything is started: Java, a workspace with room, a Spark master that answers."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from jobs.spark import check_master
from local.errors import JavaNotFoundError, WorkspaceNotWritableError
from local.ports import check_free
from local.settings import Settings

JAVA_VERSION = 17
"""The oldest Java that Spark 4.3 runs on."""

SPACE_NEEDED = 1 << 30
"""Bytes that a first run writes, generously."""

_INSTALL = f"install Java {JAVA_VERSION} or later (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"


def check_machine(settings: Settings) -> None:
    """Checks ports, Java and the Spark master.

    Raises:
        PortTakenError: A fixed port is in use.
        JavaNotFoundError: Java is missing or too old.
        SparkUnavailableError: The standalone master does not answer.
    """
    for port, variable in ((settings.airflow_port, "ATOLL_PORT"), (settings.mlflow_port, "ATOLL_MLFLOW_PORT")):
        if port is not None:
            check_free(port, variable)
    check_java()
    check_master(settings.spark_master)


def check_workspace(root: Path, needed: int = SPACE_NEEDED) -> None:
    """Makes sure that the workspace can be written and has room.

    Args:
        root: The workspace.
        needed: Bytes that must be free.

    Raises:
        WorkspaceNotWritableError: It cannot, or has not.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as probe:
            probe.write(b"\0" * 4096)
        free = shutil.disk_usage(root).free
    except OSError as error:
        raise WorkspaceNotWritableError(
            f"ATOLL_HOME: {str(root)!r} cannot be written ({error.strerror}); accepted: a folder of this user"
        ) from None
    if free < needed:
        raise WorkspaceNotWritableError(
            f"ATOLL_HOME: {str(root)!r} has {free / 1e9:.1f} GB free; accepted: at least {needed / 1e9:.1f} GB"
        )


def check_java() -> None:
    """Asks the Java that Spark will take for its version.

    Raises:
        JavaNotFoundError: There is none, it does not run, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        where = f"JAVA_HOME: {home!r} holds no Java that runs" if home else "Java is not on the PATH"
        raise JavaNotFoundError(f"{where}; {_INSTALL}") from None
    version = java_version(said)
    if version is not None and version < JAVA_VERSION:
        raise JavaNotFoundError(f"{java} is Java {version}, which Spark does not run on; {_INSTALL}")


def java_version(said: str) -> int | None:
    """The main version from what `java -version` says, for example 8 for `1.8.0_402`; None where it says nothing known."""
    numbers = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(numbers.group(1)) if numbers else None
