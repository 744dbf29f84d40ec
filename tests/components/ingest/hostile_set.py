"""A data set with everything that may go wrong, and what is to become of each file."""

from pathlib import Path

from PIL import Image

from tests.client.image_files import PATIENT_ID, dicom, encoded, every_kind, grey, png_of_size
from tests.components.ingest.xray_sets import both_classes, films, write

SOUND = {
    **{f"train/{name}": data for name, data in both_classes().items()},
    **films(6, "TEST/normal/IM-9{n:03d}-0001.jpeg", 5000),
    **films(6, "TEST/pneumonia/person9{n}_bacteria_1.jpeg", 6000),
    **{f"train/PNEUMONIA/kinds/{name}": data for name, data in every_kind().items()},
    "val/NORMAL/with space.jpeg": encoded(grey(70, 70, 90), "JPEG"),
    "val/NORMAL/line\nbreak.jpeg": encoded(grey(70, 70, 91), "JPEG"),
    "val/NORMAL/肺炎 лёгкие.jpeg": encoded(grey(70, 70, 92), "JPEG"),
    "val/PNEUMONIA/bad-utf8-\udcff.jpeg": encoded(grey(70, 70, 93), "JPEG"),
    f"train/PNEUMONIA/WINTERGREEN, ottoline {PATIENT_ID}.dcm": dicom(grey(80, 80), bits=8),
}
REJECTED = {
    "train/NORMAL/zero.jpeg": (b"", "not_an_image"),
    "train/NORMAL/cut.jpeg": (encoded(grey(seed=60), "JPEG")[:-100], "truncated"),
    "train/NORMAL/text.jpg": (b"this is text", "not_an_image"),
    "train/NORMAL/huge.png": (png_of_size(40_000, 40_000), "too_large"),
    "train/NORMAL/heavy.jpeg": (bytes(2**20 + 1), "too_large"),
    "train/NORMAL/drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
    "train/NORMAL/moving.gif": (
        encoded(grey(), "GIF", save_all=True, append_images=[Image.fromarray(grey(seed=1))]),
        "not_an_image",
    ),
    "train/NORMAL/ct.dcm": (dicom(Modality="CT"), "unsupported"),
    "train/NORMAL/no pixels.dcm": (dicom(PixelData=None), "unsupported"),
    "train/NORMAL/frames.dcm": (dicom(NumberOfFrames=3), "unsupported"),
    "train/NORMAL/cut.dcm": (dicom()[:-50], "truncated"),
    "README.md": (encoded(grey(seed=61), "PNG"), "unlabelled"),
    "train/NORMAL/two classes.png": (encoded(grey(seed=62), "PNG"), "conflicting_labels"),
    "train/PNEUMONIA/two classes.png": (encoded(grey(seed=62), "PNG"), "conflicting_labels"),
    "train/NORMAL/test says other.jpeg": (
        SOUND["TEST/pneumonia/person90_bacteria_1.jpeg"],
        "conflicting_labels",
    ),
    "train/NORMAL/IM-9001-0002.jpeg": (encoded(grey(seed=63), "JPEG"), "patient_in_test"),
}
DUPLICATES = {
    "train/NORMAL/in test too.jpeg": SOUND["TEST/normal/IM-9000-0001.jpeg"],
    "val/NORMAL/twice.jpeg": SOUND["train/NORMAL/IM-0000-0001.jpeg"],
}
TEST_DUPLICATE = {"TEST/normal/again.jpeg": SOUND["TEST/normal/IM-9002-0001.jpeg"]}
LINKS = {"train/NORMAL/loop", "train/NORMAL/self.jpeg", "train/NORMAL/dangling.jpeg"}


def make(base: Path) -> Path:
    """Writes the set into an empty folder."""
    bad = {name: content for name, (content, _) in REJECTED.items()}
    write(base, SOUND | DUPLICATES | TEST_DUPLICATE | bad)
    (base / "train/NORMAL/loop").symlink_to(base / "train")
    (base / "train/NORMAL/self.jpeg").symlink_to("self.jpeg")
    (base / "train/NORMAL/dangling.jpeg").symlink_to("nowhere")
    return base
