"""TensorFlow's threads in a Python worker."""

import os


def use_cores(cores: int) -> None:
    """Gives TensorFlow as many threads as the executor has cores; must come before its first operation.

    A Python worker serves many tasks of one application, whose executors all have as many cores, so the first call decides
    and later ones change nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        return  # it has begun in this process, and its threads can no longer be changed
