"""Why an image is not labelled."""

from jobs.results import QuarantineReason


class ImageRejectedError(Exception):
    """An image goes to quarantine.

    Attributes:
        reason: What is wrong with it, one of a closed set.
        detail: One line for the person who looks at the quarantine.
    """

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: QuarantineReason = reason
        self.detail = detail
