"""What all pages here share: how a template is filled, how figures are written, the typeface."""

import base64
import importlib.resources
import math
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.statistics import wilson

TEMPLATES: Final = Path(__file__).with_name("templates")
_FONT: Final = "static/fonts/ibm-plex-sans.woff2"
# Of figures whose names do not say it.
TITLES: Final = {
    "recall": "sensitivity (recall)",
    "recall_lower_bound": "sensitivity, lower 95 % bound",
    "recall_drop": "drop of sensitivity against the model before",
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "calibration": "calibration ratio",
    "brier_score": "Brier score",
    "changed_by_letters": "decisions changed by lead letters",
    "changed_by_outside": "decisions changed by what lies around the lungs",
    "changed_by_look": "decisions changed by the other class's look",
    "wiped_called_sick": "films without lungs called sick at good quality",
    "heat_in_lungs": "heat in the lungs, median",
    "lungs_followed": "decisions that follow lungs put in",
}


def environment(*folders: Path) -> Environment:
    """Makes what fills templates; an unknown name in one is an error.

    Args:
        folders: where templates are looked for, in this order.
    """
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        num=_number,
        count="{:,}".format,
        words=lambda name: name.replace("_", " "),
        jpeg=_jpeg,
        title=lambda name: TITLES.get(name, name.replace("_", " ")),
        known=lambda interval: interval is not None and not _missing(interval[0]),
    )
    environment.globals.update(wilson=wilson)
    return environment


def _number(value: Any, digits: int = 4) -> str:
    # Adding 0.0 makes -0.0 a plain zero.
    return "–" if _missing(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def _missing(value: Any) -> bool:
    return value is None or math.isnan(value)


def _jpeg(path: str) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def font() -> str:
    """The web page's typeface, so that both look alike."""
    font = importlib.resources.files("client.web").joinpath(_FONT).read_bytes()
    return "data:font/woff2;base64," + base64.b64encode(font).decode()
