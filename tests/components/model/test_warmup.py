"""A server finds warm-up requests where it looks for them, and the model answers each."""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components import names
from components.model import warmup
from tests.components.trainer_harness import Trained


def test_each_signature_is_warmed_up_by_a_request_it_can_answer(trained: Trained) -> None:
    warmed = []
    for record in tf.data.TFRecordDataset(str(trained.model / "assets.extra" / warmup.FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == names.MODEL_NAME
        signature = request.model_spec.signature_name
        inputs = {
            name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()
        }
        answer = trained.loaded.signatures[signature](**inputs)
        assert answer[names.PROBABILITY].shape == [1]
        warmed.append(signature)
    parts = {names.PARSE, names.PREPARE, names.CONCLUDE}  # which no client asks for
    assert sorted(warmed) == sorted(set(trained.loaded.signatures) - parts)
