"""The picture of how a training went."""

from collections.abc import Sequence
from io import BytesIO

from pipeline.fitting import Epoch


def draw(history: Sequence[Epoch], best: int) -> bytes:
    """Loss and validation AUC by epoch, the kept epoch marked; returns a PNG."""
    from matplotlib.figure import Figure  # its object interface keeps no global state

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, areas = figure.subplots(1, 2)
    numbers = [epoch.number for epoch in history]
    losses.plot(numbers, [epoch.loss for epoch in history], "o-", label="training")
    losses.plot(numbers, [epoch.val_loss for epoch in history], "s-", label="validation")
    losses.set_title("Cross-entropy")
    areas.plot(numbers, [epoch.val_auc for epoch in history], "s-", color="tab:orange")
    areas.set_title("Validation AUC")
    for axes in (losses, areas):
        axes.axvline(best, color="grey", linestyle=":", label=f"kept: epoch {best}")
        axes.set_xlabel("epoch")
        axes.set_xticks(numbers)
        axes.grid(alpha=0.3)
        axes.legend()
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
