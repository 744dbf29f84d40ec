"""Runs kubeflow.step where the pod's /minio, /s3 and /gcs are folders on its disk.

python -m tests.kubeflow.in_pod DISK [the step's arguments]
"""

import sys

from absl import app

from kubeflow import step

if __name__ == "__main__":
    disk = sys.argv.pop(1)
    for scheme, mount in step._MOUNTS.items():
        step._MOUNTS[scheme] = disk + mount
    app.run(step.main, flags_parser=step._parse)
