"""The cluster in containers, really started: the demonstration on two Spark workers, and who may not use Spark."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from local.environment import USER
from tests.airflow_rest import AirflowRest
from tests.docker.containers import Containers, containers
from tests.object_server import object_server

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def cluster(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Built from a copy of this checkout, and removed with all that it wrote."""
    with containers(engine, tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def shown(cluster: Containers) -> str:
    """What the demonstration printed; the cluster has a champion and labels now."""
    demo = cluster.run("demo")
    assert demo.returncode == 0, demo.stdout[-4000:] + demo.stderr[-4000:]
    return demo.stdout


def test_the_demonstration_runs_on_it(shown: str) -> None:
    assert "Labelled 179 of 185 images" in shown
    assert "waits for its run" not in shown, "the demonstration is the first run of both DAGs"


def test_its_secrets_are_readable_by_their_owner_alone(cluster: Containers) -> None:
    secrets = cluster.script.parent / ".env"
    assert secrets.stat().st_mode & 0o777 == 0o600


def test_only_who_knows_the_secret_can_use_spark(cluster: Containers) -> None:
    script = 'from pyspark import SparkContext\\nprint("counted", SparkContext().range(3).count())\\n'
    submit = "timeout 90 spark-submit --master spark://spark-master:7077 --conf spark.executor.cores=1 /tmp/count.py"
    written = cluster.inside("scheduler", "sh", "-c", f"printf '{script}' > /tmp/count.py")
    assert written.returncode == 0
    known = cluster.inside("scheduler", "sh", "-c", submit)
    assert "counted 3" in known.stdout, known.stderr[-3000:]
    unknown = cluster.inside("scheduler", "sh", "-c", f"SPARK_CONF_DIR=/tmp {submit}")
    assert unknown.returncode != 0
    assert "counted 3" not in unknown.stdout  # a traceback quotes the script


def test_spark_has_no_door_beside_the_one_that_asks_for_the_secret(cluster: Containers) -> None:
    connect = "import socket; socket.create_connection(('spark-master', 6066), 5)"
    refused = cluster.inside("scheduler", "python", "-c", connect)
    assert "ConnectionRefusedError" in refused.stderr
    read = "import urllib.request as r; print(r.urlopen('http://spark-master:8080/environment').read().decode())"
    page = cluster.inside("scheduler", "python", "-c", read)
    secret = cluster.settings()["ATOLL_SPARK_SECRET"]
    assert "spark.authenticate" in page.stdout
    assert secret not in page.stdout


def test_a_container_that_starts_again_forgets_what_the_killed_have_left(cluster: Containers) -> None:
    left = "mkdir /tmp/blockmgr-1 /tmp/spark-work && touch /tmp/blockmgr-1/block && /opt/atoll/docker/entrypoint.sh ls -A /tmp"
    image = f"atoll:{cluster.project}"
    kept = cluster.docker("run", "--rm", "--entrypoint", "sh", image, "-c", left).split()
    assert ("spark-work" in kept, "blockmgr-1" in kept) == (True, False)


@pytest.mark.usefixtures("shown")
@pytest.mark.skipif(
    "ATOLL_TEST_STORE" not in os.environ, reason="starts containers anew: set ATOLL_TEST_STORE to try it"
)
def test_a_day_of_an_object_store_is_labelled(cluster: Containers) -> None:
    day, images = "2026-05-01", 20
    gateway = cluster.docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", cluster.network)
    with object_server(gateway.strip()) as server:
        names = ("endpoint_url", "aws_access_key_id", "aws_secret_access_key", "region_name")
        store = boto3.client("s3", **dict(zip(names, server.environment.values(), strict=True)))
        store.create_bucket(Bucket="days")
        for number, pixels in enumerate(load_digits().images[:images]):
            file = io.BytesIO()
            Image.fromarray((pixels * 15.9).astype("uint8")).save(file, "png")
            store.put_object(Bucket="days", Key=f"atoll/image_sets/scans/ds={day}/{number}.png", Body=file.getvalue())
        settings = {"ATOLL_DAYS": "s3://days/atoll", **server.environment}
        (cluster.script.parent / "object-store.env").write_text("".join(f"{a}={b}\n" for a, b in settings.items()))
        up = cluster.run("up", "--workers", "2")
        assert up.returncode == 0, up.stdout + up.stderr

        airflow = AirflowRest()
        airflow.connect(
            f"http://127.0.0.1:{cluster.environment['ATOLL_PORT']}", USER, cluster.settings()["ATOLL_ADMIN_PASSWORD"]
        )
        airflow.unpause("label_images")
        run = airflow.trigger("label_images", {"image_set": "scans", "model": "digits", "day": day})
        assert [one.state for one in airflow.end("label_images", run)] == ["success"]
        kept = [one["Key"] for one in store.list_objects_v2(Bucket="days", Prefix="atoll/labels/scans/")["Contents"]]
        assert f"atoll/labels/scans/_published/ds={day}.json" in kept
        count = (
            "import pyarrow.parquet as p; from jobs.object_store import arrow_files as s3; "
            f"print('rows', p.read_table('days/atoll/labels/scans/ds={day}/part-00000.parquet', filesystem=s3()).num_rows)"
        )
        assert f"rows {images}" in cluster.inside("spark-worker", "python", "-c", count).stdout


@pytest.mark.usefixtures("shown")
@pytest.mark.skipif(
    "ATOLL_TEST_BACKUP" not in os.environ, reason="starts the cluster anew: set ATOLL_TEST_BACKUP to try it"
)
def test_a_lost_cluster_comes_back_from_its_back_up(cluster: Containers, tmp_path: Path) -> None:
    keys = (cluster.script.parent / ".env").read_text()
    store, settings = cluster.script.parent / "object-store.env", "AWS_DEFAULT_REGION=eu-west-1\n"
    store.write_text(settings)
    saved = cluster.run("backup", str(tmp_path / "backup"))
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert "exists; accepted: a new folder" in cluster.run("backup", str(tmp_path / "backup")).stderr
    assert "exists, so a cluster was made here" in cluster.run("restore", str(tmp_path / "backup")).stderr
    assert cluster.run("down", "--volumes").returncode == 0
    (cluster.script.parent / ".env").unlink()
    store.unlink()

    restored = cluster.run("restore", str(tmp_path / "backup"))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert (cluster.script.parent / ".env").read_text() == keys
    assert (store.read_text(), store.stat().st_mode & 0o777) == (settings, 0o600)
    up = cluster.run("up", "--workers", "1")
    assert up.returncode == 0, up.stdout + up.stderr
    history = (
        "from jobs.registry.champions import champion_history as h; from jobs.workspace import Workspace as w; "
        "print('champion', h('digits', w.open())[-1].version)"
    )
    assert "champion 1" in cluster.inside("scheduler", "python", "-c", history).stdout
    assert "ds=" in cluster.inside("scheduler", "ls", "/data/labels/digits").stdout
    assert "success" in cluster.inside("scheduler", "airflow", "dags", "list-runs", "label_images", "-o", "json").stdout
