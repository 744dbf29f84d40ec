"""`python -m benchmarks.inference`: what an answer costs in each form that the model can take.

Every form gives the film's probability from its encoded bytes. Films are asked about four at a
time, each form in its turn, so that the machine's moods hit all alike.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import films, options, packages
from components import names
from components.image import prepare as imaging
from components.image.settings import ImageConfig
from components.model import variables
from components.model.vgg16 import LAYERS
from pipeline import pretrained
from serving import runtime, servable

_BATCH = 4
_GMAC = 15.5  # of VGG-16's convolutions at 224 pixels, a film
_PACKAGES = ("onnxruntime==1.32.0", "openvino==2026.4.1")

Answer = Callable[[list[bytes]], np.ndarray]  # encoded films to float32[N] probabilities


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        print(measured(Path(scratch), 16 if quick else 400))


def measured(folder: Path, count: int) -> str:
    sys.path.append(packages.install(folder / "packages", "--no-deps", *_PACKAGES))
    version = folder / "serving" / str(pretrained.unpack(folder / "serving"))
    paths = sorted(films.lay_out(folder / "xrays", count, 0).rglob("*.jp*g"))
    batches = list(in_batches([path.read_bytes() for path in paths]))
    forms = {
        "TensorFlow, float32, as served": session(version, bfloat16=False),
        "frozen and folded": frozen(version),
        "ONNX Runtime, float32": onnx_runtime(version, folder),
        "OpenVINO, float32": openvino(version, folder, "f32"),
    }
    if runtime.has_bfloat16():
        forms["TensorFlow, `--precision=bfloat16`"] = session(version, bfloat16=True)
        forms["OpenVINO, bfloat16"] = openvino(version, folder, "bf16")
    probabilities, seconds = asked(forms, batches)
    peak = sgemm()
    rows = []
    first, plain = next(iter(seconds)), next(iter(probabilities.values()))
    threshold = float(tf.saved_model.load(str(version)).threshold)
    for name, found in probabilities.items():
        median = statistics.median(seconds[name]) / _BATCH
        other = int(((found >= threshold) != (plain >= threshold)).sum())
        rows.append(
            (
                name,
                f"{1000 * median:.0f}",
                f"{statistics.median(seconds[first]) / _BATCH / median:.2f}",
                f"{2 * _GMAC / median / peak:.0%}",
                f"{abs(found - plain).max():.4f}",
                str(other),
            )
        )
    head = (
        *("form", "ms a film", "times as fast", "of sgemm's peak"),
        *("largest difference of a probability", "decisions changed"),
    )
    return (
        f"{len(paths)} films, {_BATCH} at a time; TensorFlow's sgemm reaches {peak:.0f} GFLOP/s "
        f"here, VGG-16 takes {2 * _GMAC:.0f} GFLOP a film.\n\n{options.table(head, rows)}"
    )


def in_batches(values: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(values) - _BATCH + 1, _BATCH):
        yield values[start : start + _BATCH]


def asked(
    forms: dict[str, Answer], batches: list[list[bytes]]
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Every form's probabilities, and its seconds for each batch."""
    answers: dict[str, list[np.ndarray]] = {name: [] for name in forms}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for answer in forms.values():
        answer(batches[0])
    for batch in batches:
        for name, answer in forms.items():
            began = time.perf_counter()
            answers[name].append(answer(batch))
            seconds[name].append(time.perf_counter() - began)
    return {name: np.concatenate(found) for name, found in answers.items()}, seconds


def session(version: Path, bfloat16: bool) -> Answer:
    """As the embedded server runs it."""
    model = servable.load("m", 1, version, servable.SessionOptions(bfloat16=bfloat16))

    def answer(batch: list[bytes]) -> np.ndarray:
        inputs = {names.IMAGE_BYTES: np.array(batch, object)}
        found = model.run(names.PREDICT_IMAGE, inputs, (names.PROBABILITY,), None)
        return found[names.PROBABILITY]

    return answer


def frozen(version: Path) -> Answer:
    """The variables made constants, so that TensorFlow may fold what depends on them alone."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = tf.saved_model.load(str(version))
    signature = convert_variables_to_constants_v2(model.signatures[names.PREDICT_IMAGE])
    place = sorted(model.signatures[names.PREDICT_IMAGE].structured_outputs).index(
        names.PROBABILITY
    )

    def answer(batch: list[bytes]) -> np.ndarray:
        return signature(tf.constant(batch))[place].numpy()

    answer.model = model  # type: ignore[attr-defined]  # holds the transform's tables
    return answer


def onnx_runtime(version: Path, folder: Path) -> Answer:
    import onnxruntime

    network = onnxruntime.InferenceSession(
        str(onnx_file(version, folder)), providers=["CPUExecutionProvider"]
    )
    prepare = preparer(version)
    return lambda batch: network.run(None, {"grey": prepare(batch)})[0].ravel()


def openvino(version: Path, folder: Path, precision: str) -> Answer:
    import openvino

    network = openvino.Core().compile_model(
        str(onnx_file(version, folder)), "CPU", {"INFERENCE_PRECISION_HINT": precision}
    )
    prepare = preparer(version)
    return lambda batch: np.array(network(prepare(batch))[0]).ravel()


def preparer(version: Path) -> Callable[[list[bytes]], np.ndarray]:
    """Encoded films to float32[N,1,224,224], by the product's own image functions."""
    told = json.loads((version / "assets.extra" / "training.json").read_text())
    config = ImageConfig(**told["config"]["image"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def prepared(images: tf.Tensor) -> tf.Tensor:
        shape = tf.TensorSpec([config.size, config.size], tf.uint8)
        grey = tf.map_fn(lambda i: imaging.prepare(i, config), images, fn_output_signature=shape)
        return tf.cast(grey, tf.float32)[:, None]

    return lambda batch: prepared(tf.constant(batch)).numpy()


def onnx_file(version: Path, folder: Path) -> Path:
    """VGG-16 with its head and calibration, as an ONNX graph from grey values to a probability."""
    from onnx import TensorProto, helper, numpy_helper, save

    path = folder / "model.onnx"
    if path.exists():
        return path
    values = {
        key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): tensor
        for key, tensor in variables.read(version).items()
        if not isinstance(tensor, bytes)
    }
    constants, nodes = [], []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    means = constant("means", np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1))
    last = node("Sub", [node("Concat", ["grey"] * 3, "colour", axis=1), means], "caffe")
    for number, layer in enumerate(LAYERS):
        if layer.endswith("_conv1") and number:
            last = node("MaxPool", [last], f"{layer}_pool", kernel_shape=[2, 2], strides=[2, 2])
        kernel = constant(f"{layer}_k", values[f"weights/{2 * number}"].transpose(3, 2, 0, 1))
        bias = constant(f"{layer}_b", values[f"weights/{2 * number + 1}"])
        last = node("Conv", [last, kernel, bias], layer, kernel_shape=[3, 3], pads=[1] * 4)
        last = node("Relu", [last], f"{layer}_relu")
    last = node("Flatten", [node("GlobalAveragePool", [last], "average")], "flat")
    slope, intercept = values["slope"], values["intercept"]
    head = constant("head_k", values["weights/26"] * slope)
    shift = constant("head_b", values["weights/27"] * slope + intercept)
    node("Sigmoid", [node("Gemm", [last, head, shift], "logit")], names.PROBABILITY)
    shape = ["n", 1, 224, 224]
    graph = helper.make_graph(
        nodes,
        names.MODEL_NAME,
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(names.PROBABILITY, TensorProto.FLOAT, ["n", 1])],
        constants,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def sgemm() -> float:
    """The best GFLOP/s of a large float32 multiplication, TensorFlow's own, on all cores."""
    size = 3072
    one, other = (tf.random.stateless_uniform([size, size], [seed, 0]) for seed in (0, 1))
    best = 0.0
    for _ in range(6):
        began = time.perf_counter()
        (one @ other).numpy()
        best = max(best, 2 * size**3 / (time.perf_counter() - began) / 1e9)
    return best


if __name__ == "__main__":
    main()
