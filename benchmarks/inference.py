"""`python -m benchmarks.inference`: what an answer costs in each form that the model can take.

Every form gives the film's probability from its encoded bytes. Films are asked about four at a
time, each form in its turn, so that the machine's moods hit all alike. Then servers of the two
forms that are offered everywhere, over gRPC, and the int8 network alone beside OpenVINO's own
benchmark_app.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import films, options, packages
from benchmarks.serving.servers import Embedded
from components import names
from components.model import variables
from components.model.int8 import FILE, save, served
from components.model.vgg16 import LAYERS, channels
from pipeline import pretrained
from serving import int8, runtime, servable

_BATCH = 4
_GMAC = 15.5  # of VGG-16's convolutions at 224 pixels, a film
_PACKAGES = ("onnxruntime==1.32.0",)

Answer = Callable[[list[bytes]], np.ndarray | None]  # encoded films to float32[N] probabilities


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        for table in measured(Path(scratch), quick):
            print(f"{table}\n")


def measured(folder: Path, quick: bool) -> Iterator[str]:
    sys.path.append(packages.install(folder / "packages", "--no-deps", *_PACKAGES))
    version = folder / "serving" / str(pretrained.unpack(folder / "serving"))
    paths = sorted(films.lay_out(folder / "xrays", 16 if quick else 400, 0).rglob("*.jp*g"))
    batches = list(in_batches([path.read_bytes() for path in paths]))
    peak = sgemm()
    forms = of_forms(version, folder, batches, peak)
    yield (
        f"{len(paths)} films, {_BATCH} at a time; TensorFlow's sgemm reaches {peak:.0f} GFLOP/s "
        f"here, VGG-16 takes {2 * _GMAC:.0f} GFLOP a film.\n\n{forms}"
    )
    yield over_grpc(version, paths[0], rounds=2 if quick else 10)
    yield beside_the_limit(version, batches, seconds=4 if quick else 20)


def of_forms(version: Path, folder: Path, batches: list[list[bytes]], peak: float) -> str:
    forms = {
        "TensorFlow, float32, as served": session(version),
        "frozen and folded": frozen(version),
        "ONNX Runtime, float32, VGG-16's layers alone": onnx_runtime(version, folder),
        "OpenVINO, float32": openvino(version, float_network(version, folder)),
        "`--precision=int8`, OpenVINO": openvino(version, version / int8.NETWORK),
    }
    if runtime.has_bfloat16():
        forms["`--precision=bfloat16`, TensorFlow"] = session(version, bfloat16=True)
    probabilities, seconds = asked(forms, batches)
    rows = []
    first = next(iter(seconds))
    plain = probabilities[first]
    threshold = float(tf.saved_model.load(str(version)).threshold)
    for name, times in seconds.items():
        median = statistics.median(times) / _BATCH
        found = probabilities.get(name)
        told = ("", "")
        if found is not None:
            other = int(((found >= threshold) != (plain >= threshold)).sum())
            told = (f"{abs(found - plain).max():.4f}", str(other))
        rows.append(
            (
                name,
                f"{1000 * median:.0f}",
                f"{statistics.median(seconds[first]) / _BATCH / median:.2f}",
                f"{2 * _GMAC / median / peak:.0%}",
                *told,
            )
        )
    head = (
        *("form", "ms a film", "times as fast", "of sgemm's peak"),
        *("largest difference of a probability", "decisions changed"),
    )
    return options.table(head, rows)


def over_grpc(version: Path, film: Path, rounds: int) -> str:
    """Four clients ask for one film at a time, each server in its turn."""
    servers = {form: Embedded(version, film, f"--precision={form}") for form in ("float32", "int8")}
    rows = []
    try:
        with ThreadPoolExecutor(_BATCH) as pool:
            for signature in (names.PREDICT_IMAGE, names.CAM):
                times: dict[str, list[float]] = {form: [] for form in servers}
                for _ in range(rounds):
                    for form, server in servers.items():
                        began = time.perf_counter()
                        list(pool.map(lambda _: server.call(signature, 2), range(_BATCH)))  # noqa: B023 - within the turn
                        times[form].append((time.perf_counter() - began) / 2 / _BATCH)
                slow, fast = (1000 * statistics.median(found) for found in times.values())
                rows.append((signature, f"{slow:.0f}", f"{fast:.0f}", f"{slow / fast:.2f}"))
    finally:
        for server in servers.values():
            server.stop()
    head = ("over gRPC, four clients", "float32, ms a film", "int8, ms a film", "times as fast")
    return options.table(head, rows)


def beside_the_limit(version: Path, batches: list[list[bytes]], seconds: int) -> str:
    """The int8 network alone, on prepared films, beside what OpenVINO's own tool makes of it."""
    model = tf.saved_model.load(str(version))
    prepared = model.prepare(tf.constant([image for batch in batches[:4] for image in batch]))
    grey = prepared[names.GREY].numpy()
    ours = int8.Int8Network(version / int8.NETWORK)
    ours(grey)
    end, count = time.perf_counter() + seconds, 0
    began = time.perf_counter()
    while time.perf_counter() < end:
        ours(grey)
        count += len(grey)
    speed = count / (time.perf_counter() - began)
    shape = ",".join(map(str, (1, *grey.shape[1:])))
    tool, file = str(Path(sys.executable).with_name("benchmark_app")), str(version / int8.NETWORK)
    how = ["-d", "CPU", "-hint", "throughput", "-shape", f"[{shape}]", "-t", str(seconds)]
    how += ["-infer_precision", ours.rest]
    told = subprocess.run(
        [tool, "-m", file, *how],
        capture_output=True,
        text=True,
        check=True,
    )
    (limit,) = re.findall(r"Throughput:\s+([\d.]+)", told.stdout)
    return options.table(
        ("the int8 network alone", "films a second"),
        [
            ("ours", f"{speed:.1f}"),
            ("OpenVINO's benchmark_app", limit),
            ("its ratio to ours, at most 1.15", f"{float(limit) / speed:.2f}"),
        ],
    )


def in_batches(values: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(values) - _BATCH + 1, _BATCH):
        yield values[start : start + _BATCH]


def asked(
    forms: dict[str, Answer], batches: list[list[bytes]]
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Every form's probabilities, where it gives any, and its seconds for each batch."""
    answers: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for answer in forms.values():
        answer(batches[0])
    for batch in batches:
        for name, answer in forms.items():
            began = time.perf_counter()
            found = answer(batch)
            seconds[name].append(time.perf_counter() - began)
            if found is not None:
                answers.setdefault(name, []).append(found)
    return {name: np.concatenate(found) for name, found in answers.items()}, seconds


def session(
    version: Path,
    *,
    bfloat16: bool = False,
    kind: Callable[..., servable.Servable] = servable.Servable,
) -> Answer:
    """As the embedded server runs it."""
    how = servable.SessionOptions(bfloat16=bfloat16)
    model = servable.load("m", 1, version, how, kind=kind)

    def answer(batch: list[bytes]) -> np.ndarray:
        inputs = {names.IMAGE_BYTES: np.array(batch, object)}
        found = model.run(names.PREDICT_IMAGE, inputs, (names.PROBABILITY,), None)
        return found[names.PROBABILITY]

    return answer


def openvino(version: Path, file: Path) -> Answer:
    """As the embedded server runs it, with that network."""
    computed = int8.Int8Network(file)
    return session(version, kind=lambda *loaded: int8.Int8Servable(*loaded, network=computed))


def float_network(version: Path, folder: Path) -> Path:
    save(served(tf.saved_model.load(str(version))), folder)
    return folder / FILE


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

    layers = onnxruntime.InferenceSession(
        str(onnx_file(version, folder)), providers=["CPUExecutionProvider"]
    )
    prepare = tf.saved_model.load(str(version)).prepare

    def answer(batch: list[bytes]) -> None:
        grey = prepare(tf.constant(batch))[names.GREY].numpy().astype(np.float32)
        layers.run(None, {"grey": np.moveaxis(grey, -1, 1)})

    return answer


def onnx_file(version: Path, folder: Path) -> Path:
    """VGG-16's convolutions as an ONNX graph from grey values to the last maps."""
    from onnx import TensorProto, helper, numpy_helper, save

    tensors = variables.read(version)
    weights = [np.asarray(tensors[variables.key(f"weights/{number}")]) for number in range(52)]
    constants, nodes = [], []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    means = constant("means", np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1))
    last = node("Sub", [node("Concat", ["grey"] * 3, "colour", axis=1), means], "caffe")
    depth, place = 3, 0
    for number, layer in enumerate(LAYERS):
        if layer.endswith("_conv1") and number:
            last = node("MaxPool", [last], f"{layer}_pool", kernel_shape=[2, 2], strides=[2, 2])
        shape = (3, 3, depth, depth := channels(1)[layer])
        while weights[place].shape != shape:  # the lungs' network lies between trunk and top
            place += 1
        kernel = constant(f"{layer}_k", weights[place].transpose(3, 2, 0, 1))
        bias = constant(f"{layer}_b", weights[place + 1])
        place += 2
        last = node("Conv", [last, kernel, bias], layer, kernel_shape=[3, 3], pads=[1] * 4)
        last = node("Relu", [last], f"{layer}_relu")
    graph = helper.make_graph(
        nodes,
        names.MODEL_NAME,
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, ["n", 1, 224, 224])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", 512, 14, 14])],
        constants,
    )
    path = folder / "model.onnx"
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
