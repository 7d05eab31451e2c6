"""The cluster of compose.yaml: `cluster.py up|demo|down|backup|restore`, which `make` calls.

It needs Docker with Compose alone.
"""

import argparse
import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENV_FILE = HERE / ".env"

KEYS = "cluster.env"
"""What the passwords and keys are called in a back-up."""

STORE_FILE = HERE / "object-store.env"
STORE_UNSET = """\
# Image sets, labels and quarantine in S3, or in a store that speaks its protocol: see docs/object-stores.md.
# What stands here is known to Airflow's parts and to Spark's workers, so to the code of every experiment.
#ATOLL_DAYS=s3://bucket/prefix
#AWS_ACCESS_KEY_ID=
#AWS_SECRET_ACCESS_KEY=
#AWS_REGION=
#AWS_ENDPOINT_URL=
"""
"""What the file of the object store holds until its user writes into it. It is read in place of the environment, in which
keys for something else may stand."""

DEMO_WORKERS = 2
"""Containers of Spark workers for a demonstration that finds no cluster."""

START_TIMEOUT = 600.0
"""Seconds until every container must be healthy; the first start also makes the databases."""


class ClusterError(Exception):
    """Something is missing, or a container does not become healthy; the message is for the user."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--workers", type=int, default=2, help="containers of Spark workers")
    commands.add_parser("demo")
    commands.add_parser("down").add_argument("--volumes", action="store_true", help="delete what was written, too")
    saved = commands.add_parser("backup")
    saved.add_argument("folder", type=Path, help="a folder that does not exist")
    saved.add_argument(
        "--without-images", action="store_true", help="leave the image sets out, which are kept elsewhere"
    )
    commands.add_parser("restore").add_argument("folder", type=Path, help="a back-up")
    options = parser.parse_args(arguments)
    try:
        if not STORE_FILE.exists():
            _write_private(STORE_FILE, STORE_UNSET)
        if options.command == "up":
            up(options.workers)
        elif options.command == "demo":
            if not ENV_FILE.exists() or not states():
                up(DEMO_WORKERS)
            compose("run", "--rm", "demo")
        elif options.command == "backup":
            backup(options.folder, *(["--without-images"] if options.without_images else []))
        elif options.command == "restore":
            restore(options.folder)
        else:
            compose("down", "--remove-orphans", *(["--volumes"] if options.volumes else []))
    except ClusterError as error:
        print(f"atoll: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def up(workers: int) -> None:
    """Builds the image, starts every container, and waits until all are healthy."""
    if workers < 1:
        raise ClusterError(f"--workers: {workers}; accepted: 1 and up")
    began = time.monotonic()
    settings = write_env()
    compose("build", "--quiet", "migrate")
    print(f"the image is built ({time.monotonic() - began:.0f} s)", flush=True)
    compose("up", "--detach", "--remove-orphans", "--scale", f"spark-worker={workers}")
    wait_until_healthy()
    print(f"Atoll is up on {workers} Spark workers ({time.monotonic() - began:.0f} s).")
    for name, variable, port in (
        ("Airflow", "ATOLL_PORT", 8080),
        ("MLflow", "ATOLL_MLFLOW_PORT", 5000),
        ("Spark", "ATOLL_SPARK_PORT", 8081),
        ("Spark's history", "ATOLL_HISTORY_PORT", 18080),
    ):
        print(f"  {name:<16} http://127.0.0.1:{os.environ.get(variable) or settings.get(variable) or port}")
    print(f"  login            admin, password {settings['ATOLL_ADMIN_PASSWORD']}")
    print("  nights           begin when you switch on tune_model and label_images in Airflow")


def write_env() -> dict[str, str]:
    """Makes passwords and keys at the first start, in a file that only its owner can read; gives what it holds."""
    if not ENV_FILE.exists():
        made = {
            "COMPOSE_PROJECT_NAME": "atoll",
            "ATOLL_ADMIN_PASSWORD": secrets.token_urlsafe(12),
            "ATOLL_SPARK_SECRET": secrets.token_hex(32),
            "POSTGRES_PASSWORD": secrets.token_hex(32),
            "AIRFLOW_FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "AIRFLOW_JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW_API_SECRET_KEY": secrets.token_hex(32),
        }
        _write_private(ENV_FILE, "".join(f"{name}={value}\n" for name, value in made.items()))
        print(f"made passwords and keys: {ENV_FILE.relative_to(HERE.parent)}")
    lines = ENV_FILE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def backup(folder: Path, *options: str) -> None:
    """Writes databases, workspace and keys of a cluster that runs into a new folder; all of it or nothing."""
    folder = folder.absolute()
    if os.path.lexists(folder):
        raise ClusterError(f"{folder}: exists; accepted: a new folder")
    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    command = _inside("local", "backup", "-", *options)
    try:
        staged.mkdir(mode=0o700)
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE) as writer:
            unpack = ["tar", "--extract", "--no-same-owner", "--file=-", f"--directory={staged}"]
            unpacked = subprocess.run(unpack, stdin=writer.stdout, check=False)
        if writer.returncode or unpacked.returncode or not (staged / "manifest.json").exists():
            ended = writer.returncode or unpacked.returncode
            raise ClusterError(f"the back-up ended with {ended}; nothing was written")
        _write_private(staged / KEYS, ENV_FILE.read_text())
        _write_private(staged / STORE_FILE.name, STORE_FILE.read_text())
        staged.rename(folder)
    except OSError as error:
        raise ClusterError(f"{folder}: {error}; nothing was written") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    print(f"The back-up is in {folder}. It holds the passwords and keys of the cluster.")


def restore(folder: Path) -> None:
    """Fills the databases and the workspace of a cluster that has nothing yet, and takes over its keys; starts nothing more."""
    if ENV_FILE.exists():
        raise ClusterError(
            f"{ENV_FILE}: exists, so a cluster was made here; accepted: a clone without one (cluster.py down --volumes "
            "deletes what a cluster wrote; then remove that file)"
        )
    for needed in (folder / KEYS, folder / "manifest.json"):
        if not needed.is_file():
            raise ClusterError(f"{needed}: missing; accepted: a folder that cluster.py backup has written")
    _write_private(ENV_FILE, (folder / KEYS).read_text())
    if (folder / STORE_FILE.name).exists() and STORE_FILE.read_text() == STORE_UNSET:
        STORE_FILE.write_text((folder / STORE_FILE.name).read_text())
    try:
        compose("build", "--quiet", "migrate")
        compose("up", "--detach", "postgres")
        wait_until_healthy()
        pack = [
            "tar",
            "--create",
            f"--exclude=./{KEYS}",
            f"--exclude=./{STORE_FILE.name}",
            "--file=-",
            f"--directory={folder.absolute()}",
            ".",
        ]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packer:
            reader = subprocess.run(_inside("local", "restore", "-"), cwd=HERE, stdin=packer.stdout, check=False)
            if packer.stdout:
                packer.stdout.close()  # so that it ends when the reader has ended early
        if ended := reader.returncode or packer.returncode:
            raise ClusterError(f"the restore ended with {ended}; nothing was restored")
    except (ClusterError, OSError) as error:
        compose("down")
        ENV_FILE.unlink()  # so that it can be tried again; what the containers wrote fits the same keys
        if isinstance(error, ClusterError):
            raise
        raise ClusterError(f"{folder}: {error}; nothing was restored") from None
    print("Restored. Start the cluster with: make cluster-up")


def wait_until_healthy() -> None:
    """Waits for every container; says which is not healthy, with the end of its log."""
    deadline = time.monotonic() + START_TIMEOUT
    while waiting := {name: state for name, state in states().items() if state not in ("healthy", "exited 0")}:
        broken = [name for name, state in waiting.items() if state.startswith(("exited", "dead"))]
        if broken or time.monotonic() > deadline:
            name = (broken or list(waiting))[0]
            log = subprocess.run(["docker", "logs", "--tail", "20", name], capture_output=True, text=True, check=False)
            raise ClusterError(f"{name} is {waiting[name]}; the end of its log:\n{log.stdout}{log.stderr}")
        time.sleep(1)


def states() -> dict[str, str]:
    """Gives the state of each container by its name: `healthy`, `starting`, `unhealthy`, `exited 0`, ..."""
    found = subprocess.run(
        [*_compose(), "ps", "--all", "--quiet"] if _compose()[0] == "docker" else [*_compose(), "ps", "--quiet"],
        cwd=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise ClusterError(f"Docker does not say what runs: {found.stderr.strip()}")
    inspected = subprocess.run(
        ["docker", "inspect", *found.stdout.split()], capture_output=True, text=True, check=False
    )
    states = {}
    for container in json.loads(inspected.stdout or "[]"):
        state = container["State"]
        if state["Status"] == "exited":
            states[container["Name"].lstrip("/")] = f"exited {state['ExitCode']}"
        else:
            health = state.get("Health", {}).get("Status")
            states[container["Name"].lstrip("/")] = health or state["Status"]
    return states


def compose(*arguments: str) -> None:
    """Runs Compose on compose.yaml.

    Raises:
        ClusterError: It fails; its own words are on the terminal.
    """
    if not ENV_FILE.exists():
        raise ClusterError("the cluster was never started here; start it with: make cluster-up")
    status = subprocess.run([*_compose(), *arguments], cwd=HERE, check=False).returncode
    if status:
        raise ClusterError(f"docker compose {arguments[0]} ended with {status}")


def _inside(module: str, *arguments: str) -> list[str]:
    """Gives the command that runs a module in a container of its own, with the streams of this process."""
    if not ENV_FILE.exists():
        raise ClusterError("the cluster was never started here; start it with: make cluster-up")
    return [*_compose(), "run", "--rm", "-T", "--no-deps", "backup", "python", "-m", module, *arguments]


def _write_private(path: Path, content: str) -> None:
    """Writes a file that at no moment anyone but its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)


@cache
def _compose() -> tuple[str, ...]:
    """Gives the command of Compose: Docker's plug-in, or the program of its own that it was before."""
    for command in (("docker", "compose"), ("docker-compose",)):
        try:
            if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            continue
    raise ClusterError("Docker with Compose is needed: https://docs.docker.com/compose/install")


if __name__ == "__main__":
    sys.exit(main())
