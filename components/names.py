"""Every feature, split, signature and tensor name, once."""

from typing import Final

# Raw tf.Example, out of ExampleGen.
IMAGE: Final = "image/encoded"
FILENAME: Final = "image/filename"
SHA256: Final = "image/sha256"
HEIGHT: Final = "image/height"
WIDTH: Final = "image/width"
PATIENT_ID: Final = "patient_id"
LABEL: Final = "label"
ETIOLOGY: Final = "etiology"
SIZE_CLASS: Final = "size_class"
SOURCE: Final = "source"
SLICE_KEYS: Final = (ETIOLOGY, SIZE_CLASS, SOURCE)

# Transformed tf.Example: the prepared grey image as one PNG, the label and the slice keys.
IMAGE_PNG: Final = "image_png"

CLASSES: Final = ("NORMAL", "PNEUMONIA")  # the index is the label

TRAIN: Final = "train"
VAL: Final = "val"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VAL, TEST)
# The validation films as other hospitals might send them, for the choice of the threshold.
VAL_LOOKS: Final = ("val_changed", "val_outside", "val_both")

MODEL_NAME: Final = "pneumonia"
SERVING_DEFAULT: Final = "serving_default"
PREDICT_IMAGE: Final = "predict_image"
CAM: Final = "cam"

EXAMPLES: Final = "examples"
IMAGE_BYTES: Final = "image_bytes"
PROBABILITY: Final = "probability"
THRESHOLD: Final = "threshold"
QUALITY: Final = "quality"
FAMILIARITY: Final = "familiarity"
LUNGS: Final = "lungs"
HEATMAP: Final = "heatmap"
OVERLAY: Final = "overlay_png_bytes"
