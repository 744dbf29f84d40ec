"""What a run is compared with: the model served before, and the data of the last run."""

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
    """Makes, of the Trainer's model channel, the node that resolves the baseline.

    `serving_dir` is the folder that the Pusher publishes to. The node's output `model` goes to the
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
        """Lists no baseline, or one; the candidate passes through."""
        (candidate,) = input_dict[CANDIDATE]
        for wanted in self._wanted(candidate):
            for model in input_dict[MODEL]:
                if model.uri == wanted.uri and identify(model.uri) == wanted:
                    return {CANDIDATE: [candidate], MODEL: [model]}
            logging.warning("%s: not of this run, gone or changed; not the baseline", wanted.uri)
        return {CANDIDATE: [candidate], MODEL: []}

    def _wanted(self, candidate: Artifact) -> Iterator[versions.Model]:
        """The best first."""
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
        used = _inputs_of(DataGate.__name__, store)
        older = [one for one in input_dict[BEFORE] if one.id < current.id and one.id in used]
        return {
            CURRENT: [current],
            BEFORE: [max(older, key=lambda artifact: artifact.id, default=current)],
        }


def _inputs_of(component: str, store: mlmd.MetadataStore) -> set[int]:
    """The ids of all artifacts that a component, wherever its module lay, took in with success."""
    kinds = [one.name for one in store.get_execution_types()]
    executions = chain.from_iterable(
        store.get_executions_by_type(kind) for kind in kinds if kind.rpartition(".")[2] == component
    )
    ended = (mlmd.proto.Execution.COMPLETE, mlmd.proto.Execution.CACHED)
    succeeded = [one.id for one in executions if one.last_known_state in ended]
    events = store.get_events_by_execution_ids(succeeded) if succeeded else ()
    return {event.artifact_id for event in events}
