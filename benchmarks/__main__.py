"""`python -m benchmarks [NAME ...]`: runs the measurements, rewrites their part of RESULTS.md."""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
BENCHMARKS = {
    "training": "From image files to best weights, beside plain Keras",
    "inference": "What an answer costs, in each form the model can take",
    "serving": "The embedded server, beside direct calls and beside FastAPI",
    "overload": "The embedded server at twice what it can do",
    "evaluation": "TFMA's Evaluator, beside a plain loop",
    "ingest": "Reading, preparing and augmenting, beside one tf.data loop",
    "fixed": "What a run of 60 films and a command cost beside the arithmetic",
    "scaling": "What each step of a run costs as the films grow in number",
}
OF_A_MODEL = {  # of the run runs/kermany, which `make pretrained` leaves
    "shortcuts": "What the trained model looks at, on films it never saw",
    "heatmaps": "Where the trained model's heat lies on sick films it never saw",
    "adults": "The trained model on adults, by radiologists' readings",
    "quality": "Which pictures the trained model's `quality` warns of",
}
TITLES = BENCHMARKS | OF_A_MODEL
TITLE = "# Measurements\n\nOnly ratios within one run compare; the machines are shared.\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", help=f"of {', '.join(TITLES)}; default: the first {len(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="a rehearsal; nothing is recorded")
    options = parser.parse_args()
    unknown = set(options.names) - TITLES.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there is {', '.join(TITLES)}")
    for name in options.names or BENCHMARKS:
        command = ["-m", f"benchmarks.{name}", *(["--quick"] if options.quick else [])]
        began = time.monotonic()
        done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return done.returncode
        print(f"{name}, {time.monotonic() - began:.0f} s\n\n{done.stdout}", flush=True)
        if not options.quick:
            record(name, f"python {' '.join(command)}", done.stdout)
    return 0


def record(name: str, command: str, table: str) -> None:
    """Puts a benchmark's newest result in place of its former one."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else TITLE
    part = f"\n## {TITLES[name]}\n\n`{command}`, {machine()}\n\n{table}"
    others = re.sub(rf"\n## {re.escape(TITLES[name])}\n.*?(?=\n## |\Z)", "", text, flags=re.S)
    RESULTS.write_text(others.rstrip("\n") + "\n" + part, encoding="utf-8")


def machine() -> str:
    """Date, processors and the versions that matter."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "grpcio"))
    day = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{day}, {os.cpu_count()} cores ({platform.machine()}), {versions}"


if __name__ == "__main__":
    sys.exit(main())
