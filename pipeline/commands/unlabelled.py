"""`pneumonia recalibrate --unlabelled`: a new threshold from films whose labels nobody knows."""

import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from client import listing
from client.exit_codes import DONE, FAILED
from components.model.loading import DamagedModelError
from components.pusher import versions
from components.pusher.versions import PublishError
from components.unlabelled import fit, version
from components.unlabelled.fit import Fitted, UnlabelledError
from pipeline.commands.console import complain

_ASSUMED = (
    "Assumed: both classes' logits moved alike, and nothing else changed. Without labels nothing "
    "can check that, and no gate judges it."
)


def recalibrate(serving: Path, base: int, folder: Path, push: bool) -> int:
    """Fits the site's shift and share of sick films, and with `push` writes a version with it.

    Args:
        serving: folder of versions.
        base: the version to start from.
        folder: unlabelled films of the site.
        push: whether the version is written and served.
    """
    source = serving / str(base)
    try:
        healthy, sick = version.of_val(source)
        files = listing.files([folder])
        asked = version.ask(source, files)
        fitted = fit.fit(asked.logits, healthy, sick)
    except (UnlabelledError, DamagedModelError, OSError) as error:
        return complain("recalibrate", error, FAILED)
    console = Console(highlight=False)
    console.print(_table(fitted, asked), _ASSUMED)
    if not push:
        console.print("Nothing is changed; --push writes and serves a version with it.")
        return DONE
    try:
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / "model"
            version.write(source, files, fitted, versions.digest(source), target)
            model = versions.PublishedModel(uri=str(source), sha256=versions.digest(target))
            number = versions.publish(
                serving, target, versions.PublishedRecord(model, baseline=None)
            )
    except (PublishError, OSError) as error:
        return complain("recalibrate", error, FAILED)
    console.print(
        f"{serving}: version {number} is served from now on, judged by nobody; "
        f"pneumonia promote --version {base} takes it back"
    )
    return DONE


def _table(fitted: Fitted, asked: version.Asked) -> Table:
    table = Table("", "", "95 % interval", title="Without labels", title_justify="left")
    table.add_row("different films", str(fitted.films), "")
    table.add_row("files that cannot be read", str(asked.unreadable), "")
    table.add_row(
        "shift of the logit",
        f"{fitted.shift:+.2f}",
        "{:+.2f} to {:+.2f}".format(*fitted.shift_interval),
    )
    table.add_row(
        "share of sick films",
        f"{fitted.share:.2f}",
        "{:.2f} to {:.2f}".format(*fitted.share_interval),
    )
    table.add_row(
        "distance from the fit",
        f"{fitted.distance:.3f}",
        f"p {fitted.p_value:.2f}",
    )
    cuts = (asked.cut, asked.cut + fitted.shift)
    for name, cut in zip(("now", "moved"), cuts, strict=True):
        called = int(np.sum(asked.logits >= cut))
        table.add_row(f"threshold {name}", f"{special.expit(cut):.4f}", f"calls {called} sick")
    return table
