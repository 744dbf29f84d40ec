"""Commands in processes forked from one that has imported the pipeline already.

To import it costs as much processor time as a small run's longest step, and whole jobs are many
processes. A forked process has its own arguments, environment, folder and output as any other.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PRELOADED = (
    "pipeline.commands.run",
    "pipeline.local_runner",
    "kubeflow.step",
    "components.trainer.run",
    "tensorflow_transform.beam",
)
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(list(_PRELOADED))


def run(
    main: Callable[[], object], words: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end.

    Args:
        main: reads `sys.argv`; what it returns is the exit code.
        words: the command line, with the program's name.
        cwd: the folder it works in.
        environment: all of its environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, stream) for stream in ("stdout", "stderr")]
        process = _processes.Process(target=_enter, args=(main, words, cwd, environment, said))
        process.start()
        try:
            process.join()
        finally:
            process.kill()
        out, err = (path.read_text(errors="replace") for path in said)
    return subprocess.CompletedProcess(words, process.exitcode or 0, out, err)


def _enter(
    main: Callable[[], object],
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    said: Sequence[Path],
) -> None:
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # its own TMPDIR counts
    sys.argv[:] = words
    sys.exit(main())
