"""What runs now, as every later command reads it: one small file in the stack's folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.files import write_atomically
from local.components import Component
from local.processes import ProcessRecord, boot_id


class StackState(BaseModel):
    """The stack as it was started; written anew after each process, so that a crash leaves none unrecorded.

    Attributes:
        boot: The boot of the machine in which it was started.
        database: Host and port of PostgreSQL.
        embedded: Whether PostgreSQL is ours to stop.
        airflow_url: Address of Airflow's UI.
        owner: The demo that started it and will stop it; None when it stays up.
        components: Its processes.
    """

    model_config = ConfigDict(frozen=True)

    boot: str
    database: str
    embedded: bool
    airflow_url: str
    owner: ProcessRecord | None = None
    components: list[Component] = []

    def component(self, name: str) -> Component | None:
        """The component of this name, if it was started."""
        return next((component for component in self.components if component.name == name), None)


class StateFile:
    """Reads and writes `stack.json`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stack.json"

    def read(self) -> StackState | None:
        """The stack that was started in this boot; None where there is none, or the file is damaged or of another boot."""
        try:
            state = StackState.model_validate_json(self.path.read_text())
        except (OSError, ValidationError):
            return None
        return state if state.boot == boot_id() else None

    def write(self, state: StackState) -> None:
        """Replaces the file."""
        write_atomically(self.path, state.model_dump_json(indent=2) + "\n")

    def remove(self) -> None:
        """Forgets the stack."""
        self.path.unlink(missing_ok=True)
