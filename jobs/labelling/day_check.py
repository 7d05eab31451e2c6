"""The check of a staged day: reads it and the recent published days, and says whether it may be published."""

import logging
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from jobs.errors import QualityError
from jobs.labelling.publication import publication_of_day
from jobs.labelling.quality import DayProfile, QualityRule, assess
from jobs.labelling.row_files import KINDS, RowFiles, published_rows
from jobs.results import LabelledImageSet, LabellingPlan, QualityCheck
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

OnDrift = Literal["fail", "warn", "off"]
"""What a day that differs too much comes to: nothing is published, or it is with a warning; `off` does not look."""


def check_day(
    plan: LabellingPlan,
    labelled: LabelledImageSet,
    workspace: Workspace,
    rule: QualityRule,
    days: int,
    on_drift: OnDrift,
) -> QualityCheck:
    """Compares a staged day with the published ones among the days before it, and logs each measure.

    Args:
        plan: What the run is about.
        labelled: What its labelling has staged.
        workspace: Where the days lie.
        rule: How much the day may differ.
        days: How many days before it to compare with; those that are not published are left out.
        on_drift: What to do when it differs by more.

    Raises:
        PublishError: What was staged is gone.
        QualityError: The day differs too much, and `on_drift` is `fail`.
    """
    if on_drift == "off":
        log.info("not checked: the check is switched off for this run")
        return QualityCheck(verdict="off", compared_with=[], measures=[])
    staged = publication_of_day(workspace, plan.published_as, plan.day).staged_rows(labelled.staged or "")
    recent = published_days(workspace, plan.published_as, plan.day, days)
    today = read_profile(*staged)
    measures = assess(today, DayProfile.together(recent.values()) if recent else None, rule)
    log.info("%s against %s", plan.day, f"{len(recent)} day(s) from {min(recent)}" if recent else "no earlier day")
    for measure in measures:
        log.log(logging.INFO if measure.passed else logging.WARNING, "%s: %s", "ok" if measure.passed else "NOT OK",
                measure.text)  # fmt: skip
    broken = [measure.text for measure in measures if not measure.passed]
    check = QualityCheck(
        verdict="failed" if broken and on_drift == "fail" else "warned" if broken else "passed",
        compared_with=sorted(recent),
        measures=measures,
    )
    if check.verdict == "failed":
        raise QualityError(
            f"{plan.published_as} {plan.day}: {'; '.join(broken)}; nothing was published: mark check_labels as success to "
            "publish it as it is, or mend the images and clear label_images"
        )
    return check


def published_days(workspace: Workspace, name: str, day: date, days: int) -> dict[date, DayProfile]:
    """Reads those of the days before `day` that are published."""
    found = {}
    for before in range(1, days + 1):
        earlier = day - timedelta(days=before)
        with suppress(FileNotFoundError):
            rows = (published_rows(workspace, kind, name, earlier) for kind in KINDS)
            found[earlier] = read_profile(*rows)
    return found


def read_profile(labels: RowFiles, quarantine: RowFiles) -> DayProfile:
    """Reads what a day looks like from its files of labels and of quarantine."""
    table = pa.concat_tables(labels.tables(["label", "score"]))
    counted = pc.value_counts(table["label"]).to_pylist()
    score_sum = pc.sum(table["score"]).as_py() or 0.0
    return DayProfile(Counter({one["values"]: one["counts"] for one in counted}), score_sum, quarantine.count())
