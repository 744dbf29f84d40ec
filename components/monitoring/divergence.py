"""How far each score's distribution moved, by TensorFlow Data Validation: the size of a drift.

A p-value says whether films differ; Jensen and Shannon's divergence (bits, 0 to 1), as TFX's
DistributionValidator measures it between splits, says how much.
"""

from typing import Final

import pandas as pd
import tfx  # noqa: F401 - TFDV can be imported only after it

import tensorflow_data_validation as tfdv  # isort: skip
from tensorflow_metadata.proto.v0 import schema_pb2

from components import names
from components.monitoring.sample import Sample

_MEASURES: Final = (names.PROBABILITY, names.QUALITY, names.FAMILIARITY)


def divergences(reference: Sample, window: Sample) -> dict[str, float]:
    """How far each measure's distribution moved.

    Args:
        reference: films that the model was judged on.
        window: films that it was asked later.

    Returns:
        Jensen and Shannon's divergence in bits, 0 to 1, by measure; those that no film tells are
        left out.
    """
    before, after = (_statistics(part) for part in (reference, window))
    schema = tfdv.infer_schema(before, infer_feature_shape=False)
    for feature in schema.feature:
        feature.drift_comparator.CopyFrom(
            schema_pb2.FeatureComparator(
                jensen_shannon_divergence=schema_pb2.JensenShannonDivergence(threshold=1.0)
            )
        )
    found = tfdv.validate_statistics(after, schema, previous_statistics=before)
    return {
        info.path.step[0]: float(info.drift_measurements[0].value)
        for info in found.drift_skew_info
        if info.drift_measurements
    }


def _statistics(sample: Sample) -> object:
    table = pd.DataFrame({name: getattr(sample, name) for name in _MEASURES})
    return tfdv.generate_statistics_from_dataframe(table.dropna(axis=1, how="all"))
