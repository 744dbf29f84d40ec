"""Settings of the gate."""

from components.settings import Share, settings


@settings
class GateConfig:
    """Bounds that a model must meet on the test split to be pushed."""

    recall: Share = 0.93
    recall_lower_bound: Share = 0.90  # of the 95 % Wilson interval
    precision: Share = 0.80
    max_recall_drop: Share = 0.02  # against the model served before
    # Mean over all corruptions of the drop of sensitivity or specificity, the larger; it warns.
    max_robustness_drop: Share = 0.1
