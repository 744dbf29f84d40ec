"""What every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def xrays() -> Path:
    """The folder of real X-rays (PNEUMONIA_XRAYS); tests that ask for it carry the marker."""
    folder = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays"))
    folder = folder if folder.is_absolute() else REPOSITORY / folder
    if not folder.is_dir():
        pytest.skip(f"no real X-rays in {folder}; name their folder in PNEUMONIA_XRAYS")
    return folder
