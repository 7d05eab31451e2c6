"""What becomes of a run that is hit by a fault in the middle of its work."""

import logging
import os
import time

from tests.docker.faults import Fault
from tests.docker.works import LONG, Site, Work
from tests.local.support import poll

ASKED = os.environ.get("ATOLL_TEST_CHAOS", "")
"""`some` faults, or `all` of them."""

log = logging.getLogger("chaos")


def lost_by(site: Site, name: str, kind: type[Work], fault: Fault) -> list[str]:
    """Hits a run, waits until all is well again and the run has ended, and says what was lost; logs a row of the table."""
    work = kind(site)
    work.begin()
    fault(site, work)
    healed = time.monotonic()
    poll(lambda: not site.containers.unwell(), LONG)
    well = time.monotonic() - healed
    poll(site.answers, 120)
    (run,) = site.end(work.task, work.run, LONG)
    ended = time.monotonic() - healed
    lost = work.lost() if run.state == "success" else [f"the run ended as {run.state}"]
    log.info(
        "| %s | %s | %s | %.0f s | %.0f s, attempt %d |",
        name, work.task, "; ".join(lost) or "nothing", well, ended, work.attempts(),
    )  # fmt: skip
    return lost
