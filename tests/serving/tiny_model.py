"""A model with the pneumonia model's three signatures, small enough to export in a second.

The probability is the mean grey value of the image, so a test knows what to expect.
"""

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

SIDE = 8


class TinyModel(tf.Module):
    """`bias` (float32[]) is added to the probability: it tells the versions apart."""

    def __init__(self, bias: float, work: int, ballast: int) -> None:
        """`work`: multiplications of a 512 x 512 matrix; `ballast`: unused float32 variables."""
        super().__init__()
        self.bias = tf.Variable(bias)
        self.ballast = tf.Variable(tf.ones([ballast]))
        self.work = work

    def scores(self, image_bytes: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        def decode(encoded: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(encoded, channels=1, expand_animations=False)
            image.set_shape([None, None, 1])
            return tf.image.resize(tf.cast(image, tf.float32) / 255.0, [SIDE, SIDE])

        images = tf.map_fn(
            decode, image_bytes, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 1], tf.float32)
        )
        delay = self.bias * 0.0
        if self.work:
            matrix = tf.fill([512, 512], self.bias * 1e-6)
            for _ in tf.range(self.work):
                matrix = matrix @ matrix
            delay = matrix[0, 0] * 0.0
        probability = tf.reduce_mean(images, [1, 2, 3]) + self.bias + delay
        threshold = tf.fill(tf.shape(probability), 0.5)
        label = tf.cast(probability >= threshold, tf.int64)
        return {"probability": probability, "threshold": threshold, "label": label}, images

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        return self.scores(tf.io.parse_example(examples, spec)["image/encoded"])[0]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def predict_image(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.scores(image_bytes)[0]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def cam(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, images = self.scores(image_bytes)
        overlay = tf.map_fn(
            lambda image: tf.io.encode_png(tf.cast(image * 255.0, tf.uint8)),
            images,
            fn_output_signature=tf.string,
        )
        return {**scores, "heatmap": images[..., 0], "overlay_png_bytes": overlay}


def export(path: Path, bias: float = 0.0, work: int = 0, ballast: int = 0) -> Path:
    """Writes the model as a SavedModel with a warm-up request."""
    model = TinyModel(bias, work, ballast)
    names = ("serving_default", "predict_image", "cam")
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(path), signatures=signatures)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request("predict_image", [png(0)]))
    extra = path / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    return path


def png(grey: int, side: int = 16) -> bytes:
    """A PNG of one grey value, whose probability is grey / 255."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side), grey, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def example(image: bytes) -> bytes:
    """A serialized tf.Example that holds an image."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    features = tf.train.Features(feature={"image/encoded": feature})
    return tf.train.Example(features=features).SerializeToString()


def request(
    signature: str, images: list[bytes], *, model: str = "pneumonia", name: str = ""
) -> predict_pb2.PredictRequest:
    """A PredictRequest on one signature; `name` of the input, by default the signature's own."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    name = name or ("examples" if signature in ("", "serving_default") else "image_bytes")
    message.inputs[name].CopyFrom(tf.make_tensor_proto(images, tf.string, [len(images)]))
    return message
