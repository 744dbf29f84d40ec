"""`pneumonia data`: draw synthetic X-rays, check and unpack a data set, fetch the public one."""

import argparse
import dataclasses
import re
from pathlib import Path

from client.exit_codes import DONE, FAILED, USAGE
from pipeline.commands.console import add_settings, complain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the group's commands; each sets `data_command`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    synthesize = commands.add_parser(
        "synthesize", help="draw labelled synthetic chest X-rays, marked as such"
    )
    synthesize.add_argument("out", type=Path, help="the set's folder")
    synthesize.add_argument("--images", type=int, default=280, help="how many (default: 280)")
    synthesize.add_argument("--seed", type=int, default=20, help="another one draws another set")
    synthesize.add_argument(
        "--dicom", action="store_true", help="write a quarter as DICOM, and a manifest"
    )
    synthesize.set_defaults(data_command=_synthesize)
    check = commands.add_parser(
        "check", help="what a data set holds, and what in it would spoil a training"
    )
    check.add_argument("dir", type=Path, help="the set's folder")
    check.add_argument("--html", type=Path, help="the page (default: runs/data-check/NAME.html)")
    check.add_argument("--patient-pattern", help="regular expression on paths; group 1: patient")
    check.add_argument("--config", type=Path, help="YAML file; its data and seed are looked at")
    add_settings(check)
    check.set_defaults(data_command=_check)
    unpack = commands.add_parser(
        "unpack", help="unpack a data set: zip, tar, or MedMNIST's npz into PNG files"
    )
    unpack.add_argument("archive", type=Path)
    unpack.add_argument("out", type=Path, help="a new folder")
    unpack.set_defaults(data_command=_unpack)
    fetch = commands.add_parser(
        "fetch", help="download the public data set (1.2 GB, CC BY 4.0); goes on where it stopped"
    )
    fetch.add_argument(
        "out",
        type=Path,
        nargs="?",
        default=Path("data/kermany"),
        help="its folder (default: %(default)s)",
    )
    fetch.add_argument("--url", help="another address of a zip archive, a mirror for example")
    fetch.add_argument("--sha256", type=_sha256, help="what the archive's SHA-256 must be")
    fetch.set_defaults(data_command=_fetch)


def run(args: argparse.Namespace) -> int:
    """Runs the chosen command; returns its exit code."""
    return int(args.data_command(args))


def _synthesize(args: argparse.Namespace) -> int:
    from pipeline.datasets import synthesis

    recipe = synthesis.Recipe(images=args.images, seed=args.seed, dicom=args.dicom)
    try:
        new = synthesis.synthesize(args.out, recipe)
    except synthesis.SynthesisError as error:
        return complain("data", error, USAGE)
    except OSError as error:
        return _disk_refused(error, args.out)
    state = "drawn" if new else "there already"
    print(f"{args.out}: {args.images} synthetic films, {state}; not for diagnosis")
    return DONE


def _check(args: argparse.Namespace) -> int:
    from rich.console import Console

    from components.ingest.entry import IngestError
    from pipeline import config as configuration
    from pipeline.datasets.check import check
    from pipeline.datasets.check_page import print_tables, write_page

    page = args.html or Path("runs/data-check", f"{args.dir.resolve().name}.html")
    try:
        config = configuration.load(args.config, args.set)
        data = config.data
        if args.patient_pattern:
            data = dataclasses.replace(data, patient_pattern=args.patient_pattern)
        checked = check(args.dir, data, config.seed)
        write_page(checked, page)
    except (IngestError, configuration.ConfigError) as error:
        return complain("data", error, USAGE)
    except OSError as error:
        return _disk_refused(error, page)
    print_tables(checked, Console())
    print(f"with thumbnails: {page}")
    return DONE


def _unpack(args: argparse.Namespace) -> int:
    from rich.console import Console

    from pipeline.datasets.archives import unpack
    from pipeline.datasets.unpack import UnpackError

    try:
        with Console(stderr=True).status("unpacking"):
            unpack(args.archive, args.out)
    except UnpackError as error:
        return complain("data", error, FAILED)
    except OSError as error:
        return _disk_refused(error, args.out)
    print(f"{args.out}: unpacked; pneumonia data check {args.out} shows what is in there")
    return DONE


def _fetch(args: argparse.Namespace) -> int:
    from rich.console import Console

    from pipeline.datasets.download import DownloadError
    from pipeline.datasets.fetch import KERMANY, FetchError, fetch
    from pipeline.datasets.unpack import UnpackError

    source = dataclasses.replace(KERMANY, url=args.url or KERMANY.url, sha256=args.sha256)
    try:
        fetch(source, args.out, Console())
    except (FetchError, DownloadError, UnpackError) as error:
        return complain("data", error, FAILED)
    except OSError as error:
        return _disk_refused(error, args.out)
    return DONE


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError("give 64 hexadecimal digits")
    return text.lower()


def _disk_refused(error: OSError, path: Path) -> int:
    return complain("data", f"{error.filename or path}: {error.strerror}", FAILED)
