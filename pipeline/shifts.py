"""Whether data differ from data: the test split from training's, and both from the last run's."""

from typing import Final

from tensorflow_metadata.proto.v0 import path_pb2, schema_pb2
from tfx.proto import distribution_validator_pb2
from tfx.types import BaseChannel

from components import names
from components.data_gate.settings import ShiftConfig
from components.data_gate.shift import ShiftValidator

# What ExampleGen tells of a film without looking at its lungs.
_COMPARED: Final = (
    names.LABEL,
    names.ETIOLOGY,
    names.SOURCE,
    names.HEIGHT,
    names.WIDTH,
)


def of_test(statistics: BaseChannel, config: ShiftConfig) -> ShiftValidator:
    """Compares the test split's films with training's.

    Args:
        statistics: of the raw examples.
        config: the limits.
    """
    return ShiftValidator(
        statistics=statistics,
        config=limits(config),
        include_split_pairs=[(names.TEST, names.TRAIN)],
    ).with_id("TestShift")


def since_last_run(
    statistics: BaseChannel, before: BaseChannel, config: ShiftConfig
) -> ShiftValidator:
    """Compares training's and the test split's films with those of the run before.

    Args:
        statistics: of the raw examples.
        before: of the last run's.
        config: the limits.
    """
    asked = limits(config)
    asked.default_slice_config.num_examples_comparator.CopyFrom(
        schema_pb2.NumericValueComparator(min_fraction_threshold=1 - config.stop_loss)
    )
    return ShiftValidator(
        statistics=statistics,
        baseline_statistics=before,
        config=asked,
        include_split_pairs=[(split, split) for split in (names.TRAIN, names.TEST)],
    ).with_id("DataShift")


def limits(config: ShiftConfig) -> distribution_validator_pb2.DistributionValidatorConfig:
    """DistributionValidator's configuration: every compared feature's limit is `warn`."""
    asked = distribution_validator_pb2.DistributionValidatorConfig()
    for name in _COMPARED:
        feature = asked.default_slice_config.feature.add()
        feature.path.CopyFrom(path_pb2.Path(step=[name]))
        feature.distribution_comparator.jensen_shannon_divergence.threshold = config.warn
    return asked
