"""Runs a command, and ends it, and what it started, when standard input ends.

Whoever starts something through it holds the other end of that pipe, which the kernel closes with
its process: so the command goes with it, however it goes.

    python keeper.py COMMAND [ARGUMENT ...]
"""

import os
import signal
import subprocess
import sys
import threading

_SECONDS_TO_STOP = 10


def main(command: list[str]) -> int:
    """The command's exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
        code = child.wait()
    if os.getpgrp() == os.getpid():  # what the command itself started and left
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
    return code


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # sys.stdin's own lock would break the exit
        pass
    child.terminate()
    try:
        child.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
