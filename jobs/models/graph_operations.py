"""The operations that a frozen graph may hold: pure inference, nothing that reads, writes or runs code.

A GraphDef from outside is a program. TensorFlow has operations that read and write files, open sockets and call Python;
what is not listed here is refused before the graph is imported.
"""

from collections.abc import Iterable
from typing import Any

from jobs.errors import InvalidGraphError

DECODE_OPERATIONS = frozenset({"DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg"})
"""Operations whose first input is one encoded image."""

_IMAGE = DECODE_OPERATIONS | frozenset(
    """
    AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize ExtractGlimpse ExtractImagePatches
    ExtractJpegShape HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppression
    NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 CombinedNonMaxSuppression
    RGBToHSV ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate MirrorPad
    """.split()
)

_LAYERS = frozenset(
    """
    AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchNormWithGlobalNormalization BiasAdd BiasAddV1
    Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative Dilation2D Einsum Elu
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D L2Loss LRN LeakyRelu
    LogSoftmax MatMul MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax Relu Relu6 Selu Softmax Softplus Softsign
    TopK TopKV2 InTopK _FusedConv2D _FusedMatMul _FusedDepthwiseConv2dNative
    """.split()
)

_ARITHMETIC = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ApproximateEqual ArgMax ArgMin Asin Asinh Atan Atan2 Atanh BitwiseAnd
    BitwiseOr BitwiseXor Bucketize Cast Ceil CheckNumerics CheckNumericsV2 ClipByValue Cos Cosh Cross Cumprod
    Cumsum Digamma Div DivNoNan Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Inv
    Invert IsFinite IsInf IsNan LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Max
    Maximum Mean Min Minimum Mod Mul MulNoNan Neg NextAfter NotEqual Pow Prod RealDiv Reciprocal RightShift Rint
    Round Rsqrt SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Sigmoid Sign Sin Sinh Sqrt Square
    SquaredDifference Sub Sum Tan Tanh TruncateDiv TruncateMod UnsortedSegmentMax UnsortedSegmentMin
    UnsortedSegmentSum Xdivy Xlogy
    """.split()
)

_ARRAYS = frozenset(
    """
    BatchToSpace BatchToSpaceND BroadcastArgs BroadcastDynamicShape BroadcastTo Concat ConcatOffset ConcatV2
    Const DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EnsureShape ExpandDims Fill Gather GatherNd
    GatherV2 Identity IdentityN LinSpace MatrixBandPart MatrixDiag MatrixDiagPart MatrixTranspose OneHot
    OnesLike Pack Pad PadV2 ParallelConcat ParallelDynamicStitch Placeholder PlaceholderV2
    PlaceholderWithDefault PreventGradient Range Rank Reshape Reverse ReverseV2 Roll ScatterNd Select SelectV2
    Shape ShapeN Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient
    StridedSlice TensorScatterAdd TensorScatterUpdate Tile Transpose Unique UniqueV2 Unpack Where ZerosLike
    InvertPermutation Bitcast
    """.split()
)

_QUANTISATION = frozenset(
    """
    Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
    QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
    QuantizeDownAndShrinkRange QuantizeV2 QuantizedAvgPool QuantizedBiasAdd QuantizedConcat QuantizedConv2D
    QuantizedMatMul QuantizedMaxPool QuantizedRelu QuantizedRelu6 QuantizedReshape QuantizedResizeBilinear
    RequantizationRange Requantize
    """.split()
)

_CONTROL = frozenset(
    """
    Assert Enter Exit LoopCond Merge NextIteration NoOp RefEnter RefExit RefMerge RefNextIteration RefSwitch
    Switch If StatelessIf While StatelessWhile Case StatelessCase PartitionedCall StatefulPartitionedCall
    TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3
    TensorArraySizeV3 TensorArrayCloseV3 TensorArrayConcatV3 TensorArraySplitV3 TensorListFromTensor
    TensorListGetItem TensorListLength TensorListReserve TensorListSetItem TensorListStack EmptyTensorList
    TensorListPushBack TensorListPopBack
    """.split()
)

ALLOWED_OPERATIONS = _IMAGE | _LAYERS | _ARITHMETIC | _ARRAYS | _QUANTISATION | _CONTROL
"""Every operation that a graph, and the functions in its library, may use."""

SAVED_OPERATIONS = ALLOWED_OPERATIONS | frozenset(
    """
    AssignVariableOp DisableCopyOnRead MergeV2Checkpoints ReadVariableOp RestoreV2 SaveV2 ShardedFilename
    StaticRegexFullMatch StringJoin VarHandleOp VarIsInitializedOp
    """.split()
)
"""What a SavedModel needs besides to hold variables. It is loaded, never saved or called, and what it is frozen to has none.

Only where loading runs none of its functions: some of these write files."""


_DEEPEST = 100
"""Functions that call each other in a chain. Layers within layers make a dozen."""

_MOST_OPERATIONS = 1_000_000
"""Of a graph with each function written out where it is called, as TensorFlow does; large networks have some ten thousand."""


def check_operations(graph: Any, allowed: frozenset[str] = ALLOWED_OPERATIONS) -> None:
    """Refuses a graph with an operation that is not on the list, in the graph itself or in a function of its library.

    Args:
        graph: A `GraphDef`; it is only read.
        allowed: The list.

    Raises:
        InvalidGraphError: Names the operations that are not allowed, and the first node of each; or its functions call
            themselves, or are far too many where they are called.
    """
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in graph.library.function}
    functions -= {name for name in functions if op_def_registry.get(name) is not None}  # else it could hide behind one
    allowed = allowed | functions
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    refused: dict[str, str] = {}
    for node in (node for body in bodies for node in body):
        if node.op not in allowed:
            refused.setdefault(node.op, node.name)
    if refused:
        listed = ", ".join(f"{operation} (node {node})" for operation, node in sorted(refused.items())[:5])
        raise InvalidGraphError(f"operation not allowed: {listed}; accepted: operations of pure inference only")
    _check_calls(graph)


def called_functions(node: Any) -> set[str]:
    """Gives the names that a node may call a function by; not all of them need be functions."""
    called = {node.op}
    waiting = list(node.attr.values())
    while waiting:
        attribute = waiting.pop()
        for function in (attribute.func, *attribute.list.func):
            called.add(function.name)
            waiting.extend(function.attr.values())
    return called


def _check_calls(graph: Any) -> None:
    """Refuses functions that call themselves, of which TensorFlow's process dies, and those that grow without measure."""
    bodies = {function.signature.name: list(function.node_def) for function in graph.library.function}
    known: dict[str, tuple[int, int] | None] = {}

    def of_function(name: str, above: int) -> tuple[int, int]:
        if name not in known:
            known[name] = None
            known[name] = of_body(bodies[name], above + 1)
        if (measured := known[name]) is None:
            raise InvalidGraphError(f"function {name} calls itself; accepted: functions that come to an end")
        return measured

    def of_body(nodes: Iterable[Any], above: int) -> tuple[int, int]:
        """Gives how many operations there are in all, and how deep the chain of calls is."""
        operations = depth = 0
        for node in nodes:
            operations += 1
            for name in called_functions(node) & bodies.keys():
                inside, below = of_function(name, above)
                operations, depth = operations + inside, max(depth, below + 1)
            if operations > _MOST_OPERATIONS:
                raise InvalidGraphError(f"more than {_MOST_OPERATIONS} operations with those of its functions")
            if above + depth > _DEEPEST:
                raise InvalidGraphError(f"more than {_DEEPEST} functions call each other in a chain; accepted: fewer")
        return operations, depth

    of_body(graph.node, 0)
    for name in bodies:
        of_function(name, 0)
