"""The operator that runs one of Atoll's spark-submit applications and hands its result on."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseHook, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from pydantic import BaseModel, TypeAdapter

from atoll.cluster_mode import check_provider, driver_environment, follow_driver, in_cluster_mode
from atoll.links import LINKS, links_from
from atoll.process_tree import ask, descendants, end
from atoll.spark_log import readable
from jobs.application import ERROR_FILE
from jobs.ends_with import ENDS_WITH
from jobs.files import write_atomically
from jobs.results import Failure
from jobs.spark import archive_code
from jobs.workspace import REPOSITORY, Workspace

_json_object = TypeAdapter(dict[str, Any]).validate_json


class SparkJobOperator(SparkSubmitOperator):
    """Runs `jobs/<job>.py` by spark-submit; its `result.json` becomes the task's XCom.

    A mistake that someone must mend (a wrong experiment file, a missing image set) fails the task at once, with the job's own
    message; what may pass (an unreachable master, a lock that another driver holds) is left to the task's retries.

    Args:
        job: Name of the application in `jobs/`, without `.py`.
        arguments: Its arguments, each an option's name and a value (templated); a pair whose value is empty or `None` after
            templating is left out.
        conf: Spark settings (templated); one whose value is empty or `None` after templating is left out.
        result: What `result.json` must be; None takes any JSON object.
        conn_id: The Spark connection. An unknown one fails the task, where `SparkSubmitOperator` would turn to YARN.
    """

    template_fields: Sequence[str] = (*SparkSubmitOperator.template_fields, "arguments")
    operator_extra_links = LINKS
    ui_color = "#d5eef2"

    def __init__(
        self,
        *,
        job: str,
        arguments: Mapping[str, str],
        conf: Mapping[str, str] | None = None,
        result: type[BaseModel] | None = None,
        conn_id: str = "spark_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            application=str(REPOSITORY / "jobs" / f"{job}.py"),
            name="{{ dag.dag_id }}.{{ task.task_id }} {{ run_id }}",
            conf=dict(conf or {}),
            conn_id=conn_id,
            spark_binary=_spark_submit(),
            env_vars=_driver_environment(),
            **kwargs,
        )
        self.conn_id = conn_id
        self.arguments = dict(arguments)
        self.result = result
        self._announced: dict[str, str] = {}
        self._left: tuple[Path, ...] = ()
        self._task_instance: Any = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Submits the job, waits for it and gives its result.

        Raises:
            AirflowFailException: The connection is not defined, or the job says what its user must mend.
            AirflowException: The job failed; a retry may help.
        """
        self._check_connection()
        self._task_instance = context.get("ti")
        workspace = Workspace.open()
        run = workspace.run(context["dag"].dag_id, context["run_id"], context["task"].task_id)
        result, error = run / "result.json", run / ERROR_FILE
        self._left = (result, error)
        self.conf = {key: value for key, value in (self.conf or {}).items() if value not in ("", "None")}
        self.py_files = str(_shipped_code(workspace))
        self.application_args = [*_options(self.arguments), "--workspace", str(workspace.root), "--result", str(result)]
        try:
            super().execute(context)
        except (AirflowException, RuntimeError):  # the latter of a driver on the cluster
            if self._hook is None or not error.exists():
                raise
            failure = Failure.model_validate_json(error.read_bytes())
            raise (AirflowException if failure.transient else AirflowFailException)(failure.message) from None
        content = result.read_bytes()
        return (
            self.result.model_validate_json(content).model_dump(mode="json") if self.result else _json_object(content)
        )

    def on_kill(self) -> None:
        """Ends spark-submit, its JVM, its Python driver and whatever these have started."""
        submitted = self._hook._submit_sp if self._hook else None
        tree = descendants(submitted.pid) if submitted else []
        if submitted and not in_cluster_mode(
            self._hook
        ):  # there Airflow ends the application only while spark-submit runs
            ask(submitted, tree)
        if self._hook:
            super().on_kill()
        if forced := end(tree):
            self.log.warning("%d of %d processes did not end by themselves and were killed", forced, len(tree))

    def announced_links(self) -> dict[str, str | None]:
        """Gives the addresses of the task's links as far as its job has announced them, by the keys of their XComs."""
        return links_from(self._announced)

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        if in_cluster_mode(hook):
            hook._env_vars = driver_environment(os.environ)
            self.durable = follow_driver(hook, self.conn_id)
        else:
            # This process and the supervisor that Airflow has put above it: where either is killed, nobody awaits the driver.
            # Given to spark-submit, whatever the master: as `env_vars` some would get it as a setting of the cluster's.
            hook._env = {**(hook._env_vars or {}), ENDS_WITH: f"{os.getpid()} {os.getppid()}"}
            hook._env_vars = None
        submit = hook.submit
        hook.submit = lambda *arguments, **options: self._submit_anew(submit, *arguments, **options)
        if not (hook._is_yarn or hook._is_kubernetes or hook._should_track_driver_status):
            # There the hook finds the application's identifier in Spark's own lines. It has no seam for what comes before.
            log_lines = hook._process_spark_submit_log
            hook._process_spark_submit_log = lambda lines: log_lines(readable(lines, self._announce))
        return hook

    def _submit_anew(self, submit: Callable[..., str | None], *arguments: Any, **options: Any) -> str | None:
        """Removes what an earlier try has left; a try that only finds its driver again keeps it."""
        for stale in self._left:
            stale.unlink(missing_ok=True)
        return submit(*arguments, **options)

    def _announce(self, found: dict[str, str]) -> None:
        """Shows a link while the task still runs; Airflow itself makes them only at its end."""
        before = self.announced_links()
        self._announced |= found
        for key, address in self.announced_links().items():
            if self._task_instance is not None and address and address != before[key]:
                self._task_instance.xcom_push(key=key, value=address)

    def _check_connection(self) -> None:
        try:
            host = BaseHook.get_connection(self.conn_id).host or ""
            problem = None if host else "has no host"
            check_provider(host, self.conn_id)
        except AirflowNotFoundException:
            problem = "is not defined"
        if problem:
            raise AirflowFailException(
                f"connection {self.conn_id!r} {problem}; accepted: a Spark connection, for example "
                'AIRFLOW_CONN_SPARK_DEFAULT=\'{"conn_type": "spark", "host": "spark://HOST", "port": 7077}\''
            )


def _options(arguments: Mapping[str, str]) -> list[str]:
    given = {name: value for name, value in arguments.items() if value not in ("", "None", None)}
    # In one word each: whatever a value begins with, it is never taken for an option of its own.
    return [f"--{name}={value}" for name, value in given.items()]


def _shipped_code(workspace: Workspace) -> Path:
    """Packs `jobs` for the executors, once for each state of the code, and gives the archive."""
    with tempfile.TemporaryDirectory(prefix="atoll-code-") as scratch:
        code = archive_code(Path(scratch)).read_bytes()
    archive = workspace.root / "code" / hashlib.sha256(code).hexdigest()[:16] / "jobs.zip"
    if not archive.exists() or archive.read_bytes() != code:  # what executors can write, their code may have changed
        write_atomically(archive, code)
    return archive


def _spark_submit() -> str:
    beside_python = Path(sys.executable).with_name("spark-submit")
    return str(beside_python) if beside_python.exists() else "spark-submit"


def _driver_environment() -> dict[str, str]:
    """What the driver needs where no shell has activated its environment; what the user has set is left alone."""
    pyspark = importlib.util.find_spec("pyspark")  # found, not imported: a DAG file is parsed every few seconds
    found = {"PYSPARK_DRIVER_PYTHON": sys.executable}
    if pyspark is not None and pyspark.submodule_search_locations:
        found["SPARK_HOME"] = pyspark.submodule_search_locations[0]
    return {name: value for name, value in found.items() if name not in os.environ}
