"""Finds what a run is compared with: the model served before it, and the last run's data."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import ml_metadata as mlmd
from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.types import standard_artifacts
from tfx.types.artifact import Artifact
from tfx.types.channel import BaseChannel, Channel
from tfx.types.standard_artifacts import ExampleStatistics

from components.data_gate.component import DataGate
from components.pusher import versions
from components.pusher.component import identify

CANDIDATE: Final = "candidate"
MODEL: Final = "model"
CURRENT: Final = "current"
BEFORE: Final = "before"


def served_model_resolver(serving_dir: Path) -> Callable[[BaseChannel], Resolver]:
    """Makes what resolves the baseline, the model served before.

    Args:
        serving_dir: the folder that the Pusher publishes to.

    Returns:
        Makes the node from the Trainer's model channel. The node's output `model` goes to the
        Evaluator as `baseline_model`; it is empty on a first run.
    """

    def resolver(candidate: BaseChannel) -> Resolver:
        return Resolver(
            strategy_class=ServedBefore,
            config={"serving_dir": str(serving_dir)},
            **{CANDIDATE: candidate, MODEL: Channel(type=standard_artifacts.Model)},
        ).with_id("BaselineResolver")

    return resolver


class ServedBefore(ResolverStrategy):
    """Picks the model served before the candidate, by the records in the serving folder.

    A candidate that was pushed earlier is compared with what it was compared with then, so that an
    identical rerun finds the Evaluator's result in the cache, and a rollback is not undone by it.
    Any other is compared with what is served now, which a promotion may have changed; where that is
    none of this run's models (a recalibrated one), with the newest version that is.
    """

    def __init__(self, serving_dir: str) -> None:
        self._serving_dir = Path(serving_dir)

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Picks the baseline; TFX calls it.

        Args:
            store: ML Metadata, not asked.
            input_dict: under `candidate` the new model, under `model` all of this run folder.

        Returns:
            Under `model` the baseline, or nothing; `candidate` as it came.
        """
        (candidate,) = input_dict[CANDIDATE]
        for wanted in self._wanted(candidate):
            for model in input_dict[MODEL]:
                if model.uri == wanted.uri and identify(model.uri) == wanted:
                    return {CANDIDATE: [candidate], MODEL: [model]}
            logging.warning("%s: not of this run, gone or changed; not the baseline", wanted.uri)
        return {CANDIDATE: [candidate], MODEL: []}

    def _wanted(self, candidate: Artifact) -> Iterator[versions.PublishedModel]:
        """Lists the models that may be the baseline, the best first."""
        own = versions.find(self._serving_dir, identify(candidate.uri).sha256)
        if own is not None:
            record = versions.record(self._serving_dir, own)
            if record and record.baseline:
                yield record.baseline
            return
        for version in reversed(versions.versions(self._serving_dir)):
            if record := versions.record(self._serving_dir, version):
                yield record.model


def last_run_resolver(statistics: BaseChannel) -> Resolver:
    """Makes the node whose output `before` holds the statistics of the last run's data."""
    return Resolver(
        strategy_class=DataBefore,
        config={},
        **{CURRENT: statistics, BEFORE: Channel(type=ExampleStatistics)},
    ).with_id("DataResolver")


class DataBefore(ResolverStrategy):
    """Picks the last statistics before the current ones whose data were used; else the current.

    Later data are never compared with data that DataGate refused.

    An identical rerun has the same current statistics, out of the cache, and so the same ones
    before: what is downstream stays in the cache, too.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Picks the statistics to compare with; TFX calls it.

        Args:
            store: ML Metadata; tells what data were used.
            input_dict: under `current` this run's statistics, under `before` all of its folder.

        Returns:
            Under `before` one artifact; `current` as it came.
        """
        (current,) = input_dict[CURRENT]
        used = _inputs_of(DataGate.__name__, store)
        older = [one for one in input_dict[BEFORE] if one.id < current.id and one.id in used]
        return {
            CURRENT: [current],
            BEFORE: [max(older, key=lambda artifact: artifact.id, default=current)],
        }


def _inputs_of(component: str, store: mlmd.MetadataStore) -> set[int]:
    """Lists the ids of the inputs of a component's successful runs, wherever its module lay."""
    kinds = [one.name for one in store.get_execution_types()]
    executions = chain.from_iterable(
        store.get_executions_by_type(kind) for kind in kinds if kind.rpartition(".")[2] == component
    )
    ended = (mlmd.proto.Execution.COMPLETE, mlmd.proto.Execution.CACHED)
    succeeded = [one.id for one in executions if one.last_known_state in ended]
    events = store.get_events_by_execution_ids(succeeded) if succeeded else ()
    return {event.artifact_id for event in events}
