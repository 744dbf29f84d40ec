"""`pneumonia run` under observation: seconds and memory of each step."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.process import Observed

RUN = "bench"
NO_GATE = (
    *("gate.recall=0", "gate.recall_lower_bound=0", "gate.precision=0"),
    "gate.counterfactual_films=0",
)
NO_REPORT = ("report.robustness_films=0", "report.cam_films=0", "report.films_per_gallery=0")
NO_AUGMENTATION = ("augment.balance=0", "augment.originals=0")
THIN = ("image.size=64", "model.weights=random", "model.width=0.125")

_BEGUN = re.compile(r"[A-Z]\w+")
_DONE = re.compile(r"✓ (\w+) ([\d.]+) s")


@dataclass(frozen=True)
class Cost:
    """What a run took: in all, by step in seconds, and the peak MB of all processes by step."""

    total: float
    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)


def run(
    folder: Path,
    data: Path,
    settings: Sequence[str] = (),
    until: str | None = None,
    before: Sequence[str] = (),
) -> Cost:
    """Runs the pipeline in `folder`, to its end or until a step is done.

    Args:
        folder: gets runs/bench.
        data: the X-rays.
        settings: section.field=value.
        until: name of the step after which the run is killed; `total` is the time up to there.
        before: words before the command, such as taskset's.

    Raises:
        SystemExit: the run failed.
    """
    words = [word for value in settings for word in ("--set", value)]
    command = [*before, sys.executable, "-m", "cli", "run", "--data", str(data), "--run", RUN]
    folder.mkdir(parents=True, exist_ok=True)
    observed = Observed([*command, *words], folder)
    seconds: dict[str, float] = {}
    for line in observed.lines():
        if done := _DONE.search(line):
            seconds[done[1]] = float(done[2])
            observed.stage = ""
            if done[1] == until:
                cost = Cost(observed.seconds, seconds, observed.peaks)
                observed.kill()
                return cost
        elif _BEGUN.fullmatch(line):
            observed.stage = line
    total = observed.seconds
    if code := observed.wait():
        said = (folder / "stderr.log").read_text(encoding="utf-8").strip()
        raise SystemExit(f"the run in {folder} failed, exit code {code}: {said[-600:]}")
    return Cost(total, seconds, observed.peaks)


def artifact(folder: Path, step: str, output: str) -> Path:
    """The newest output of a step of the run in `folder`."""
    executions = (folder / "runs" / RUN / "artifacts" / step / output).iterdir()
    return max(executions, key=lambda path: int(path.name))
