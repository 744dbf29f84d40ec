"""Run by another TensorFlow: answers one image with a SavedModel's signatures, as JSON.

Usage: answer.py SAVED_MODEL IMAGE, through a session, as TensorFlow Serving does it.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf

if __name__ == "__main__":
    image = Path(sys.argv[2]).read_bytes()
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature}))
    answers = {"version": tf.__version__}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
        for name in ("serving_default", "predict_image", "cam"):
            signature = model.signature_def[name]
            alias, info = next(iter(signature.inputs.items()))
            sent = example.SerializeToString() if alias == "examples" else image
            fetches = {key: output.name for key, output in signature.outputs.items()}
            values = session.run(fetches, {info.name: [sent]})
            answers[name] = {
                key: value.tolist() for key, value in values.items() if value.dtype != object
            }
    print(json.dumps(answers))
