"""`pneumonia kubeflow`: compile the pipeline, submit it, see how it does."""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.exit_codes import DONE, FAILED, USAGE

if TYPE_CHECKING:
    from kubeflow.cluster import Cluster
    from kubeflow.submission import Run

_YAML = (".yaml", ".yml")
# Flags that are fields of the configuration.
FIELDS = {
    "epochs": ("train.epochs", int, "how many epochs to train"),
    "recall": ("gate.recall", float, "the gate: least recall"),
    "recall_lower_bound": ("gate.recall_lower_bound", float, "its least lower bound (95 %%)"),
    "precision": ("gate.precision", float, "least precision"),
    "max_recall_drop": ("gate.max_recall_drop", float, "most recall lost against the baseline"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _compile_arguments(actions.add_parser("compile", help="write the pipeline's spec to a file"))
    submit = actions.add_parser("submit", help="start a run of a compiled pipeline")
    submit.add_argument("package", type=Path, help="the YAML that compile wrote")
    submit.add_argument("--data-root", help="where the X-rays are, as the step's pod sees it")
    submit.add_argument(
        "--data-version",
        help="any word for the X-rays' present content; with the word of an earlier run, steps are "
        "taken from the cache (default: the time, so that the X-rays are read anew)",
    )
    submit.add_argument("--baseline", help="URI of the model to compare with")
    submit.add_argument("--experiment", default="pneumonia")
    submit.add_argument("--run-name", help="(default: pneumonia and the time)")
    submit.add_argument("--pipeline-root", help="bucket for what the steps write")
    submit.add_argument("--service-account", help="that the steps run as")
    submit.add_argument("--no-cache", action="store_true", help="run every step anew")
    status = actions.add_parser("status", help="show how a run does")
    status.add_argument("run_id")
    status.add_argument("--wait", action="store_true", help="until the run is over")
    for action in (submit, status):
        action.add_argument("--endpoint", help="URL (default: KF_PIPELINES_ENDPOINT)")
        action.add_argument("--namespace", help="of a multi-user installation")


def _compile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--config", type=Path, help="YAML file; without it the defaults hold")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="may be repeated"
    )
    for flag, (field, kind, text) in FIELDS.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", type=kind, help=f"{text} ({field})")
    parser.add_argument("--cluster", type=Path, help="YAML file (default: kubeflow/cluster.yaml)")
    parser.add_argument("--image", help="the steps' image; goes before the cluster file's")
    parser.add_argument("--data-root", help="default of the parameter; where the X-rays are")
    parser.add_argument("--gpu", type=_count, help="GPUs of the Trainer")
    parser.add_argument("--baseline", help="URI of the model to compare with; a parameter, too")
    parser.add_argument("--vertex", action="store_true", help="write Vertex AI's JSON")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count: 0, 1, 2 and so on")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action; returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "compile": _compile,
        "submit": _submit,
        "status": _status,
    }
    return actions[args.action](args)


def _compile(args: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from kubeflow import cluster as clusters
    from pipeline import config as configuration
    from pipeline.commands.console import start_tensorflow

    given = {field: getattr(args, flag) for flag, (field, _, _) in FIELDS.items()}
    fields = [f"{field}={value}" for field, value in given.items() if value is not None]
    try:
        config = configuration.load(args.config, [*args.set, *fields])
        cluster = _with_gpus(
            clusters.load(
                args.cluster or clusters.DEFAULT, image=args.image, data_root=args.data_root
            ),
            args.gpu,
        )
        start_tensorflow()
        from kubeflow import runner

        package = runner.compile_pipeline(config, cluster, baseline=args.baseline)
    except configuration.ConfigError as error:
        return _complain("compile", error, USAGE)
    try:
        package.write(args.output, vertex=args.vertex)
    except OSError as error:
        return _complain("compile", f"{args.output}: {error.strerror or error}", USAGE)
    print(f"{args.output}: pipeline spec for image {cluster.image}")
    return DONE


def _with_gpus(cluster: "Cluster", gpus: int | None) -> "Cluster":
    if gpus is None:
        return cluster
    trainer = dataclasses.replace(cluster.of("Trainer"), gpu=gpus)
    return dataclasses.replace(cluster, steps={**cluster.steps, "Trainer": trainer})


def _submit(args: argparse.Namespace) -> int:
    if not args.package.is_file():
        return _complain("submit", f"{args.package}: no such file; compile writes it", USAGE)
    if args.package.suffix not in _YAML:
        wanted = f"{args.package}: Kubeflow takes {' or '.join(_YAML)}, as compile writes it"
        return _complain("submit", f"{wanted} without --vertex", USAGE)
    if not _is_package(args.package):
        wanted = f"{args.package}: not what compile wrote (it has no pipelineInfo)"
        return _complain("submit", f"{wanted}; compile the pipeline first", USAGE)
    from components import files
    from kubeflow.submission import Kubeflow, KubeflowError

    root, _, _ = (args.pipeline_root or "").partition("?")  # an object store's may have a query
    if fault := files.unfit(root):
        return _complain("submit", f"--pipeline-root {fault}", USAGE)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parameters = {
        "data_root": args.data_root,
        "data_version": args.data_version or now,
        "baseline": args.baseline,
    }
    try:
        kubeflow = Kubeflow(args.endpoint, args.namespace)
        run_id = kubeflow.submit(
            args.package,
            {name: value for name, value in parameters.items() if value is not None},
            experiment=args.experiment,
            name=args.run_name or f"pneumonia {now}",
            pipeline_root=args.pipeline_root,
            service_account=args.service_account,
            cache=not args.no_cache,
        )
        submitted = kubeflow.run(run_id)
    except KubeflowError as error:
        return _complain("submit", error, FAILED)
    print(f"{run_id} {submitted.state}\n{submitted.page}")
    return DONE


def _is_package(file: Path) -> bool:
    import yaml

    try:
        spec = next(yaml.safe_load_all(file.read_text(encoding="utf-8")), None)
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(spec, dict) and "pipelineInfo" in spec


def _status(args: argparse.Namespace, *, seconds: float = 10) -> int:
    from kubeflow.submission import Kubeflow, KubeflowError

    try:
        kubeflow = Kubeflow(args.endpoint, args.namespace)
        found = kubeflow.run(args.run_id)
        while args.wait and not found.over:
            time.sleep(seconds)
            found = kubeflow.run(args.run_id)
    except KubeflowError as error:
        return _complain("status", error, FAILED)
    _print(found)
    return FAILED if found.failed else DONE


def _print(found: "Run") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{found.name}: {found.state}"), caption=found.page)
    for column in ("step", "state", "seconds", ""):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for task in found.tasks:
        took = "" if task.seconds is None else f"{task.seconds:.0f}"
        table.add_row(task.name, task.state, took, escape(task.error or ""))
    console = Console()
    console.print(table)
    if found.error:
        console.print(found.error, style="red", markup=False)


def _complain(action: str, what: Any, code: int) -> int:
    print(f"pneumonia kubeflow {action}: {what}", file=sys.stderr)
    return code
