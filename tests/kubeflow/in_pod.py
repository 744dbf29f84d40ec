"""Runs kubeflow.step where the pod's /minio, /s3 and /gcs are folders on its disk."""

import sys

from absl import app

from kubeflow import step


def main() -> None:
    """Takes the disk and the step's arguments from the command line."""
    disk = sys.argv.pop(1)
    for scheme, mount in step._MOUNTS.items():
        step._MOUNTS[scheme] = disk + mount
    app.run(step.main, flags_parser=step._parse)
