"""The command line, `pneumonia`: each command's own module is imported only when it is called."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

_HOME = Path(__file__).resolve().parent
_PACKAGES = ("client", "components", "kubeflow", "pipeline", "serving")

COMMANDS = {
    "data": (
        "pipeline.commands.data",
        "draw synthetic X-rays, check or unpack a data set, fetch the public one",
    ),
    "run": ("pipeline.commands.run", "run the pipeline: from a folder of X-rays to a pushed model"),
    "report": ("pipeline.commands.report", "print a finished run's verdict"),
    "tune": ("pipeline.commands.tune", "look for better settings of the training"),
    "runs": ("pipeline.commands.runs", "list finished runs, compare them on a page"),
    "serve": ("pipeline.commands.serve", "serve the pushed model over TensorFlow Serving's API"),
    "predict": ("client.predict_command", "ask a running server about X-rays"),
    "web": ("client.web.command", "open the web page on a running server"),
    "pacs": ("client.pacs.command", "answer a PACS's chest films in their own studies"),
    "promote": ("pipeline.commands.promote", "roll the served model back or forward"),
    "recalibrate": (
        "pipeline.commands.recalibrate",
        "fit a pushed model's calibration and threshold to local X-rays",
    ),
    "drift": ("pipeline.commands.drift", "are the films asked about still like the model's own?"),
    "outcomes": ("pipeline.commands.outcomes", "add the final diagnoses of logged films"),
    "audit": ("pipeline.commands.audit", "recall and precision after the push, from outcomes"),
    "shadow": ("pipeline.commands.shadow", "ask a candidate about logged films, and compare"),
    "pack": ("pipeline.commands.pack", "write what training changed of a model, to publish it"),
    "kubeflow": ("kubeflow.command", "compile, submit and follow the pipeline on Kubeflow"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    0 done; 1 a failed run; 2 bad usage; 3 a finished run whose gate refused the model, or an audit
    below its bound; 4 predict --fail-on-positive found one, or drift found films unlike.
    """
    _prefer_own_packages()
    _print_whatever_comes()
    from client.exit_codes import INTERRUPTED, USAGE

    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return USAGE
    # What is written shows films and what was found in them: to its user alone, or to the team.
    os.umask(0o007 if args.shared else 0o077)
    try:
        return int(args.handler(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _prefer_own_packages() -> None:
    """Imports ours where PYTHONPATH or the working directory has a `client` or `pipeline`, too.

    So do the processes that this one starts.
    """
    found = (PathFinder.find_spec(name, ["", *sys.path]) for name in _PACKAGES)
    places = {
        Path(place).absolute().parent
        for spec in found
        if spec
        for place in (spec.submodule_search_locations or [spec.origin or ""])
    }
    if places <= {_HOME}:
        return
    sys.path.insert(0, str(_HOME))
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join((str(_HOME), *inherited))
    os.environ["PYTHONSAFEPATH"] = "1"


def _print_whatever_comes() -> None:
    """Replaces what the terminal's encoding lacks, so that no letter stops a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


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
            command.add_argument(
                "--shared",
                action="store_true",
                help="let your group read and write what is written; without it, you alone can",
            )
            command.set_defaults(handler=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
