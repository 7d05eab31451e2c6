"""A labelled day in a few lines, for whoever reads one task's log in the morning."""

from jobs.results import LabelledImageSet, LabellingPlan, QualityCheck


def day_lines(plan: LabellingPlan, labelled: LabelledImageSet, check: QualityCheck | None) -> list[str]:
    """Writes what has become of a day; the first line stands for all of it.

    Args:
        plan: What the run was about.
        labelled: What was labelled.
        check: None where somebody has marked a failed check as success.
    """
    why = ", ".join(f"{count} {reason}" for reason, count in labelled.reasons.items())
    checked = {"passed": "like the days before it", "warned": "UNLIKE the days before it", "off": "not compared"}
    said = checked.get(check.verdict, check.verdict) if check else "somebody has published the day although it failed"
    lines = [
        f"{plan.published_as} {plan.day}: {labelled.labelled} of {labelled.images} images labelled by {plan.model_name} "
        f"version {plan.model_version} ({plan.chosen}), {labelled.quarantined} in quarantine{f' ({why})' if why else ''}",
        f"check: {said}",
    ]
    lines += [f"  {measure.text}" for measure in (check.measures if check else [])]
    return [*lines, f"labels: {labelled.labels}", f"quarantine: {labelled.quarantine}"]
