"""What can go wrong with the local stack: one type per cause, one line each."""

from jobs.errors import AtollError


class JavaNotFoundError(AtollError):
    """Spark's Java is missing or too old."""


class PortTakenError(AtollError):
    """A port that was asked for by ATOLL_PORT or ATOLL_MLFLOW_PORT is in use."""


class WorkspaceNotWritableError(AtollError):
    """ATOLL_HOME cannot be written, or has no space left."""


class DatabaseUnavailableError(AtollError):
    """PostgreSQL cannot be started, reached, or entered."""


class ComponentFailedError(AtollError):
    """A part of the stack ended or did not become healthy; the message ends with the last lines of its log."""


class StackBusyError(AtollError):
    """Another command is starting or stopping the stack, or a demo that is still running owns it."""


class StackDownError(AtollError):
    """Something is asked of a stack that does not run."""


class BackupRefusedError(AtollError):
    """A back-up cannot be written where it is asked for, or cannot be restored there; nothing was changed."""


class InvalidBackupError(AtollError):
    """A back-up is damaged, incomplete, or was made by a later version."""


class TablesTooNewError(AtollError):
    """A database was upgraded by a later version of the program that reads it."""


class ProcessesLeftError(AtollError):
    """Processes of the stack outlived SIGKILL."""


class AirflowRequestError(AtollError):
    """Airflow's REST interface refused a request or did not answer."""


class RunFailedError(AtollError):
    """A DAG run failed or took too long; the message names the task and ends with the last lines of its log."""
