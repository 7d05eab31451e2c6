"""The whole stack, for real: PostgreSQL, Airflow, MLflow, and everything that must be gone afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import psycopg2
import pydantic
import pytest

from local.environment import USER
from local.errors import AirflowRequestError, RunFailedError
from local.keys import load_secrets
from local.processes import MARKER
from local.progress import PlainDisplay
from local.rest import Airflow, Run
from local.runs import follow, wait_for_dags
from local.state import StackState
from tests.local.support import REPOSITORY, CommandLine, poll

pytestmark = pytest.mark.stack


class Counted(pydantic.BaseModel):
    name: str
    accuracy: float


def state_of(commands: CommandLine) -> StackState:
    return StackState.model_validate_json((commands.home / "stack" / "stack.json").read_text())


def left_running(commands: CommandLine) -> list[str]:
    """Every process that has the workspace in its environment, command line, working folder or open files."""
    home, found = str(commands.home), []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            signs = [*process.cmdline(), process.cwd(), *(file.path for file in process.open_files())]
            signs.append(process.environ().get(MARKER, ""))
        except psutil.Error:
            continue
        if any(home in sign for sign in signs):
            found.append(f"{process.pid} {process.cmdline()}")
    return found


def runs_of(commands: CommandLine, dag: str) -> list[tuple[str, str]]:
    """The kind and the identifier of each run of a DAG, in the order in which they began, from Airflow's own table."""
    secrets = load_secrets(commands.home / "stack")
    with (
        psycopg2.connect(
            f"postgresql://atoll:{secrets.postgres_password}@{state_of(commands).database}/airflow"
        ) as database,
        database.cursor() as cursor,
    ):
        cursor.execute("select run_type, run_id from dag_run where dag_id = %s order by id", (dag,))
        return cursor.fetchall()


def airflow_of(commands: CommandLine, kind: type[Airflow] = Airflow) -> Airflow:
    password = load_secrets(commands.home / "stack").admin_password
    return kind(state_of(commands).airflow_url, USER, password)


def test_up_starts_everything_and_says_so_again_the_second_time(up: CommandLine) -> None:
    again = up.run("up")
    assert again.returncode == 0
    assert "Atoll is up already." in again.stdout
    assert state_of(up).airflow_url in again.stdout
    assert "password" in again.stdout
    status = up.run("status")
    assert status.returncode == 0
    lines = status.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "postgres", "mlflow", "scheduler", "dag-processor", "api-server", "triggerer",
    ]  # fmt: skip
    assert all(" healthy" in line and "not healthy" not in line for line in lines)


def test_secrets_are_for_their_owner_only(up: CommandLine) -> None:
    stack = up.home / "stack"
    for secret in (stack / "secrets.json", stack / "airflow" / "passwords.json"):
        assert secret.stat().st_mode & 0o077 == 0
    assert (stack / "airflow").stat().st_mode & 0o077 == 0
    assert json.loads((stack / "airflow" / "passwords.json").read_text())[USER] == load_secrets(stack).admin_password


def test_a_database_without_the_password_stays_shut(up: CommandLine) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(f"postgresql://atoll:guess@{state_of(up).database}/airflow")


def test_everything_listens_on_the_loopback_address_only(up: CommandLine) -> None:
    state = state_of(up)
    pids = {component.process.pid for component in state.components}
    for process in [psutil.Process(pid) for pid in pids]:
        for member in [process, *process.children(recursive=True)]:
            for connection in member.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::1"), (member.cmdline(), connection.laddr)


def test_a_run_is_followed_to_its_result(up: CommandLine) -> None:
    lines: list[str] = []
    airflow = airflow_of(up)
    wait_for_dags(airflow, ["steps"], None)
    airflow.pause("steps", True)  # whatever other tests have made of it
    run = follow(airflow, "steps", {}, PlainDisplay(lines.append))
    assert airflow.result(run, "count", Counted) == Counted(name="digits", accuracy=0.5)
    shown = "\n".join(lines)
    assert "steps.count: 3 of 3" in shown
    assert "steps.count success after" in shown
    assert "steps.after success" in shown
    assert airflow.paused("steps"), "the DAG is paused again"
    with pytest.raises(AirflowRequestError, match="its result is no StackState"):
        airflow.result(run, "count", StackState)


def test_a_run_that_waits_for_another_says_so(up: CommandLine) -> None:
    lines: list[str] = []
    airflow = airflow_of(up)
    wait_for_dags(airflow, ["one_at_a_time"], None)
    first = airflow.trigger("one_at_a_time", "first", {})
    airflow.pause("one_at_a_time", False)
    poll(lambda: airflow.run(first).state == "running")
    run = follow(airflow, "one_at_a_time", {}, PlainDisplay(lines.append))
    assert run.state == "success"
    assert "one_at_a_time waits for its run first, which began before" in lines[0]
    assert airflow.run(first).state == "success"


class LateAirflow(Airflow):
    """Tells of a run what was so at the look before: it may have begun in between."""

    before: Run | None = None

    def run(self, run: Run) -> Run:
        told, self.before = self.before or run, super().run(run)
        return told


def test_a_run_that_begins_between_two_looks_does_not_wait_for_itself(up: CommandLine) -> None:
    lines: list[str] = []
    airflow = airflow_of(up, LateAirflow)
    wait_for_dags(airflow, ["one_at_a_time"], None)
    assert follow(airflow, "one_at_a_time", {}, PlainDisplay(lines.append)).state == "success"
    assert "waits for its run" not in "\n".join(lines)


def test_a_run_that_takes_the_place_of_the_first_night_is_the_first(up: CommandLine) -> None:
    lines: list[str] = []
    airflow = airflow_of(up)
    wait_for_dags(airflow, ["nightly"], None)
    night = airflow.first_night("nightly")
    assert night is not None, "it would begin with last night's"
    first = follow(airflow, "nightly", {}, PlainDisplay(lines.append), night)
    assert airflow.first_night("nightly") is None, "the first has taken its place"
    second = follow(airflow, "nightly", {}, PlainDisplay(lines.append))
    assert "waits for its run" not in "\n".join(lines)
    assert runs_of(up, "nightly") == [("manual", first.id), ("manual", second.id)]


def test_a_failed_run_names_its_task_and_the_end_of_its_log(up: CommandLine) -> None:
    airflow = airflow_of(up)
    wait_for_dags(airflow, ["breaks"], None)
    with pytest.raises(RunFailedError, match=r"task breaks\.stumble failed") as failure:
        follow(airflow, "breaks", {}, PlainDisplay(lambda line: None))
    assert "the floor is wet" in str(failure.value)


def test_mlflow_answers(up: CommandLine) -> None:
    mlflow = state_of(up).component("mlflow")
    assert mlflow is not None
    assert httpx.get(f"{mlflow.url}/health", timeout=10).status_code == 200


def test_up_mends_a_stack_of_which_a_component_was_killed(up: CommandLine) -> None:
    scheduler = state_of(up).component("scheduler")
    assert scheduler is not None
    os.kill(scheduler.process.pid, signal.SIGKILL)
    poll(lambda: not scheduler.process.alive())
    assert up.run("status").returncode == 3
    mended = up.run("up")
    assert mended.returncode == 0, mended.stderr
    assert "what is left of an earlier start is stopped first" in mended.stdout
    assert up.run("status").returncode == 0
    assert not psutil.pid_exists(scheduler.process.pid)


def test_down_finds_orphans_even_without_the_state_file(up: CommandLine) -> None:
    state = state_of(up)
    for component in state.components:
        if component.name in ("scheduler", "triggerer"):
            os.kill(component.process.pid, signal.SIGKILL)
    (up.home / "stack" / "stack.json").unlink()
    assert len(left_running(up)) > 2
    down = up.run("down")
    assert down.returncode == 0
    assert "Atoll is down." in down.stdout
    assert left_running(up) == []
    assert up.run("status").returncode == 3
    assert "was down already" in up.run("down").stdout


def napping_demo(commands: CommandLine, folder: Path) -> "tuple[subprocess.Popen[str], Path]":
    """Starts a demo whose DAG never ends, and waits until its task runs; gives the demo and the file with its task's number."""
    nap = folder / "nap"
    demo = subprocess.Popen(
        [sys.executable, "-m", "tests.local.interrupted_demo"],
        cwd=REPOSITORY,
        env=commands.environment | {"NAP_FILE": str(nap)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    poll(lambda: nap.exists() and nap.read_text(), seconds=120)
    return demo, nap


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(
    commands: CommandLine, tmp_path: Path, number: signal.Signals
) -> None:
    assert commands.run("down").returncode == 0
    demo, nap = napping_demo(commands, tmp_path)
    sleeper = psutil.Process(int(nap.read_text()))
    assert sleeper.is_running()
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "nothing is left running" in errors
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE
    assert left_running(commands) == []


def test_a_killed_demo_is_cleared_away_by_down(commands: CommandLine, tmp_path: Path) -> None:
    assert commands.run("down").returncode == 0
    demo, _ = napping_demo(commands, tmp_path)
    busy = commands.run("up")
    assert busy.returncode == 1
    assert "a demo is running" in busy.stderr
    demo.kill()
    demo.communicate()
    assert commands.run("down").returncode == 0
    assert left_running(commands) == []


def test_a_component_that_dies_at_start_shows_the_end_of_its_log(commands: CommandLine) -> None:
    assert commands.run("down").returncode == 0
    failed = commands.run("up", AIRFLOW__TRIGGERER__CAPACITY="many")
    assert failed.returncode == 1
    assert "triggerer ended while starting; the last lines of" in failed.stderr
    assert "many" in failed.stderr
    assert left_running(commands) == []


def test_a_taken_port_is_one_clear_line(commands: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = commands.run("up", ATOLL_PORT=port)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"atoll: error: ATOLL_PORT: port {port} cannot be had")
    assert "Traceback" not in refused.stderr
    assert left_running(commands) == []
