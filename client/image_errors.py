"""Why a file is not an X-ray that can be used, and the caps that keep it from being decoded."""

import enum


class Reason(enum.StrEnum):
    """A reject's reason, as the ingest report and the clients name it."""

    UNREADABLE = "unreadable"  # the system refuses it, or its content is damaged
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"  # over the byte or the pixel cap
    NOT_AN_IMAGE = "not_an_image"  # neither JPEG, PNG nor DICOM
    UNSUPPORTED = (
        "unsupported"  # sound, but no single grey radiograph: CT, several frames, no pixels
    )


class ImageError(ValueError):
    """A file that cannot be used, in one line that does not name it: the caller knows its name.

    `identity` holds the names and ids of a DICOM's patient, so that a caller can keep them out of
    what it writes; they are in neither the message nor the repr.
    """

    def __init__(self, reason: Reason, message: str, identity: tuple[str, ...] = ()):
        super().__init__(message)
        self.reason = reason
        self.identity = identity


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Checks a picture's size before it is decoded.

    Args:
        width: in pixels.
        height: in pixels.
        max_pixels: the cap on width * height.

    Raises:
        ImageError: the picture is empty or over the cap.
    """
    if width * height > max_pixels:
        message = f"{width:,} x {height:,} pixels, over the cap of {max_pixels:,}"
        raise ImageError(Reason.TOO_LARGE, message)
    if not width * height:
        raise ImageError(Reason.UNREADABLE, f"{width} x {height} pixels")
