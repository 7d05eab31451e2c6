"""TensorFlow's threads in a Python worker."""

import os


def use_cores(cores: int) -> None:
    """Gives TensorFlow as many threads as the executor has cores; must come before its first operation.

    A Python worker serves many tasks of one application, whose executors all have as many cores, so the first call decides
    and later ones change nothing.
    """
    _set(threads_per_operation=cores, operations=cores)


def use_one_core_per_operation(cores: int) -> None:
    """Gives TensorFlow one thread per core, and each operation one of them; must come before its first operation.

    Small batches side by side, one per core, then take a third less time than one batch spread over all cores: no operation
    waits for the slowest of its threads, and what a batch writes stays in the core's cache.
    """
    _set(threads_per_operation=1, operations=cores)


def _set(threads_per_operation: int, operations: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads_per_operation)
        tf.config.threading.set_inter_op_parallelism_threads(operations)
    except RuntimeError:
        return  # it has begun in this process, and its threads can no longer be changed
