"""The wire contract between client and served model: names of model, signatures and tensors.

Outputs may be added, never taken away. TensorFlow Serving's REST API base64-codes tensors whose
names end in `_bytes`.
"""

from typing import Final

MODEL_NAME: Final = "pneumonia"
SERVING_DEFAULT: Final = "serving_default"
PREDICT_IMAGE: Final = "predict_image"
CAM: Final = "cam"

EXAMPLES: Final = "examples"
IMAGE_BYTES: Final = "image_bytes"
PROBABILITY: Final = "probability"
THRESHOLD: Final = "threshold"
LABEL: Final = "label"
QUALITY: Final = "quality"
FAMILIARITY: Final = "familiarity"
FEATURES: Final = "features"  # the trunk's, averaged over the film
HEATMAP: Final = "heatmap"
LUNGS: Final = "lungs"
OVERLAY: Final = "overlay_png_bytes"

CLASSES: Final = ("NORMAL", "PNEUMONIA")  # the index is the label
STATES: Final = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
