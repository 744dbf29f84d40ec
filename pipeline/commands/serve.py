"""`pneumonia serve`: serves a run's pushed model, with TensorFlow Serving where it is installed."""

import argparse
import dataclasses
import os
import shutil
import sys
from pathlib import Path

from client.exit_codes import FAILED, USAGE
from pipeline.commands.console import add_run, complain
from pipeline.runs.folder import PRETRAINED, RUNS, RunFolder, find
from serving import flags

TENSORFLOW_SERVING = "tensorflow_model_server"
_REST_PORT = 8501


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments: which run, which server, and tensorflow_model_server's flags."""
    parser.usage = (
        "pneumonia serve [--run NAME | --pretrained] [--engine ENGINE] [--flag=value ...]"
    )
    source = parser.add_mutually_exclusive_group()
    add_run(source)
    source.add_argument(
        "--pretrained",
        action="store_true",
        help="serve the model that comes with the project, or as you recalibrated it since",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "embedded", "tensorflow"),
        default="auto",
        help=f"auto: {TENSORFLOW_SERVING} if it is on PATH, else the embedded server",
    )
    flags.add_arguments(parser, rest_port=f"{_REST_PORT}; with TLS 0")
    parser.set_defaults(model_name="pneumonia", rest_api_port=None)


def run(args: argparse.Namespace) -> int:
    """Becomes the server: this process is replaced by it, so signals reach it directly.

    Returns an exit code only where nothing can be served.
    """
    binary = shutil.which(TENSORFLOW_SERVING) if args.engine != "embedded" else None
    if args.engine == "tensorflow" and not binary:
        fault = f"{TENSORFLOW_SERVING} is not on PATH; install it, or use --engine embedded"
        return complain("serve", fault, FAILED)
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(flags.Flags)}
    if not args.model_base_path and not args.model_config_file:
        try:
            folder = _unpacked() if args.pretrained else find(args.run).serving
            values["model_base_path"] = _pushed_models(folder)
        except (FileNotFoundError, RuntimeError) as error:
            return complain("serve", error, FAILED)
    if args.rest_api_port is None:  # who wants TLS does not want an open door beside it
        values["rest_api_port"] = 0 if args.ssl_config_file else _REST_PORT
    if message := flags.fault(argparse.Namespace(**values)):
        return complain("serve", message, USAGE)
    command = [sys.executable, "-m", "serving", *flags.command_line(values)]
    if binary:
        command = [binary, *flags.command_line(values, own=False)]
        if args.bind_address != "0.0.0.0":
            print("pneumonia serve: TensorFlow Serving listens on every address", file=sys.stderr)
        if args.precision != "float32":
            print("pneumonia serve: TensorFlow Serving answers in float32", file=sys.stderr)
        if args.request_log:
            fault = "TensorFlow Serving keeps no log; give --log to predict, web or pacs"
            return complain("serve", f"{fault}, or use --engine embedded", USAGE)
    source = args.model_config_file or values["model_base_path"]
    print(f"serving {source} on port {args.port}: {command[0]}", file=sys.stderr, flush=True)
    return os.execv(command[0], command)


def _unpacked() -> Path:
    """The serving folder of the published model, unpacked where it was not yet.

    Raises RuntimeError, one line that says what to do.
    """
    from pipeline import pretrained

    serving = RunFolder(RUNS / PRETRAINED).serving
    pretrained.unpack(serving)
    return serving


def _pushed_models(folder: Path) -> str:
    """The folder of a run's pushed versions; raises FileNotFoundError where there is none yet."""
    if not any(child.name.isdigit() for child in folder.glob("*")):
        raise FileNotFoundError(
            f"{folder} holds no version yet; look at 'pneumonia report', or name another --run"
        )
    return str(folder.absolute())
