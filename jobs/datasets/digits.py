"""scikit-learn's digits: 1,797 grey images of 8x8 pixels (Alpaydin and Kaynak, UCI, 1998), embedded in the library."""

import numpy as np

from jobs.datasets.source_images import SourceImages

_DARKEST = 16.0  # the library's own scale


def read_digits() -> SourceImages:
    """Reads the digits, scaled from their 0 to 16 to 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / _DARKEST)).astype(np.uint8)[..., np.newaxis]
    return SourceImages(images, digits.target.astype(np.int64), tuple(str(name) for name in digits.target_names))
