"""`pneumonia drift`: whether the films of a request log are still like the model's own."""

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from client.exit_codes import DONE, DRIFTED, FAILED, USAGE
from client.results import LIMIT
from pipeline.commands.console import complain, start_tensorflow
from pipeline.commands.monitored import Watched, add_log, add_metrics, write_metrics
from pipeline.runs.folder import RunFolder, RunFolderError

if TYPE_CHECKING:  # TensorFlow and what comes with it
    from client.request_log.outcomes import Outcome
    from client.request_log.record import Film
    from components.monitoring.audit import Audit
    from components.monitoring.page import DriftReport
    from components.monitoring.sample import Floats, Sample

_PAGE = "drift.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.epilog = "Exit code 0: alike; 4: some window is unlike the reference."
    add_log(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--films", type=Path, metavar="FOLDER", help="films to compare with, in place of the run's"
    )
    source.add_argument(
        "--baseline", type=_count, metavar="N", help="compare with the log's own first N films"
    )
    parser.add_argument(
        "--window",
        type=_window,
        default="day",
        metavar="day|week|N",
        help="what is compared at a time: a day's films, a week's, N films; default: %(default)s",
    )
    parser.add_argument(
        "--page", type=Path, help=f"the page that is written; default: {_PAGE} in the log's folder"
    )
    add_metrics(parser)


def run(args: argparse.Namespace) -> int:
    """Compares, writes the page, says it in one line; returns the exit code."""
    from client.request_log import outcomes
    from client.request_log.writer import RequestLogError

    try:
        watched = Watched(args)
        films, others = watched.films(args.log)
        known = outcomes.read(args.log)
    except FileNotFoundError as error:
        return complain("drift", error, USAGE)
    except (RequestLogError, OSError) as error:
        return complain("drift", error, FAILED)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    start_tensorflow()
    from components.model.loading import DamagedModelError
    from components.monitoring import drift, estimate, page, sample

    every = sample.of(films)
    try:
        source, reference, asked = _reference(args, watched, every)
    except (FileNotFoundError, ValueError) as error:
        return complain("drift", error, USAGE)
    except (RunFolderError, DamagedModelError, OSError) as error:
        return complain("drift", error, FAILED)
    if min(len(reference), len(asked)) < drift.FEWEST:
        fault = f"{len(reference)} films to compare with and {len(asked)} to compare are too few"
        return complain("drift", f"{fault}; it takes {drift.FEWEST} of either", FAILED)
    parts = list(sample.windows(asked, args.window))
    windows = drift.judge(reference, parts)
    told = {window.name for window in windows if window.comparisons}
    report = page.DriftReport(
        version=watched.number,
        source=source,
        reference=reference,
        windows=windows,
        newest=parts[-1][1],
        left_out=len(others),
        divergences=_divergences(reference, parts, {w.name for w in windows if w.drifted}),
        estimates={name: estimate.estimate(part) for name, part in parts if name in told},
        audit=_audit(watched, every, others, known),
    )
    target = args.page or args.log / _PAGE
    try:
        page.write(report, target)
        if args.metrics:
            write_metrics(args.metrics, _metrics(report))
    except OSError as error:
        return complain("drift", f"{error.filename}: {error.strerror}", FAILED)
    print(_line(report, target))
    return DRIFTED if report.drifted else DONE


def _reference(
    args: argparse.Namespace, watched: Watched, every: "Sample"
) -> tuple[str, "Sample", "Sample"]:
    """What to compare with, in words and films, and the films to compare."""
    from client import listing
    from components import names
    from components.examples import different
    from components.monitoring import reference, sample
    from components.progress import tracked

    if args.baseline:
        words = f"the log's first {args.baseline} films"
        return words, every[slice(0, args.baseline)], every[slice(args.baseline, None)]
    if args.films:
        kept = args.log / f"reference-{watched.sha256[:8]}.kept"
        files = listing.files([args.films])
        films = different(tracked(files, reference.TITLE, len(files)), [])
        reference.write(watched.path, films, kept)
        return f"the films of {args.films}", sample.of(reference.read(kept)), every
    if watched.run is None:
        raise FileNotFoundError("a folder of versions has no films; give --films or --baseline")
    examples = _examples(watched, watched.run)
    splits = [examples / f"Split-{name}" for name in (names.VAL, names.TEST)]
    if not all(split.is_dir() for split in splits):
        raise FileNotFoundError(f"{watched.run.root}: its films are gone; give --films")
    name = f"reference-{watched.sha256[:8]}-{examples.name}.kept"
    judged = reference.of_splits(watched.path, splits, watched.run.root / "monitoring" / name)
    return "the films the run judged the model on", sample.of(judged), every


def _examples(watched: Watched, folder: RunFolder) -> Path:
    """What the served model was made of: a newer run may have other films, and been refused."""
    from components.pusher import versions
    from pipeline.runs import lineage

    record = versions.record(watched.serving, watched.number)
    run = lineage.run_of(folder.metadata, record.model.uri) if record else None
    if run is None:
        fault = f"did not make version {watched.number}; give --films, or the --run that did"
        raise FileNotFoundError(f"{folder.root}: {fault}")
    return run.steps["XrayExampleGen"].outputs["examples"].uri


def _divergences(
    reference: "Sample", parts: list[tuple[str, "Sample"]], drifted: set[str]
) -> dict[str, dict[str, float]]:
    """Of the windows that drifted; loading TensorFlow Data Validation takes its time."""
    if not drifted:
        return {}
    from components.monitoring.divergence import divergences

    return {name: divergences(reference, part) for name, part in parts if name in drifted}


def _audit(
    watched: Watched, every: "Sample", others: list["Film"], known: Mapping[str, "Outcome"]
) -> "Audit | None":
    """What the outcomes say, where there are some and somebody says what was asked for."""
    from components.monitoring.audit import audit

    try:
        return audit(every, known, watched.expectation(None), others) if known else None
    except FileNotFoundError:
        return None


def _metrics(report: "DriftReport") -> list[tuple[str, str, float]]:
    last, films = report.windows[-1], report.newest
    share = float(report.reference.called.mean())
    return [
        ("pneumonia_drifted_windows", "Windows unlike the reference.", len(report.drifted)),
        ("pneumonia_drift_p_value", "Of the last window.", last.p_value),
        ("pneumonia_called_sick_share", "Of the last window's films.", last.share),
        ("pneumonia_called_sick_share_of_reference", "The same of the reference.", share),
        ("pneumonia_judged_share", "Frontal chest films of it.", _at_least_half(films.quality)),
        ("pneumonia_familiar_share", "Films like training's.", _at_least_half(films.familiarity)),
        ("pneumonia_drift_checked_seconds", "When drift was last looked for.", time.time()),
    ]


def _at_least_half(values: "Floats") -> float:
    return float((values >= LIMIT).mean())


def _line(report: "DriftReport", target: Path) -> str:
    if not report.drifted:
        return f"alike: {len(report.windows)} windows like {report.source}; {target}"
    first = report.drifted[0]
    return (
        f"drifted: {len(report.drifted)} of {len(report.windows)} windows unlike {report.source}, "
        f"the first {first.name} ({first.why.measure}, p {first.p_value:.4f}); {target}"
    )


def _window(text: str) -> str | int:
    return text if text in ("day", "week") else _count(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of films")
    return int(text)
