"""A network as OpenVINO computes it, and with int8 multiplications."""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components import names
from components.progress import tracked

FILE: Final = "network.xml"  # beside it network.bin
Network = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]

# Everything but convolutions stays in float32: they are where the time is, and the head's products
# nearly cancel each other.
_FLOAT: Final = ["AvgPool", "Concat", "Divide", "MatMul", "Multiply", "ReduceMean", "StridedSlice"]
# Of the convolutions: VGG-16's first one in blocks 1 to 3, an eighth of the work, which causes more
# than a quarter of the error.
_KEPT: Final = (0, 2, 4)
_HEADROOM: Final = 1.1  # times the largest activation that was seen
# Converting and quantising would tell Google Analytics; without the package they do not.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def converted(function: Any, outputs: Sequence[str]) -> Any:
    """Converts a network.

    Args:
        function: a concrete tf.function, uint8[N,S,S,1] to tensors by name.
        outputs: these names; one of them is `lungs`.

    Returns:
        An openvino.Model from GREY to these, by their names.
    """
    import openvino
    from openvino.frontend import ConversionExtension
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function)
    network = openvino.convert_model(
        frozen.graph, extension=[ConversionExtension("ScaleAndTranslate", _shrunk)]
    )
    network.input(0).tensor.set_names({names.GREY})
    for output, name in zip(network.outputs, sorted(outputs), strict=True):  # TensorFlow's order
        output.tensor.set_names({name})
    return network


def served(model: Any) -> Any:
    """Converts the network of a loaded SavedModel of `ServedModel`: from GREY to SEEN."""
    (function,) = model.network.concrete_functions
    return converted(function, names.SEEN)


def quantised(network: Any, films: NDArray[np.uint8]) -> Any:
    """Makes convolutions multiply in int8.

    Kept in float32: what finds the lungs, the convolutions that hurt most, and all that is no
    convolution.

    Processors without VNNI add pairs of products up in 16 bits, which may overflow. NNCF's remedy,
    weights of seven bits, costs most of the accuracy; leaving activations some headroom does not.
    Its correction of each layer's bias would learn from what overflowed; `centred` corrects the
    mean of the logits instead.

    Args:
        network: an openvino.Model of `converted`.
        films: uint8[N,S,S,1], prepared: what ranges are measured on. A hundred are enough.

    Returns:
        The openvino.Model, the same from outside.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    lungs = _behind(network.output("lungs"))
    convolutions = [
        node.get_friendly_name()
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Convolution" and node.get_friendly_name() not in lungs
    ]
    kept = [convolutions[place] for place in _KEPT if place < len(convolutions)]
    nncf.set_log_level(30)
    with redirect_stdout(sys.stderr):  # its progress line belongs where ours are
        fast = nncf.quantize(
            network,
            nncf.Dataset([film[None] for film in films]),
            subset_size=len(films),
            ignored_scope=nncf.IgnoredScope(names=[*lungs, *kept], types=_FLOAT, validate=False),
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.DISABLE, disable_bias_correction=True
            ),
        )
    _widen(fast)
    return fast


def centred(fast: Any, network: Any, films: NDArray[np.uint8]) -> Any:
    """Takes away what the quantised network's logits are off by on average.

    Half of what is between the arithmetics of `runners` stays in each.

    Args:
        fast: what `quantised` made of `network`, with `evidence` and `attention`.
        network: the same in float32.
        films: uint8[N,S,S,1], prepared.

    Returns:
        `fast`, changed.
    """
    import openvino.opset13 as operations

    exact, runs = runner(network), runners(fast)
    differences = []
    for film in tracked(films, "int8 beside float32", len(films)):
        logit = exact(film[None])["evidence"].mean()
        differences += [run(film[None])["evidence"].mean() - logit for run in runs]
    off = operations.constant(np.float32(np.mean(differences)))
    attention = fast.output("attention").get_node().input_value(0)  # of mean 1
    result = fast.output("evidence").get_node()
    moved = operations.subtract(result.input_value(0), operations.multiply(attention, off))
    result.input(0).replace_source_output(moved.output(0))
    fast.validate_nodes_and_infer_types()
    return fast


def save(network: Any, folder: Path) -> None:
    """Writes an openvino.Model to FILE and what belongs to it."""
    import openvino

    openvino.save_model(network, folder / FILE, compress_to_fp16=False)


def runner(network: Any, *, exact: bool = True) -> Network:
    """Compiles a network; each film goes to a core of its own.

    Args:
        network: an openvino.Model of `converted` or `quantised`, or the FILE of one.
        exact: what is not int8 is computed in float32; else in bfloat16 where the processor has it.

    Returns:
        From uint8[N,S,S,1] to float32 arrays of N rows by the names of its outputs. Calls may not
        overlap.
    """
    import openvino

    core = openvino.Core()
    given = core.read_model(network) if isinstance(network, Path) else network.clone()
    given.reshape([1, *(side.get_length() for side in given.input(0).partial_shape[1:])])
    hints = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if exact:
        hints["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = core.compile_model(given, "CPU", hints)
    outputs = [output.any_name for output in compiled.outputs]
    queue = openvino.AsyncInferQueue(compiled)

    def run(films: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        rows: list[Any] = [None] * len(films)

        def keep(request: Any, place: int) -> None:
            rows[place] = [request.get_tensor(name).data.copy() for name in outputs]

        queue.set_callback(keep)
        for place, film in enumerate(films):
            queue.start_async([np.asarray(film)[None]], place)
        queue.wait_all()
        columns = (np.concatenate(column) for column in zip(*rows, strict=True))
        return dict(zip(outputs, columns, strict=True))

    return run


def runners(network: Any) -> list[Network]:
    """Compiles a quantised network for each arithmetic that what is not int8 may be served in."""
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [runner(network), *([runner(network, exact=False)] if "BF16" in capabilities else [])]


def _widen(fast: Any) -> None:
    """Gives the activations' ranges their headroom; weights have no such nodes any more."""
    import openvino.opset13 as operations

    for node in fast.get_ops():
        if node.get_type_name() == "FakeQuantize":
            for place in range(1, 5):  # both ends, before and after
                end = node.input_value(place).get_node().data * np.float32(_HEADROOM)
                node.input(place).replace_source_output(operations.constant(end).output(0))
    fast.validate_nodes_and_infer_types()


def _behind(output: Any) -> set[str]:
    """The operations that an output is computed by."""
    found: set[str] = set()
    waiting = [output.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in found:
            found.add(node.get_friendly_name())
            waiting += [value.get_node() for value in node.input_values()]
    return found


def _shrunk(node: Any) -> list[Any]:
    """TensorFlow's antialiased resizing of grey images, which OpenVINO does not know: linear."""
    import openvino.opset13 as operations

    film = node.get_input(0)
    sides = [film.get_partial_shape()[axis].get_length() for axis in (1, 2)]
    rows, columns = (
        operations.constant(_interpolation(side, int(size)))
        for side, size in zip(sides, node.get_input(1).get_node().data, strict=True)
    )
    last = operations.constant([3], np.int64)
    flat = operations.matmul(rows, operations.squeeze(film, last), False, False)
    small = operations.matmul(flat, columns, False, True)
    return [operations.unsqueeze(small, last).output(0)]


def _interpolation(side: int, size: int) -> NDArray[np.float32]:
    """float32[size,side], what each place is made of."""
    unit = np.eye(side, dtype=np.float32)[..., None]
    weights: NDArray[np.float32] = tf.image.resize(unit, [size, side], antialias=True).numpy()
    return weights[..., 0]
