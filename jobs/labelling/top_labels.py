"""From scores to labels."""

import numpy as np
from numpy.typing import NDArray

from jobs.labelling.schema import ScoredLabel


def top_labels(scores: NDArray[np.float32], labels: tuple[str, ...], k: int) -> tuple[ScoredLabel, ...]:
    """Gives the best labels of one image, best first; of equal scores the lower index comes first.

    Args:
        scores: Shape (classes,); finite.
        labels: One per class.
        k: How many to give; no more than there are classes.
    """
    k = min(k, len(scores))
    candidates = np.flatnonzero(scores >= np.partition(scores, -k)[-k])  # k, and more where scores are equal
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return tuple(ScoredLabel(labels[index], float(scores[index])) for index in best)
