"""Peers' packages, installed beside the project's own and not among them."""

import subprocess
import sys
from pathlib import Path


def install(folder: Path, *packages: str) -> str:
    """Installs packages into a folder to be appended to sys.path; returns its path.

    Appended, so that what is installed already is not replaced.
    """
    installer = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*installer, *packages], check=True)
    return str(folder)
