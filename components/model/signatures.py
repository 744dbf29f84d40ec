"""The SavedModel: three signatures around the Transform graph, the network and its threshold."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from components import names
from components.examples import SLICE
from components.image.frontal import FrontalJudge
from components.image.heatmap import HEATMAP_SIZE, overlay, uncrop_heatmap
from components.image.settings import ImageConfig
from components.model.familiarity import LIMIT, TINY, Familiarity
from components.model.network import Network
from components.model.operating_point import OperatingPoint
from components.model.settings import FILM

_BYTES = tf.TensorSpec([None], tf.string, name=names.IMAGE_BYTES)
_SCORES = {
    names.PROBABILITY: tf.TensorSpec([None], tf.float32),
    names.THRESHOLD: tf.TensorSpec([None], tf.float32),
    names.LABEL: tf.TensorSpec([None], tf.int64),
    names.QUALITY: tf.TensorSpec([None], tf.float32),
    names.FAMILIARITY: tf.TensorSpec([None], tf.float32),
}
_MAPS = {
    names.HEATMAP: tf.TensorSpec([None, HEATMAP_SIZE, HEATMAP_SIZE], tf.float32),
    names.LUNGS: tf.TensorSpec([None, HEATMAP_SIZE, HEATMAP_SIZE], tf.float32),
}

Tensors = dict[str, tf.Tensor]


class ServedModel(tf.Module):
    """The model as it is served.

    The operating point is kept in variables, so that a loaded model can be calibrated anew and
    saved again: `slope`, `intercept`, `threshold`, `heat_scale`, all float32[]. So is what
    familiarity is measured against: a constant would be stored once for each signature.

    Args:
        network: trained.
        point: fitted on its outputs.
        familiarity: fitted on its trunk's outputs.
        transform: the SavedModel that tf.Transform wrote, loaded.
        image: the options that Transform's graph was built with.

    Raises:
        tf.errors.InvalidArgumentError: from any signature, for bytes that are not an image.
    """

    def __init__(
        self,
        network: Network,
        point: OperatingPoint,
        familiarity: Familiarity,
        transform: Any,
        image: ImageConfig,
    ) -> None:
        super().__init__(name=names.MODEL_NAME)
        self._network = network
        self._image = image
        self.weights = network.variables
        self.transform = transform
        self.slope = tf.Variable(point.slope, trainable=False, name="slope")
        self.intercept = tf.Variable(point.intercept, trainable=False, name="intercept")
        self.threshold = tf.Variable(point.threshold, trainable=False, name="threshold")
        self.heat_scale = tf.Variable(point.heat_scale, trainable=False, name="heat_scale")
        self.judge = FrontalJudge()
        self.usual = tf.Variable(familiarity.mean, trainable=False, name="usual")
        self.whitening = tf.Variable(familiarity.whitening, trainable=False, name="whitening")
        scale = [familiarity.centre, familiarity.spread]
        self.distances = tf.Variable(scale, trainable=False, name="distances")

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name=names.EXAMPLES)], autograph=False
    )
    def serving_default(self, examples: tf.Tensor) -> Tensors:
        """Serialized tf.Examples with `image/encoded`, string[N]; what TFMA and tools call."""
        spec = {names.IMAGE: tf.io.FixedLenFeature([], tf.string)}
        return self.predict_image(tf.io.parse_example(examples, spec)[names.IMAGE])

    @tf.function(input_signature=[_BYTES], autograph=False)
    def predict_image(self, image_bytes: tf.Tensor) -> Tensors:
        """JPEG or PNG, string[N]; what the client calls."""
        return _in_slices(
            lambda part: self._scores(*self.examine(part)[:4]), image_bytes, self._specs()
        )

    @tf.function(input_signature=[_BYTES], autograph=False)
    def cam(self, image_bytes: tf.Tensor) -> Tensors:
        """JPEG or PNG, string[N]; the prediction with its class-activation map."""
        maps = _in_slices(self._maps, image_bytes, {**self._specs(), **_MAPS})
        # In a loop of their own: who does not fetch them does not wait for them.
        maps[names.OVERLAY] = tf.map_fn(
            lambda pair: overlay(*pair),
            (image_bytes, maps[names.HEATMAP]),
            fn_output_signature=tf.string,
            parallel_iterations=2,
        )
        return maps

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def examine(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What is seen on each of some films.

        Returns:
            Calibrated logits by place, float32[n,h,w], whose mean is the film's; quality and
            familiarity, float32[n]; the trunk's features averaged over the film, float32[n,C]; what
            each place weighs, float32[n,h,w] of mean 1; the lung fields on the prepared image,
            float32[n,S,S].
        """
        size = self._image.size
        images = tf.map_fn(
            lambda png: tf.ensure_shape(tf.io.decode_png(png, channels=1), [size, size, 1]),
            self._prepared(image_bytes),
            fn_output_signature=tf.TensorSpec([size, size, 1], tf.uint8),
        )
        seen, lungs = self._network.view(images, training=False)
        attention = self._network.attention(seen)
        margins = self.slope * self._network.evidence(seen) + self.intercept * attention
        quality = self.judge(tf.cast(images[..., 0], tf.float32), lungs)
        averaged = tf.reduce_mean(seen[..., :-1], axis=[1, 2])  # the last channel is no feature
        return margins, quality, self._familiarity(averaged), averaged, attention, lungs

    def _specs(self) -> dict[str, tf.TensorSpec]:
        """Of what `_scores` gives; no film at all gives no row of so many columns."""
        return {**_SCORES, names.FEATURES: tf.TensorSpec([None, self.usual.shape[0]], tf.float32)}

    def _familiarity(self, averaged: tf.Tensor) -> tf.Tensor:
        """As `Familiarity.score`."""
        far = tf.norm(tf.linalg.matmul(averaged - self.usual, self.whitening), axis=1)
        centre, spread = tf.unstack(self.distances, num=2)
        return tf.sigmoid(2 * (LIMIT - (tf.math.log(far + TINY) - centre) / spread))

    def _prepared(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """What Transform's graph makes of the images; its outputs need no other feature.

        Its function is called, not TransformFeaturesLayer, a Keras 2 model that takes seconds
        to save.
        """
        transform = self.transform.transform_fn
        ((specs,), _) = transform.structured_input_signature
        unused = {name: tf.zeros(tf.shape(image_bytes), spec.dtype) for name, spec in specs.items()}
        return transform({**unused, names.IMAGE: image_bytes})[names.IMAGE_PNG]

    def _scores(
        self,
        margins: tf.Tensor,
        quality: tf.Tensor,
        familiarity: tf.Tensor,
        averaged: tf.Tensor,
    ) -> Tensors:
        probability = tf.sigmoid(tf.reduce_mean(margins, axis=[1, 2]))
        return {
            names.PROBABILITY: probability,
            names.THRESHOLD: tf.fill(tf.shape(probability), self.threshold),
            names.LABEL: tf.cast(probability >= self.threshold, tf.int64),
            names.QUALITY: quality,
            names.FAMILIARITY: familiarity,
            names.FEATURES: averaged,
        }

    def _maps(self, image_bytes: tf.Tensor) -> Tensors:
        """Heat is the evidence beyond the decision threshold, on the scale fixed on val.

        It is weighted with the film's probability: evidence that the rest of the film outweighs
        may not make a healthy one glow.
        """
        margins, quality, familiarity, averaged, attention, lungs = self.examine(image_bytes)
        scores = self._scores(margins, quality, familiarity, averaged)
        cut = tf.math.log(self.threshold) - tf.math.log1p(-self.threshold)
        heat = tf.clip_by_value((margins - cut * attention) / self.heat_scale, 0.0, 1.0)
        heat *= scores[names.PROBABILITY][:, None, None]
        lungs = uncrop_heatmap(lungs, self._image.crop_border)
        heatmap = uncrop_heatmap(heat, self._image.crop_border)
        if self._network.evidence_from != FILM:
            # A place's weight is its share of lung: what counts of it is that part.
            heatmap *= lungs
        return {**scores, names.HEATMAP: heatmap, names.LUNGS: lungs}


def export(servable: ServedModel, folder: str) -> None:
    """Writes the SavedModel: each weight once, no optimizer state.

    Args:
        servable: the model with its three signatures.
        folder: a path or URI where the SavedModel is written.
    """
    tf.saved_model.save(
        servable,
        folder,
        signatures={
            names.SERVING_DEFAULT: servable.serving_default,
            names.PREDICT_IMAGE: servable.predict_image,
            names.CAM: servable.cam,
        },
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def _in_slices(
    work: Callable[[tf.Tensor], Tensors],
    image_bytes: tf.Tensor,
    outputs: Mapping[str, tf.TensorSpec],
) -> Tensors:
    """Runs `work` on SLICE images after another and joins what it gives; none give none."""
    slices = -(-tf.size(image_bytes) // SLICE)
    arrays = {
        name: tf.TensorArray(spec.dtype, slices, element_shape=spec.shape, infer_shape=False)
        for name, spec in outputs.items()
    }

    def body(index: tf.Tensor, arrays: dict[str, tf.TensorArray]) -> tuple[tf.Tensor, dict]:
        part = work(image_bytes[index * SLICE : (index + 1) * SLICE])
        return index + 1, {name: array.write(index, part[name]) for name, array in arrays.items()}

    _, arrays = tf.while_loop(
        lambda index, _: index < slices, body, (0, arrays), parallel_iterations=1
    )
    return {name: array.concat() for name, array in arrays.items()}
