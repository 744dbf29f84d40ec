"""What drift, audit and shadow share: the log, and the model that is watched."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from client.request_log import reader
from client.request_log.record import Film
from components.model.card import EXTRA, SUMMARY
from components.monitoring.audit import Expectation
from components.pusher import versions
from pipeline.commands.console import add_where
from pipeline.runs.folder import RunFolder, find


def add_log(parser: argparse.ArgumentParser) -> None:
    """Adds `--log`, `--run` and `--serving-dir`."""
    parser.add_argument(
        "--log", type=Path, required=True, metavar="DIR", help="folder with the request log"
    )
    add_where(parser)


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Adds `--metrics`, the file that `write_metrics` writes."""
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE.prom", help="for Prometheus's textfile collector"
    )


class Watched:
    """The served version of a run or a folder, and the numbers under which its model answers."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Raises FileNotFoundError where there is no such run, or no version."""
        run = None if args.serving_dir else find(args.run)
        self.run: RunFolder | None = run
        self.serving: Path = run.serving if run else args.serving_dir
        if not (there := versions.versions(self.serving)):
            raise FileNotFoundError(f"{self.serving} holds no version yet")
        self.number = there[-1]
        self.sha256 = versions.model_sha256(self.serving, self.number)
        self.numbers = versions.holders(self.serving, self.sha256) or [self.number]

    @property
    def path(self) -> Path:
        """The served version's SavedModel."""
        return self.serving / str(self.number)

    def films(self, log: Path) -> tuple[list[Film], list[Film]]:
        """The log's films that this model answered, and those that others did.

        Raises RequestLogError.
        """
        every = list(reader.read(log))
        own = [film for film in every if film.version in self.numbers]
        return own, [film for film in every if film.version not in self.numbers]

    def expectation(self, bound: float | None) -> Expectation:
        """Its recall on the films that gave its threshold, and the gate's bound or a given one.

        Raises FileNotFoundError where nobody says with what it was let through.
        """
        try:
            summary = json.loads((self.path / EXTRA / SUMMARY).read_text("utf-8"))
            recall = float(summary["operating_point"]["sensitivity"])
            local = summary.get("recalibration")  # then that recall is of the site's own films
            sick = int((local["fitted_on"] if local else summary["val"])["PNEUMONIA"])
        except (OSError, ValueError, KeyError) as error:
            raise FileNotFoundError(
                f"{self.path}: says nothing of its recall ({SUMMARY}: {type(error).__name__})"
            ) from error
        if bound is None:
            bound = self._gate()
        if bound is None:
            raise FileNotFoundError(f"{self.serving}: no run says the gate's bound; give --bound")
        # One miss more and one film more: no miss among few films does not promise none.
        return Expectation((recall * sick + 1) / (sick + 2), bound)

    def _gate(self) -> float | None:
        if self.run is None or not self.run.config.is_file():
            return None
        from pipeline import config

        try:
            return config.load(self.run.config, of_run=True).gate.recall_lower_bound
        except config.ConfigError:  # of older code, whose words have another meaning now
            return None


def write_metrics(path: Path, values: Sequence[tuple[str, str, float]]) -> None:
    """Writes gauges for node_exporter's textfile collector, whole or not at all.

    Args:
        path: the collector's file.
        values: name, help and value of each gauge.

    Raises:
        OSError: the file cannot be written.
    """
    from components.files import replacing

    lines = [
        f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value:g}\n"
        for name, text, value in values
    ]
    with replacing(path) as file:
        file.write("".join(lines).encode())
