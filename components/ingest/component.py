"""XrayExampleGen turns a folder of X-rays into Examples, split by patient, and a ledger.

It inspects every file, decides what becomes of each, and writes the ones it keeps.
"""

import dataclasses
import json
import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import Channel, ComponentSpec, artifact_utils, component_spec, standard_artifacts
from tfx.types.artifact import Artifact

from components import names
from components.ingest import groups, ledger, listing, passes, report, splitting, work_lists
from components.ingest.entry import Entry, IngestError
from components.ingest.inspection import IngestRecord, Inspector
from components.ingest.ledger import Fate
from components.ingest.settings import DataConfig
from components.ingest.spans import Spans
from components.ingest.work_lists import WorkList


class IngestReport(Artifact):
    """A folder with report.json, rejects.csv, duplicates.csv, films.csv, names.csv."""

    TYPE_NAME = "pneumonia.IngestReport"  # Kubeflow wants namespace.Name


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs two passes on Beam and decides between them, where all hashes are known."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Ingests the folder; TFX calls it if no cached execution fits.

        Args:
            input_dict: empty.
            output_dict: the artifacts `examples` and `ingest_report` to write.
            exec_properties: the parameters of XrayExampleGen.

        Raises:
            IngestError: the data set cannot be ingested.
        """
        base = Path(exec_properties["input_base"])
        config = DataConfig(**json.loads(exec_properties["data_config"]))
        seed = exec_properties["seed"]
        known = Spans.since(exec_properties["since"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_folder = artifact_utils.get_single_instance(output_dict["ingest_report"]).uri
        work = f"{report_folder}/work"
        fileio.makedirs(work)
        try:
            left_out: Counter[str] = Counter()  # whole once the entries are written
            entries = _entries(base, config, seed, left_out)
            # Drawn anew and kept nowhere: nobody finds an id again from what is written.
            salt = secrets.token_bytes(32)
            inspector = Inspector(listing.folder_of(base), config, seed, salt)
            records = self._inspect(inspector, entries, work)
            fates = ledger.decide(records, config, known.splits)
            ingested = report.build(records, fates, left_out, config.patient_pattern)
            report.check(ingested, records, fates, config.max_rejected)
            ingested.notes[:0] = known.notes(records, fates)
            self._store(inspector, records, fates, work, examples)
            examples.span, examples.version = known.span, 0
        finally:
            fileio.rmtree(work)
        report.write(report_folder, ingested, records, fates)
        known.write(report_folder, records, fates)
        if not config.file_names:
            report.write_names(report_folder, records)
        for note in ingested.notes:
            logging.warning("Ingest: %s", note)

    def _inspect(
        self, inspector: Inspector, entries: Iterable[Entry], work: str
    ) -> list[IngestRecord]:
        lists = work_lists.write(f"{work}/entries", entries)
        passes.run(self._make_beam_pipeline(), lists, passes.InspectList(inspector))
        results = (work_lists.read(passes.inspected(one.path), IngestRecord) for one in lists)
        return list(chain.from_iterable(results))

    def _store(
        self,
        inspector: Inspector,
        records: Sequence[IngestRecord],
        fates: Sequence[Fate],
        work: str,
        examples: Artifact,
    ) -> None:
        _describe(examples)
        targets: list[tuple[WorkList, str]] = []
        for split in names.SPLITS:
            kept = [r for r, fate in zip(records, fates, strict=True) if fate.split == split]
            # By hash, so that a file holds a mixture of classes.
            kept.sort(key=lambda record: (record.sha256, record.path))
            told = [(record.group, record.groups) for record in kept]
            shown = groups.pooled(told, inspector.config.smallest_group)
            kept = [
                dataclasses.replace(record, groups=found)
                for record, found in zip(kept, shown, strict=True)
            ]
            lists = work_lists.write(f"{work}/{split}", kept)
            folder = artifact_utils.get_split_uri([examples], split)
            fileio.makedirs(folder)
            for number, one in enumerate(lists):
                name = f"data_tfrecord-{number:05d}-of-{len(lists):05d}.gz"
                targets.append((one, f"{folder}/{name}"))
        step = passes.StoreList(inspector.folder, inspector.config)
        passes.run(self._make_beam_pipeline(), targets, step)
        _check_nothing_changed([one for one, _ in targets])


class XrayExampleGenSpec(ComponentSpec):
    """XrayExampleGen's parameters and outputs; its only input is the folder."""

    PARAMETERS = {
        "input_base": component_spec.ExecutionParameter(type=str),
        "data_config": component_spec.ExecutionParameter(type=str),
        "seed": component_spec.ExecutionParameter(type=int),
        "since": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "ingest_report": component_spec.ChannelParameter(type=IngestReport),
    }


class XrayExampleGen(base_beam_component.BaseBeamComponent):
    """Reads JPEG, PNG and DICOM files into tf.Examples with the splits train, val and test.

    Outputs: `examples`, gzipped TFRecords with the features of components/names.py, and
    `ingest_report`, see `report.Ledger` and `spans`.

    Args:
        input_base: what `listing.entries` takes; all of Beam's workers must see it.
        data_config: a DataConfig as JSON.
        seed: of the order in which patients go to the splits.
        fingerprint: `listing.fingerprint` of `input_base`; part of the cache key.
        code_version: fingerprint of the sources; part of the cache key.
        since: films.csv of an earlier ingest, whose films keep their splits; empty: there is none.
    """

    SPEC_CLASS = XrayExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        input_base: str,
        data_config: str,
        seed: int,
        fingerprint: str,
        code_version: str,
        since: str = "",
    ) -> None:
        super().__init__(
            XrayExampleGenSpec(
                input_base=input_base,
                data_config=data_config,
                seed=seed,
                since=since,
                fingerprint=fingerprint,
                code_version=code_version,
                examples=Channel(type=standard_artifacts.Examples),
                ingest_report=Channel(type=IngestReport),
            )
        )


def _entries(base: Path, config: DataConfig, seed: int, left_out: Counter[str]) -> Iterable[Entry]:
    """Lists what to read, and counts what is left out."""
    found = listing.films(base, config, left_out)
    if config.limit_per_class is None:
        return found
    everything = list(found)
    kept = splitting.limit(everything, config.limit_per_class, config.patient_pattern, seed)
    left_out["by data.limit_per_class"] += len(everything) - len(kept)
    return kept


def _describe(examples: Artifact) -> None:
    examples.split_names = artifact_utils.encode_split_names(list(names.SPLITS))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")


def _check_nothing_changed(lists: Sequence[WorkList]) -> None:
    outcomes = chain.from_iterable(
        work_lists.read(passes.outcome(one.path), passes.Stored) for one in lists
    )
    changed = [name for outcome in outcomes for name in outcome.changed]
    if changed:
        raise IngestError(
            f"{len(changed)} files changed while they were read, the first: {changed[0]!r}; "
            "start again when nothing writes to the folder"
        )
