"""The SavedModel: three signatures around the Transform graph, the network and its threshold.

Three more are what comes before the network and after it, for a server that computes the network
itself by other means than TensorFlow's: `parse`, `prepare` and `conclude`.
"""

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

_EXAMPLES = tf.TensorSpec([None], tf.string, name=names.EXAMPLES)
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
        side = image.size
        grey = tf.TensorSpec([None, side, side, 1], tf.uint8, name=names.GREY)
        self.network = tf.function(self._seen, input_signature=[grey], autograph=False)
        seen = self.network.get_concrete_function().structured_outputs
        self.conclude = tf.function(
            self._conclude,
            input_signature=[
                _BYTES,
                grey,
                *(tf.TensorSpec(seen[name].shape, tf.float32, name=name) for name in names.SEEN),
            ],
            autograph=False,
        )

    @tf.function(input_signature=[_EXAMPLES], autograph=False)
    def serving_default(self, examples: tf.Tensor) -> Tensors:
        """Serialized tf.Examples with `image/encoded`, string[N]; what TFMA and tools call."""
        return self.predict_image(_images(examples))

    @tf.function(input_signature=[_BYTES], autograph=False)
    def predict_image(self, image_bytes: tf.Tensor) -> Tensors:
        """JPEG or PNG, string[N]; what the client calls."""
        return _in_slices(
            lambda part: self._scores(*self.examine(part)[:4]), image_bytes, self._specs()
        )

    @tf.function(input_signature=[_BYTES], autograph=False)
    def cam(self, image_bytes: tf.Tensor) -> Tensors:
        """JPEG or PNG, string[N]; the prediction with its class-activation map."""
        maps = _in_slices(
            lambda part: self._maps(*self.examine(part)), image_bytes, {**self._specs(), **_MAPS}
        )
        # In a loop of their own: who does not fetch them does not wait for them.
        return {**maps, names.OVERLAY: _overlays(image_bytes, maps[names.HEATMAP])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def examine(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What is seen on each of some films.

        Returns:
            Calibrated logits by place, float32[n,h,w], whose mean is the film's; quality and
            familiarity, float32[n]; the trunk's features averaged over the film, float32[n,C]; what
            each place weighs, float32[n,h,w] of mean 1; the lung fields on the prepared image,
            float32[n,S,S].
        """
        # Plain functions: of a further tf.function in the loop TensorFlow fuses nothing, and takes
        # three times as long.
        grey = self._grey(image_bytes)
        seen = self._seen(grey)
        return self._examined(grey, *(seen[name] for name in names.SEEN))

    @tf.function(input_signature=[_EXAMPLES], autograph=False)
    def parse(self, examples: tf.Tensor) -> Tensors:
        """Serialized tf.Examples, string[N], to the images in them."""
        return {names.IMAGE_BYTES: _images(examples)}

    @tf.function(input_signature=[_BYTES], autograph=False)
    def prepare(self, image_bytes: tf.Tensor) -> Tensors:
        """JPEG or PNG, string[n], to what the network looks at, uint8[n,S,S,1]."""
        return {names.GREY: self._grey(image_bytes)}

    def _grey(self, image_bytes: tf.Tensor) -> tf.Tensor:
        size = self._image.size
        return tf.map_fn(
            lambda png: tf.ensure_shape(tf.io.decode_png(png, channels=1), [size, size, 1]),
            self._prepared(image_bytes),
            fn_output_signature=tf.TensorSpec([size, size, 1], tf.uint8),
        )

    def _seen(self, grey: tf.Tensor) -> Tensors:
        """The network alone, from prepared films uint8[n,S,S,1].

        Returns:
            By the names of SEEN: the evidence of each place and what the place weighs,
            float32[n,h,w]; the trunk's features averaged over the film, float32[n,C]; the lung
            fields, float32[n,S,S].
        """
        features, lungs = self._network.view(grey, training=False)
        evidence, attention = self._network.evidence(features), self._network.attention(features)
        averaged = tf.reduce_mean(features[..., :-1], axis=[1, 2])  # the last one is no feature
        return dict(zip(names.SEEN, (evidence, attention, averaged, lungs), strict=True))

    def _conclude(self, image_bytes: tf.Tensor, grey: tf.Tensor, *seen: tf.Tensor) -> Tensors:
        """As `cam` of at most SLICE films, of what `prepare` and the network gave."""
        maps = self._maps(*self._examined(grey, *seen))
        return {**maps, names.OVERLAY: _overlays(image_bytes, maps[names.HEATMAP])}

    def _examined(
        self,
        grey: tf.Tensor,
        evidence: tf.Tensor,
        attention: tf.Tensor,
        averaged: tf.Tensor,
        lungs: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """As `examine`, of what `prepare` and the network gave."""
        margins = self.slope * evidence + self.intercept * attention
        quality = self.judge(tf.cast(grey[..., 0], tf.float32), lungs)
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

    def _maps(
        self,
        margins: tf.Tensor,
        quality: tf.Tensor,
        familiarity: tf.Tensor,
        averaged: tf.Tensor,
        attention: tf.Tensor,
        lungs: tf.Tensor,
    ) -> Tensors:
        """Heat is the evidence beyond the decision threshold, on the scale fixed on val.

        It is weighted with the film's probability: evidence that the rest of the film outweighs
        may not make a healthy one glow.
        """
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
            names.PARSE: servable.parse,
            names.PREPARE: servable.prepare,
            names.CONCLUDE: servable.conclude,
        },
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def _images(examples: tf.Tensor) -> tf.Tensor:
    spec = {names.IMAGE: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[names.IMAGE]


def _overlays(image_bytes: tf.Tensor, heatmaps: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(
        lambda pair: overlay(*pair),
        (image_bytes, heatmaps),
        fn_output_signature=tf.string,
        parallel_iterations=2,
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
