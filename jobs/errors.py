"""The errors that a caller can act on: one type per cause, one line each, never a stack trace for the user."""


class AtollError(Exception):
    """Something that the person who started the job can mend; its message is one line that says how.

    Attributes:
        transient: Whether the same call may succeed later with nothing changed, so that a scheduler should try again.
    """

    transient = False


class InvalidArgumentError(AtollError):
    """A command-line argument or an environment variable has a value that cannot be used."""


class ServiceUnavailableError(AtollError):
    """A database or MLflow cannot be reached."""

    transient = True


class InvalidExperimentError(AtollError):
    """An experiment file does not say what it must; names the file, the field and what is accepted."""


class InvalidDatasetError(AtollError):
    """A data source is missing, truncated, of the wrong shape, or fails its checksum."""


class InvalidGraphError(AtollError):
    """A frozen graph cannot be read, holds an operation that is not allowed, or lacks the tensor asked for."""


class InvalidImageSetError(AtollError):
    """An image set is missing, empty, or not readable."""


class InvalidStudyError(AtollError):
    """A study does not exist, is not finished, or belongs to another experiment or data set."""


class ModelNotFoundError(AtollError):
    """The registry has no such model, version or alias."""


class SparkUnavailableError(AtollError):
    """The Spark master cannot be reached, or its executors are not laid out as a job needs them."""

    transient = True


class AlreadyRunningError(AtollError):
    """Another driver holds the lock of this study or image set."""

    transient = True


class QualityError(AtollError):
    """A day of labels differs too much from the days before it, so nothing was published."""


class PublishError(AtollError):
    """What was staged does not add up, so nothing was published."""
