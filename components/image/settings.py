"""Settings of preprocessing and augmentation."""

from typing import Annotated, Literal

from pydantic import Field

from components.settings import Count, NonNegative, Share, settings


@settings
class ImageConfig:
    """What preprocessing makes of an X-ray, in training and serving alike."""

    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 224
    crop_border: Annotated[float, Field(ge=0, le=0.2)] = 0.0  # share of each side left out
    contrast: Literal["none", "harmonise"] = "none"
    outside: Literal["keep", "grey"] = "keep"  # of the lungs, with a soft edge


@settings
class AugmentConfig:
    """Augmented copies of training images; strengths are the largest change either way."""

    balance: Share = 1.0  # the minority class is brought up to this share of the majority's count
    # Share of the original training images that are augmented themselves. Below 1, the classes
    # differ in how many of their images carry augmentation's own traces: a shortcut to learn.
    originals: Share = 1.0
    versions: Count = 1  # of each image, before the minority's; more of them vary more
    outside: Share = 0.0  # of changed versions: all but the lungs is another film's, of any class
    objects: Share = 0.0  # of changed versions: markers, text, cables, collimation laid on
    val_looks: bool = False  # val also changed, with another outside, and both: for the threshold
    rotation_degrees: NonNegative = 10.0
    shift: Share = 0.06  # of the side
    zoom: Share = 0.1
    shear_degrees: NonNegative = 5.0
    stretch: Share = 0.25  # of the aspect
    gamma: Share = 0.25  # exponent between 1/(1+gamma) and 1+gamma
    brightness: Share = 0.1  # of the full range
    contrast: Share = 0.2
    blur: Share = 0.5  # resampled through at least (1 - blur) of the side
    sharpen: NonNegative = 1.0  # unsharp masking; a film is blurred or sharpened, never both
    noise: Share = 0.02  # standard deviation, of the full range
    grain: Annotated[float, Field(ge=0, le=0.9)] = 0.0  # drawn on a grid coarser by this share
