"""What is pushed must run on the TensorFlow that the deployed server is built on, too."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving.tiny_model import png

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "serving" / "tensorflow_serving" / "Dockerfile"


def deployed_release() -> str:
    return re.search(r"^FROM tensorflow/serving:(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the deployed server's TensorFlow."""
    folder = tmp_path_factory.mktemp("older")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    package = f"tensorflow-cpu=={deployed_release()}"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, package], check=True)
    return python


def answer(python: Path | str, model: Path, image: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("answer.py")
    done = subprocess.run(
        [python, script, model, image], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def pushed() -> list[Path]:
    """The newest version that a run here has pushed, if any has."""
    versions = ROOT.glob("runs/*/serving/pneumonia/[0-9]*")
    return sorted(versions, key=lambda version: int(version.name))[-1:]


@pytest.mark.slow
def test_the_deployed_servers_tensorflow_answers_alike(
    older: Path, exported: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(png(51, side=300))

    for model in [exported / "1", *pushed()]:
        theirs, ours = answer(older, model, image), answer(sys.executable, model, image)

        assert theirs.pop("version") == deployed_release()
        ours.pop("version")
        assert theirs.keys() == ours.keys()
        for signature, outputs in ours.items():
            assert theirs[signature].keys() == outputs.keys()
            for name, value in outputs.items():
                np.testing.assert_allclose(theirs[signature][name], value, rtol=1e-4, atol=1e-5)
