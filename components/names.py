"""Names of features and splits; those that go over the wire come from the client's contract."""

from typing import Final

from client.contract import (
    CAM,
    CLASSES,
    EXAMPLES,
    FAMILIARITY,
    FEATURES,
    HEATMAP,
    IMAGE_BYTES,
    LABEL,
    LUNGS,
    MODEL_NAME,
    OVERLAY,
    PREDICT_IMAGE,
    PROBABILITY,
    QUALITY,
    SERVING_DEFAULT,
    THRESHOLD,
)

__all__ = [
    "CAM",
    "CLASSES",
    "EXAMPLES",
    "FAMILIARITY",
    "FEATURES",
    "HEATMAP",
    "IMAGE_BYTES",
    "LABEL",
    "LUNGS",
    "MODEL_NAME",
    "OVERLAY",
    "PREDICT_IMAGE",
    "PROBABILITY",
    "QUALITY",
    "SERVING_DEFAULT",
    "THRESHOLD",
]

# Raw tf.Example, out of ExampleGen.
IMAGE: Final = "image/encoded"
FILENAME: Final = "image/filename"
SHA256: Final = "image/sha256"
HEIGHT: Final = "image/height"
WIDTH: Final = "image/width"
PATIENT_ID: Final = "patient_id"
ETIOLOGY: Final = "etiology"
SIZE_CLASS: Final = "size_class"
SOURCE: Final = "source"
SLICE_KEYS: Final = (ETIOLOGY, SIZE_CLASS, SOURCE)
# Who was examined, how and where: slices where the configuration says where to read them.
GROUP_KEYS: Final = ("age_group", "sex", "view", "site", "manufacturer")
UNKNOWN: Final = "unknown"
POOLED: Final = "pooled"  # values that too few patients have to stand alone

# Transformed tf.Example: the prepared grey image as one PNG, the label and the slice keys.
IMAGE_PNG: Final = "image_png"

TRAIN: Final = "train"
VAL: Final = "val"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VAL, TEST)
# The validation films as other hospitals might send them, for the choice of the threshold.
VAL_LOOKS: Final = ("val_changed", "val_outside", "val_both")

# Signatures for what comes before the network and after it, what it looks at, and what it gives.
PARSE: Final = "parse"
PREPARE: Final = "prepare"
CONCLUDE: Final = "conclude"
GREY: Final = "grey"
SEEN: Final = ("evidence", "attention", "averaged", "lungs")
