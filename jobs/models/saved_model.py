"""Freezing what Keras and TensorFlow save: a SavedModel's folder or a `.keras` file becomes one GraphDef.

    python -m jobs.models.saved_model SOURCE TARGET

It is a program of its own, so that the driver that starts it never holds TensorFlow, and nothing of a model from outside is
loaded into it.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobs.errors import InvalidGraphError
from jobs.models.graph_operations import ALLOWED_OPERATIONS, SAVED_OPERATIONS, called_functions, check_operations

_SIGNATURE = "serving_default"
_OUTPUT = "softmax"
"""What the only output is called in the GraphDef: as in the 2015 release, so that it is found."""

_MISTAKE = 2
_CONTENT = "saved_model.pb"


def is_saved_model(path: Path) -> bool:
    """Tells whether a path is a SavedModel's folder or a `.keras` file."""
    return path.suffix == ".keras" or (path / _CONTENT).is_file()


def freeze_apart(source: Path, target: Path) -> None:
    """Freezes in a process of its own.

    Args:
        source: A SavedModel's folder or a `.keras` file.
        target: Where the GraphDef is written.

    Raises:
        InvalidGraphError: It cannot be loaded, is not allowed, or has not one input and one output.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "jobs.models.saved_model", str(source), str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise InvalidGraphError(f"{source}: {said[-1][:400]}")


def freeze_saved_model(folder: Path) -> bytes:
    """Freezes the signature `serving_default`, or the only one.

    Raises:
        InvalidGraphError: It holds an operation that is not allowed, code that would run while it is loaded, or not one input
            and one output.
    """
    import tensorflow as tf

    check_saved_model((folder / _CONTENT).read_bytes())
    loaded = tf.saved_model.load(str(folder))  # its variables live as long as it does
    signatures = loaded.signatures
    names = sorted(signatures)
    if _SIGNATURE not in signatures and len(names) != 1:
        raise InvalidGraphError(f"its signatures are {', '.join(names) or 'none'}; accepted: {_SIGNATURE}, or only one")
    return _frozen(signatures[_SIGNATURE if _SIGNATURE in signatures else names[0]])


def check_saved_model(content: bytes) -> None:
    """Checks the operations of a SavedModel, and that nothing of it runs while it is loaded.

    Raises:
        InvalidGraphError: Names what is not allowed.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    try:
        saved.ParseFromString(content)
    except DecodeError:
        raise InvalidGraphError("saved_model.pb does not parse; is the folder complete?") from None
    # What is not one graph with its objects is loaded as a program of TensorFlow 1, whose initialisation and restoring are run:
    # there, an operation that saves would write wherever the file says.
    has_objects = len(saved.meta_graphs) == 1 and saved.meta_graphs[0].HasField("object_graph_def")
    for meta in saved.meta_graphs:
        check_operations(meta.graph_def, SAVED_OPERATIONS if has_objects else ALLOWED_OPERATIONS)
        if any(map(_runs_when_loaded, meta.object_graph_def.nodes)):
            raise InvalidGraphError("it has a resource that is initialised by code; accepted: variables only")


def _runs_when_loaded(node: Any) -> bool:
    """Tells tables, and objects with code of their own to make or restore them: TensorFlow runs their functions on loading."""
    from tensorflow.python.saved_model.registration import get_registered_class

    made_by_code = get_registered_class(node.registered_name) is not None  # whatever kind of object it says it is
    return bool(node.WhichOneof("kind") == "resource" or made_by_code or node.saveable_objects or node.registered_saver)


def freeze_keras(path: Path) -> bytes:
    """Freezes a `.keras` file; Keras refuses what would run code of the file's own (`safe_mode`).

    Raises:
        InvalidGraphError: It has not one input and one output.
    """
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InvalidGraphError(f"{len(model.inputs)} inputs and {len(model.outputs)} outputs; accepted: one of each")
    (given,) = model.inputs
    called = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=[tf.TensorSpec(given.shape, given.dtype, name="pixels")],
    )
    return _frozen(called.get_concrete_function())


def _frozen(function: Any) -> bytes:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function)
    outputs = [tensor for tensor in frozen.outputs if tensor.dtype.is_floating]
    if len(frozen.inputs) != 1 or len(outputs) != 1:
        raise InvalidGraphError(
            f"its signature has {len(frozen.inputs)} inputs and {len(outputs)} outputs; accepted: one of each"
        )
    graph = frozen.graph.as_graph_def()
    end = outputs[0].name
    if not any(node.name == _OUTPUT for node in graph.node):
        node = graph.node.add(name=_OUTPUT, op="Identity", input=[end])
        node.attr["T"].type = outputs[0].dtype.as_datatype_enum
        end = f"{_OUTPUT}:0"
    kept = tf.compat.v1.graph_util.extract_sub_graph(graph, [end.partition(":")[0]])
    _drop_unused_functions(kept)
    return bytes(kept.SerializeToString(deterministic=True))


def _drop_unused_functions(graph: Any) -> None:
    """Drops what was only needed to save and to restore the variables."""
    functions = {function.signature.name: function for function in graph.library.function}
    used: dict[str, Any] = {}
    waiting = list(graph.node)
    while waiting:
        node = waiting.pop()
        for name in called_functions(node) & functions.keys() - used.keys():
            used[name] = functions[name]
            waiting.extend(functions[name].node_def)
    del graph.library.gradient[:]
    kept = [used[name] for name in sorted(used)]
    copies = [type(function).FromString(function.SerializeToString()) for function in kept]
    del graph.library.function[:]
    graph.library.function.extend(copies)


def main() -> None:
    """Freezes the first argument into the second; a mistake is one line and status 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    source, target = map(Path, sys.argv[1:])
    try:
        target.write_bytes(freeze_keras(source) if source.suffix == ".keras" else freeze_saved_model(source))
    except InvalidGraphError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001  # Keras and TensorFlow raise anything; the driver tells it in one line
        said = f"it cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
    else:
        return
    sys.stderr.write(f"{said}\n")
    sys.exit(_MISTAKE)


if __name__ == "__main__":
    main()
