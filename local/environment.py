"""The environment of every process of the stack: Airflow's settings, the databases, Spark's defaults."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from jobs.workspace import REPOSITORY
from local.databases import Databases
from local.keys import Secrets, write_private
from local.processes import MARKER
from local.settings import Settings

USER = "admin"
"""The name that logs in to Airflow."""

_UNWANTED = ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "PYTHONHOME", "PYTHONPATH")

_SPARK_DEFAULTS = {
    "spark.ui.enabled": "false",
    # A session lives for a minute: the second compiler and parallel collection cost more than they give.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.pyspark.driver.python": sys.executable,
    "spark.pyspark.python": sys.executable,
}


@dataclass(frozen=True)
class AirflowPorts:
    """Where Airflow's components listen on the loopback address.

    Attributes:
        api: Its UI and REST interface.
        worker_logs: The scheduler's log server.
        trigger_logs: The triggerer's log server.
    """

    api: int
    worker_logs: int
    trigger_logs: int

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://127.0.0.1:{self.api}"


def base_environment(settings: Settings, databases: Databases) -> dict[str, str]:
    """What every process of the stack inherits, on top of the user's own environment."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):  # without byte code everything starts at half the speed
        environment.setdefault("PYTHONPYCACHEPREFIX", str(settings.folder / "bytecode"))
    path = environment.get("PATH", os.defpath)
    return environment | {
        MARKER: settings.marker,
        "ATOLL_HOME": str(settings.workspace.root),
        "ATOLL_EXPERIMENTS": str(settings.experiments),
        "ATOLL_OPTUNA_STORAGE": databases.optuna,
        "MLFLOW_TRACKING_URI": databases.mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), path]),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
    }


def airflow_environment(
    settings: Settings, secrets: Secrets, databases: Databases, ports: AirflowPorts, *, schedules: bool
) -> dict[str, str]:
    """The environment of Airflow's components and of the tasks that they start.

    Args:
        settings: What the user asked for.
        secrets: Passwords and keys.
        databases: Addresses of the databases.
        ports: Where the components listen.
        schedules: Whether DAGs also run by their schedule; the demo runs only what it triggers.
    """
    passwords = settings.airflow_home / "passwords.json"
    write_private(passwords, json.dumps({USER: secrets.admin_password}) + "\n")
    options = {
        "API__BASE_URL": ports.url,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(ports.api),
        "API__SECRET_KEY": secrets.api_secret_key,
        "API_AUTH__JWT_SECRET": secrets.jwt_secret,
        "CORE__DAGS_FOLDER": str(settings.dags),
        "CORE__EXECUTION_API_SERVER_URL": f"{ports.url}/execution/",
        "CORE__EXECUTOR": "plugins.atoll.executor.LocalExecutor",  # found whatever folder of plugins is set
        "CORE__FERNET_KEY": secrets.fernet_key,
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "4",
        "CORE__PLUGINS_FOLDER": str(settings.plugins),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "DATABASE__SQL_ALCHEMY_CONN": databases.airflow,
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": databases.airflow_async,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.trigger_logs),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(ports.worker_logs),
        # A task that was running when its scheduler was killed is taken up again within two minutes, not after five: the
        # next scheduler looks for those of dead ones so often, and for its own that are silent for so long.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "SCHEDULER__USE_JOB_SCHEDULE": str(schedules),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    environment = base_environment(settings, databases) | {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW_CONN_SPARK_DEFAULT": spark_connection(settings.spark_master),
        "SPARK_CONF_DIR": str(write_spark_defaults(settings)),
    }
    if settings.spark_master.startswith("local"):
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"  # nobody listens in, and the machine's name need not resolve
    return environment | {f"AIRFLOW__{name}": value for name, value in options.items()}


def spark_connection(master: str) -> str:
    """Airflow's connection `spark_default`, as the JSON that its environment variable takes."""
    if master.startswith("local"):
        return json.dumps({"conn_type": "spark", "host": master})
    # The port stands in the host, because a list of masters has several.
    return json.dumps({"conn_type": "spark", "host": master, "extra": {"deploy-mode": "client"}})


def write_spark_defaults(settings: Settings) -> Path:
    """Writes `spark-defaults.conf` and returns its folder."""
    defaults = dict(_SPARK_DEFAULTS)
    if settings.spark_master.startswith("local"):
        scratch = settings.spark / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        defaults["spark.local.dir"] = str(scratch)
    elif "PYSPARK_PYTHON" in os.environ:  # Python has another path on the cluster's nodes
        defaults["spark.pyspark.python"] = os.environ["PYSPARK_PYTHON"]
    folder = settings.spark / "conf"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {value}\n" for name, value in defaults.items()]
    (folder / "spark-defaults.conf").write_text("".join(lines))
    return folder
