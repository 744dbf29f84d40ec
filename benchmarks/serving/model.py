"""Exports what the benchmark serves: `python -m benchmarks.serving.model FOLDER vgg16|light`.

The network of the project's servables (or, `light`, next to none, so that what a server adds can be
seen) with random weights: time does not depend on them.
"""

import sys

import keras
import tensorflow as tf

SIDE = 224


class Model(tf.Module):
    """Signatures `predict_image` and `cam`, as the project's models have them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        shape = (SIDE, SIDE, 3)
        self.network = (
            keras.applications.VGG16(weights=None, include_top=False, input_shape=shape)
            if kind == "vgg16"
            else keras.Sequential([keras.Input(shape), keras.layers.AveragePooling2D(32)])
        )
        self.weights = [weight.value for weight in self.network.weights]

    def scores(self, image_bytes: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        def decode(encoded: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(encoded, channels=1, expand_animations=False)
            image.set_shape([None, None, 1])
            return tf.image.resize(tf.cast(image, tf.float32), [SIDE, SIDE], antialias=True)

        spec = tf.TensorSpec([SIDE, SIDE, 1], tf.float32)
        images = tf.map_fn(decode, image_bytes, fn_output_signature=spec)
        features = self.network(tf.repeat(images, 3, -1))
        probability = tf.sigmoid(tf.reduce_mean(features, [1, 2, 3]))
        threshold = tf.fill(tf.shape(probability), 0.5)
        label = tf.cast(probability >= threshold, tf.int64)
        scores = {"probability": probability, "threshold": threshold, "label": label}
        return scores, tf.reduce_mean(features, -1, keepdims=True)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def predict_image(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.scores(image_bytes)[0]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def cam(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, maps = self.scores(image_bytes)
        heatmap = tf.image.resize(maps, [SIDE, SIDE])
        overlay = tf.map_fn(
            lambda heat: tf.io.encode_png(tf.cast(heat, tf.uint8)),
            heatmap,
            fn_output_signature=tf.string,
        )
        return {**scores, "heatmap": heatmap[..., 0], "overlay_png_bytes": overlay}


if __name__ == "__main__":
    folder, kind = sys.argv[1:]
    model = Model(kind)
    tf.saved_model.save(
        model, folder, signatures={"predict_image": model.predict_image, "cam": model.cam}
    )
