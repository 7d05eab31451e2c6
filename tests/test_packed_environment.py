"""Executors whose Python environment comes packed with the application, as docs/other-clusters.md says, on two real workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.workspace import REPOSITORY
from tests.standalone_cluster import Cluster

pytestmark = pytest.mark.spark

TASK = """
import json, sys
from jobs.spark import spark_application

def where(number):
    import packed
    return number, sys.prefix, packed.__file__

with spark_application("packed") as (context, layout):
    print(json.dumps([layout.cores, context.parallelize(range(2), 2).map(where).collect()]))
"""


def pack(folder: Path) -> Path:
    """Makes an environment with one module of its own, and packs it without rewriting anything."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "packed.py").touch()
    archive = folder / "environment.tar.gz"
    subprocess.run(["sh", "-c", "tar -czf ../environment.tar.gz *"], cwd=environment, check=True)  # as the page says
    environment.rename(folder / "gone")  # what was unpacked needs nothing of it
    return archive


def test_executors_run_in_the_environment_that_travels_with_the_application(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text(TASK)
    settings = {
        "spark.archives": f"{pack(tmp_path)}#environment",
        "spark.pyspark.python": "./environment/bin/python",
        "spark.pyspark.driver.python": sys.executable,
        "spark.executor.cores": "1",
        "spark.executor.memory": "512m",
    }
    conf = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    done = subprocess.run(
        ["spark-submit", "--master", cluster.master, *conf, str(tmp_path / "where.py")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cores, places = json.loads(done.stdout.splitlines()[-1])
    assert cores == 1
    for _, prefix, module in places:
        assert Path(prefix).name == "environment"
        assert "work-" in prefix, "unpacked by a worker"
        assert module.startswith(prefix)
