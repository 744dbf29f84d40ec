import subprocess
import sys

_START = """
import os
from pipeline.commands import console

console.start_tensorflow()
os.write(2, b"what comes later is seen\\n")
"""


def test_tensorflow_starts_without_a_word_of_gpus():
    done = subprocess.run(
        [sys.executable, "-c", _START], capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert done.stderr == "what comes later is seen\n"
