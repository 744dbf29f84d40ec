"""`pneumonia tune`: looks for better settings of the training, on the validation films."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from client.exit_codes import DONE, FAILED
from pipeline.beam import forking
from pipeline.commands import run as run_command
from pipeline.config import Config
from pipeline.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    run_command.add_common_arguments(parser)
    parser.add_argument("--trials", type=int, default=12, help="how many (default: 12)")


def run(args: argparse.Namespace) -> int:
    """Runs the pipeline up to the Tuner and prints the trials; returns the exit code."""
    overrides = [*args.set, f"tune.trials={args.trials}"]
    return run_command.in_folder("tune", args, overrides, _tune)


def _tune(config: Config, data: Path, folder: RunFolder) -> int:
    def search(console: Console) -> list[dict[str, float | int | str]]:
        if config.beam.forks:
            forking.warm_up()
        from pipeline import local_runner
        from pipeline.runs import lineage

        local_runner.tune(config, data, folder)
        run_command.show_ledger(folder, console)
        outputs = lineage.latest_steps(folder.metadata, tunings=True)["Tuner"].outputs
        (results,) = outputs["tuner_results"].uri.iterdir()
        return json.loads(results.read_text("utf-8"))

    console = Console()
    trials = run_command.attempted(folder, data, console, search)
    if trials is None:
        return FAILED
    from pipeline.commands import tables

    tables.show_trials(trials, config.operating_point.sensitivity, console)
    console.print(
        f"train with the best: the same words with [bold]run[/] and --set tune.trials={len(trials)}"
        " (all up to the Tuner comes from the cache)",
        highlight=False,
    )
    return DONE
