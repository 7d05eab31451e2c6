"""What breaks a cluster in containers: each fault lasts for its time, and ends."""

import time
from collections.abc import Callable

from tests.docker.works import Site, Work

OUTAGE = 30.0
"""Seconds for which something is away."""

HANG = 60.0
"""Seconds for which a machine hangs or is cut off."""

KILL_WORKERS = """
import os, signal, sys
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{name}/cmdline").read()
    except OSError:
        continue
    if words.startswith("airflow worker -- LocalExecutor") and ("all" in sys.argv or "<idle>" not in words):
        os.kill(int(name), signal.SIGKILL)
        print(words)
"""

Fault = Callable[[Site, Work], None]


def crash(service: str) -> Fault:
    """All processes of a service are killed; its restart policy brings it back."""

    def fault(site: Site, work: Work) -> None:
        site.containers.crash(site.containers.of(service)[0])

    return fault


def away(service: str, begin: str, end: str, seconds: float) -> Fault:
    """One command of the engine takes a container away, and another brings it back after a while."""

    def fault(site: Site, work: Work) -> None:
        name = site.containers.of(service)[0]
        site.containers.docker(begin, name)
        time.sleep(seconds)
        site.containers.docker(end, name)

    return fault


def pause(service: str) -> Fault:
    """A container is frozen, as a machine that hangs."""
    return away(service, "pause", "unpause", HANG)


def outage(service: str) -> Fault:
    """A container is killed, and started again after a while."""
    return away(service, "kill", "start", OUTAGE)


def network_cut(site: Site, work: Work) -> None:
    """The first Spark worker reaches nobody."""
    name, network = site.containers.of("spark-worker")[0], site.containers.network
    site.containers.docker("network", "disconnect", network, name)
    time.sleep(HANG)
    site.containers.docker("network", "connect", "--alias", "spark-worker", network, name)


def wrong_clock(service: str, seconds: int) -> Fault:
    """The clock of a service's first container, into whose programs `clock.c` was loaded, is wrong for a while."""

    def fault(site: Site, work: Work) -> None:
        name = site.containers.of(service)[0]
        site.containers.docker("exec", name, "sh", "-c", f"echo {seconds} > /tmp/clock")
        told = int(site.containers.docker("exec", name, "date", "+%s"))
        assert abs(told - seconds - time.time()) < 10, "the clock is not wrong"
        time.sleep(HANG)
        site.containers.docker("exec", name, "rm", "/tmp/clock")

    return fault


def kill_worker(site: Site, work: Work) -> None:
    """The process in which Airflow runs the task is killed, as for want of memory."""
    killed = site.containers.inside("scheduler", "python", "-c", KILL_WORKERS)
    assert killed.stdout, killed.stderr


def kill_all_workers(site: Site, work: Work) -> None:
    """The idle ones are killed with it: in Airflow's own executor they take the lock of its queue with them."""
    killed = site.containers.inside("scheduler", "python", "-c", KILL_WORKERS, "all")
    assert "<idle>" in killed.stdout, killed.stdout + killed.stderr


def full_disk(site: Site, work: Work) -> None:
    """The workspace has no room for a while."""
    site.containers.command("docker", "exec", site.helper, "dd", "if=/dev/zero", "of=/data/filler", "bs=64k")
    time.sleep(OUTAGE)
    site.containers.docker("exec", site.helper, "rm", "/data/filler")
