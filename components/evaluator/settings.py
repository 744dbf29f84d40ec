"""Settings of the gate."""

from typing import Literal

from components.settings import NonNegativeCount, Share, settings


@settings
class GateConfig:
    """Bounds that a model must meet on the test split to be pushed."""

    recall: Share = 0.93
    recall_lower_bound: Share = 0.90  # of the 95 % Wilson interval
    precision: Share = 0.80
    max_recall_drop: Share = 0.02  # against the model served before
    # The least of every slice of the test films with at least 30 sick ones; null: no bound.
    slice_recall: Share | None = None
    slice_action: Literal["warn", "refuse"] = "warn"  # where a slice is below it
    # Mean over all corruptions of the drop of sensitivity or specificity, the larger; it warns.
    max_robustness_drop: Share = 0.1
    # Test films, half of them sick, that are asked about with changes that a model which decides by
    # the lungs does not mind (docs/counterfactuals.md), some ten times each; 0: none.
    counterfactual_films: NonNegativeCount = 120
    # Of their decisions at most so many may change; null: no bound.
    letters: Share | None = 0.02  # where lead letters are laid on or taken away
    outside: Share | None = 0.05  # where all around the lungs is another film's
    wiped: Share | None = 0.02  # of films without lungs, called sick at good quality
    heat_in_lungs: Share | None = 0.9  # the least; median over the films called sick
