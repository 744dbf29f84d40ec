"""Asks a running model server about a folder of X-rays: python ask_many.py FOLDER [HOST:PORT]."""

import sys
from pathlib import Path

from client import PneumoniaClient

folder = Path(sys.argv[1])
address = sys.argv[2] if len(sys.argv) > 2 else "localhost:8500"

with PneumoniaClient(address) as server:
    films = sorted(path for path in folder.rglob("*") if path.is_file())
    for outcome in server.stream(films):
        name = outcome.source.name
        if outcome.error:
            print(f"{name}: not answered: {outcome.error}")
        else:
            answer = outcome.prediction
            print(f"{name}: {answer.decision} ({answer.probability:.3f} to {answer.threshold:.3f})")
