"""The command line, `pneumonia`: each command's own module is imported only when it is called."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from client.exit_codes import INTERRUPTED, USAGE

COMMANDS = {
    "data": (
        "pipeline.commands.data",
        "draw synthetic X-rays, check a data set, fetch the public one",
    ),
    "run": ("pipeline.commands.run", "run the pipeline: from a folder of X-rays to a pushed model"),
    "report": ("pipeline.commands.report", "print a finished run's verdict"),
    "serve": ("pipeline.commands.serve", "serve the pushed model over TensorFlow Serving's API"),
    "predict": ("client.predict_command", "ask a running server about X-rays"),
    "web": ("client.web.command", "open the web page on a running server"),
    "pacs": ("client.pacs.command", "answer a PACS's chest films in their own studies"),
    "promote": ("pipeline.commands.promote", "roll the served model back or forward"),
    "recalibrate": (
        "pipeline.commands.recalibrate",
        "fit a pushed model's calibration and threshold to local X-rays",
    ),
    "pack": ("pipeline.commands.pack", "write what training changed of a model, to publish it"),
    "kubeflow": ("kubeflow.command", "compile, submit and follow the pipeline on Kubeflow"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    0 done; 1 a failed run; 2 bad usage; 3 a finished run whose gate refused the model; 4 predict
    --fail-on-positive found one.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return USAGE
    try:
        return int(args.handler(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pneumonia",
        description="Detects pneumonia in chest X-rays. Research use only; not a medical device.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module_name, summary) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        if name == chosen:
            module = importlib.import_module(module_name)
            module.add_arguments(command)
            command.set_defaults(handler=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
