"""One of Beam's worker processes, as a worker pool or a Flink task manager starts it.

Beam's own executable for this ships in its container images only.
"""

import argparse
import importlib
import logging

from apache_beam.runners.worker import sdk_worker


def main(arguments: list[str] | None = None) -> int:
    """Works for the runner at `--control_endpoint` until that hangs up.

    Beam's container contract names more endpoints; what they give (packages, a log) is here
    already: the worker runs in the project's own environment and logs to standard error.
    """
    parser = argparse.ArgumentParser(description="A Beam worker; Beam starts it.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    options, _ = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO)
    importlib.import_module("tfx")  # first of all: TFDV 1.16.1 imports only after it
    sdk_worker.SdkHarness(options.control_endpoint, worker_id=options.id).run()
    return 0
