"""Runs one of Beam's worker processes; a worker pool or a Flink task manager starts it.

Beam's own executable for this ships in its container images only.
"""

import argparse
import importlib
import logging

import grpc
from apache_beam.runners.worker import sdk_worker


def main(arguments: list[str] | None = None) -> int:
    """Works for the runner at `--control_endpoint` until the runner hangs up.

    Beam's container contract names more endpoints; what they give (packages, a log) is here
    already: the worker runs in the project's own environment and logs to standard error.
    """
    parser = argparse.ArgumentParser(description="A Beam worker; Beam starts it.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    options, _ = parser.parse_known_args(arguments)
    importlib.import_module("tfx")  # first of all: TFDV 1.16.1 imports only after it
    work(options.control_endpoint, options.id)
    return 0


def work(control_endpoint: str, worker_id: str) -> None:
    """Works until the runner hangs up; the process must have imported tfx.

    Args:
        control_endpoint: the runner's, as host:port.
        worker_id: by which the runner knows this worker.
    """
    logging.basicConfig(level=logging.INFO)
    try:
        sdk_worker.SdkHarness(control_endpoint, worker_id=worker_id).run()
    except grpc.RpcError as error:  # the usual end: some runners break off, others close
        logging.info("The runner hung up: %s", error)
