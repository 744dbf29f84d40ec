"""What a run shows on the terminal, and what it keeps for its log."""

import subprocess
import sys
from pathlib import Path

_RUN = """
import logging, os, sys
from pathlib import Path
from rich.console import Console
from pipeline.commands.console import reported

console = Console(stderr=True)
with reported(console, Path(sys.argv[1])):
    logging.info("Component %s is running.", "Trainer")
    logging.info("a detail")
    os.write(2, b"compiled code\\n")
    os.system("echo child process >&2")
    logging.info("Component %s is finished.", "Trainer")
    print("a step says", file=sys.stderr)
os.write(2, b"afterwards\\n")
print("done", file=sys.stderr)
"""


def test_the_terminal_shows_steps_alone_and_the_log_has_what_else_is_printed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "run.log"
    shown = subprocess.run(
        [sys.executable, "-c", _RUN, str(log)], stderr=subprocess.PIPE, text=True, check=True
    ).stderr.splitlines()
    logged = log.read_text(encoding="utf-8")

    assert shown[0] == "Trainer"
    assert "✓ Trainer" in shown[1]
    assert shown[2:] == ["a step says", "afterwards", "done"]
    assert "a detail" in logged
    assert "compiled code\n" in logged
    assert "child process\n" in logged


def test_a_failing_step_leaves_standard_error_as_it_was(tmp_path: Path) -> None:
    code = _RUN.replace('logging.info("a detail")', 'raise SystemExit("the step failed")')
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run.log")],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "the step failed"
