"""`pneumonia recalibrate`: fits a pushed model's calibration and threshold to local films."""

import argparse
import hashlib
from pathlib import Path

from rich.console import Console
from rich.table import Table

from client.exit_codes import FAILED, USAGE
from components.ingest import listing
from pipeline import config as configuration
from pipeline.beam import forking
from pipeline.commands.console import add_settings, add_where, complain
from pipeline.commands.run import carry_out
from pipeline.runs.folder import RUNS, RunFolder, RunFolderError, find

# Most local films judge: that decides what is pushed, and two numbers need few to be fitted.
_SPLITS = ("data.test_fraction=0.45", "data.limit_per_class=null")
_SUFFIX = "-recalibrated"
_ROWS = ("sensitivity", "specificity", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    films = parser.add_mutually_exclusive_group(required=True)
    films.add_argument("--data", type=Path, help="folder with local X-rays, labelled")
    films.add_argument(
        "--unlabelled",
        type=Path,
        metavar="FOLDER",
        help="folder with local X-rays without labels; shows the threshold for them",
    )
    parser.add_argument(
        "--push",
        action="store_true",
        help="with --unlabelled: serve a version with that threshold, which no gate judges",
    )
    add_where(parser)
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Recalibrates the served version; returns the exit code as `pneumonia run` does."""
    from components.pusher import versions

    try:
        name, serving, path = _base(args)
        config = configuration.load(path, [*_SPLITS, *args.set], name, of_run=True)
    except (FileNotFoundError, configuration.ConfigError) as error:
        return complain("recalibrate", error, USAGE)
    if fault := listing.fault(args.data or args.unlabelled):
        return complain("recalibrate", fault, USAGE)
    if args.push and args.data:
        return complain("recalibrate", "--push goes with --unlabelled: the gate pushes", USAGE)
    if not (there := versions.versions(serving)):
        fault = (
            f"{serving} holds no version yet; give the folder whose subfolders are versions, such "
            "as runs/mine/serving/pneumonia"
        )
        return complain("recalibrate", fault, USAGE)
    # From the weights as they were trained: a second one starts where the first did.
    base = versions.newest_trained(serving) or there[-1]
    if args.unlabelled:
        from pipeline.commands import unlabelled

        return unlabelled.recalibrate(serving, base, args.unlabelled, args.push)
    folder = RunFolder(RUNS / name)
    try:
        with folder.locked():
            _serve_from(folder, serving)
            return _recalibrate(config, serving / str(base), args.data, folder)
    except RunFolderError as error:
        return complain("recalibrate", error, FAILED)


def _base(args: argparse.Namespace) -> tuple[str, Path, Path | None]:
    """The new run's name, where the versions really lie, and the configuration to start from."""
    if args.serving_dir:
        serving = args.serving_dir.resolve()
        # Each folder has a run of its own: whoever serves from that is never led to another one.
        return f"recalibrated-{hashlib.sha256(bytes(serving)).hexdigest()[:8]}", serving, None
    found = find(args.run)
    name = found.root.name.removesuffix(_SUFFIX) + _SUFFIX
    return name, found.serving.resolve(), found.config


def _serve_from(folder: RunFolder, serving: Path) -> None:
    """Makes the run's serving folder the given one; raises RunFolderError where it is another."""
    link = folder.serving
    if link.exists():
        if link.resolve() != serving:
            raise RunFolderError(f"{link} is not {serving}; rename the folder {folder.root}")
        return
    link.unlink(missing_ok=True)  # it led to a folder that was moved
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(serving, target_is_directory=True)


def _recalibrate(config: configuration.Config, base: Path, data: Path, folder: RunFolder) -> int:
    def work() -> None:
        if config.beam.forks:
            forking.warm_up()
        from pipeline import local_runner

        local_runner.recalibrate(config, base, data, folder)

    return carry_out(folder, data, work, lambda console: _show_change(folder, console))


def _show_change(folder: RunFolder, console: Console) -> None:
    from tfx.utils import path_utils

    from components import recalibrator
    from components.pusher.versions import INT8
    from components.quantiser import proof
    from pipeline.runs import lineage

    model = lineage.latest_steps(folder.metadata)["Recalibrator"].outputs["model"].uri
    version = Path(path_utils.serving_model_path(str(model)))
    found = recalibrator.read(version)
    if found is None:
        return
    before, after = found["before"], found["after"]
    fitted, judged = (
        ", ".join(f"{count} {name}" for name, count in found[part].items())
        for part in ("fitted_on", "judged_on")
    )
    table = Table("", "before", "after", title=f"Fitted on {fitted}; judged on {judged}")
    for name in _ROWS:
        table.add_row(
            name,
            *(
                f"{figures[name]:.4f} ({low:.4f} to {high:.4f})"
                for figures in (before, after)
                for low, high in [figures[f"{name}_interval"]]
            ),
        )
    table.add_row("threshold", *(f"{figures['threshold']:.4f}" for figures in (before, after)))
    table.add_row("Brier score", *(f"{figures['brier']:.4f}" for figures in (before, after)))
    low, high = found["auc_interval"]
    same = f"{found['auc']:.4f} ({low:.4f} to {high:.4f})"
    table.add_row("AUC", same, "the same: ranks stay")
    console.print(table)
    if (version / INT8 / proof.FILE).is_file():
        form = proof.read(version / INT8)
        console.print(f"{'no int8 form' if form.faults else 'int8 form'}: {form.summary}")
