"""Labels that are too unsure are left out."""

from dataclasses import replace

from jobs.labelling.schema import LabelledImage, QuarantinedImage, Row


def keep_sure_labels(row: Row, minimum: float) -> Row:
    """Leaves out the labels whose score is below `minimum`; an image that has no other goes to quarantine as `low_score`."""
    if not isinstance(row, LabelledImage) or row.top_k[-1].score >= minimum:
        return row
    sure = tuple(one for one in row.top_k if one.score >= minimum)
    if sure:
        return replace(row, top_k=sure)
    best = row.top_k[0]
    return QuarantinedImage(row.image, "low_score", f"best is {best.label} with {best.score:.4g}, below {minimum:g}")
