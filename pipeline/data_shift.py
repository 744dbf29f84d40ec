"""Whether data differ from data: the test split from training's, and both from the last run's."""

from typing import Final

import ml_metadata as mlmd
from tensorflow_metadata.proto.v0 import path_pb2, schema_pb2
from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.proto import distribution_validator_pb2
from tfx.types import BaseChannel, Channel
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ExampleStatistics

from components.data_gate import DataGate
from components.shift_validator import ShiftValidator
from pipeline import features
from pipeline.config import ShiftConfig

CURRENT: Final = "current"
BEFORE: Final = "before"
# What ExampleGen tells of a film without looking at its lungs.
_COMPARED: Final = (
    features.LABEL,
    features.ETIOLOGY,
    features.SOURCE,
    features.HEIGHT,
    features.WIDTH,
)


def of_test(statistics: BaseChannel, config: ShiftConfig) -> ShiftValidator:
    """Compares the test split's films with training's."""
    return ShiftValidator(
        statistics=statistics,
        config=limits(config),
        include_split_pairs=[(features.TEST, features.TRAIN)],
    ).with_id("TestShift")


def since_last_run(
    statistics: BaseChannel, before: BaseChannel, config: ShiftConfig
) -> ShiftValidator:
    """Compares training's and the test split's films with those of the run before."""
    asked = limits(config)
    asked.default_slice_config.num_examples_comparator.CopyFrom(
        schema_pb2.NumericValueComparator(min_fraction_threshold=1 - config.stop_loss)
    )
    return ShiftValidator(
        statistics=statistics,
        baseline_statistics=before,
        config=asked,
        include_split_pairs=[(split, split) for split in (features.TRAIN, features.TEST)],
    ).with_id("DataShift")


def last_run_resolver(statistics: BaseChannel) -> Resolver:
    """The node whose output `before` are the statistics of the data of the run before."""
    return Resolver(
        strategy_class=DataBefore,
        config={},
        **{CURRENT: statistics, BEFORE: Channel(type=ExampleStatistics)},
    ).with_id("DataResolver")


class DataBefore(ResolverStrategy):
    """Picks the last statistics before the current ones whose data were used; else the current.

    Data that DataGate refused do not become the measure of what comes after them.

    An identical rerun has the same current statistics, out of the cache, and so the same ones
    before: what is downstream stays in the cache, too.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Lists one artifact before; the current one passes through."""
        (current,) = input_dict[CURRENT]
        used = _inputs_of(DataGate.get_class_type(), store)
        older = [one for one in input_dict[BEFORE] if one.id < current.id and one.id in used]
        return {
            CURRENT: [current],
            BEFORE: [max(older, key=lambda artifact: artifact.id, default=current)],
        }


def _inputs_of(component_type: str, store: mlmd.MetadataStore) -> set[int]:
    """The ids of all artifacts that a component took in where it succeeded."""
    try:
        executions = store.get_executions_by_type(component_type)
    except mlmd.errors.NotFoundError:
        return set()
    ended = (mlmd.proto.Execution.COMPLETE, mlmd.proto.Execution.CACHED)
    succeeded = [one.id for one in executions if one.last_known_state in ended]
    events = store.get_events_by_execution_ids(succeeded) if succeeded else ()
    return {event.artifact_id for event in events}


def limits(config: ShiftConfig) -> distribution_validator_pb2.DistributionValidatorConfig:
    """DistributionValidator's configuration: every compared feature's limit is `warn`."""
    asked = distribution_validator_pb2.DistributionValidatorConfig()
    for name in _COMPARED:
        feature = asked.default_slice_config.feature.add()
        feature.path.CopyFrom(path_pb2.Path(step=[name]))
        feature.distribution_comparator.jensen_shannon_divergence.threshold = config.warn
    return asked
