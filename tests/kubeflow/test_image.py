"""The image holds what the steps need, and runs them without root."""

import re
from pathlib import Path

import pytest

from kubeflow import cluster

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "kubeflow"
LINES = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def test_the_base_is_pinned_to_the_python_and_the_debian_of_the_lock():
    (base,) = (line.partition("=")[2] for line in LINES if line.startswith("ARG PYTHON="))
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)
    assert {line.split()[1] for line in LINES if line.startswith("FROM")} == {"${PYTHON}"}


def test_it_runs_as_a_user_that_is_not_root():
    user = [line.split()[1] for line in LINES if line.startswith("USER")][-1]
    uid, gid = map(int, user.split(":"))
    assert uid > 0
    assert gid > 0


def test_packages_are_installed_by_their_hashes_only():
    installs = re.findall(r"pip install [^&;]*", "\n".join(LINES))
    assert [line for line in installs if "lock.txt" in line or "uv.txt" in line]
    for line in installs:
        assert "--require-hashes" in line or "tensorflow[and-cuda]" in line


@pytest.mark.parametrize(
    "source",
    [
        source
        for line in LINES
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ],
)
def test_what_it_copies_is_there_and_not_kept_from_the_builder(source):
    assert (REPOSITORY / source).exists()
    kept = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert any(f"!{part}" in kept for part in (source, source.split("/")[0]))


def test_every_mount_of_the_cluster_file_is_a_folder_of_its_user():
    (made,) = (line for line in LINES if "install -d -o pneumonia" in line)
    settings = cluster.load()
    for name in settings.steps:
        assert all(f" {path}" in made for path in settings.of(name).volumes.values())
