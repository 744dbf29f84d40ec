"""Requests that a server answers to itself before it takes any: the first user does not wait."""

from typing import Final

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components import names

FILE: Final = "tf_serving_warmup_requests"  # TensorFlow Serving's name, below assets.extra


def write(path: str) -> None:
    """Writes a TFRecord of one PredictionLog per signature, each with one small grey image.

    Format: TensorFlow Serving, "SavedModel Warmup".
    """
    image = tf.io.encode_png(tf.fill([256, 256, 1], tf.constant(96, tf.uint8))).numpy()
    example = tf.train.Example()
    example.features.feature[names.IMAGE].bytes_list.value.append(image)
    inputs = {
        names.SERVING_DEFAULT: {names.EXAMPLES: example.SerializeToString()},
        names.PREDICT_IMAGE: {names.IMAGE_BYTES: image},
        names.CAM: {names.IMAGE_BYTES: image},
    }
    with tf.io.TFRecordWriter(path) as writer:
        for signature, tensors in inputs.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = names.MODEL_NAME
            request.model_spec.signature_name = signature
            for name, value in tensors.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto([value], tf.string))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
