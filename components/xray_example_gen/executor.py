"""What XrayExampleGen does: inspect every file, decide on all of them, write what is kept."""

import json
import logging
import secrets
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components.xray_example_gen import (
    ledger,
    listing,
    passes,
    report,
    report_files,
    splitting,
    work_lists,
)
from components.xray_example_gen.errors import IngestError
from components.xray_example_gen.inspection import Inspector, Record
from components.xray_example_gen.ledger import Fate
from components.xray_example_gen.listing import Entry
from components.xray_example_gen.work_lists import WorkList
from pipeline import features
from pipeline.config import DataConfig


class Executor(base_beam_executor.BaseBeamExecutor):
    """Two passes on Beam with the decisions between them, where all hashes are known."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """TFX calls it where no cached execution fits. Raises IngestError."""
        base = Path(exec_properties["input_base"])
        config = DataConfig(**json.loads(exec_properties["data_config"]))
        seed = exec_properties["seed"]
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_folder = artifact_utils.get_single_instance(output_dict["ingest_report"]).uri
        work = f"{report_folder}/work"
        fileio.makedirs(work)
        try:
            entries, left_out = _entries(base, config, seed)
            # Drawn anew and kept nowhere: nobody finds an id again from what is written.
            salt = secrets.token_bytes(32)
            inspector = Inspector(listing.folder_of(base), config, seed, salt)
            records = self._inspect(inspector, entries, work)
            fates = ledger.decide(records, config)
            ingested = report.build(records, fates, left_out)
            report.check(ingested, records, fates, config.max_rejected)
            self._store(inspector, records, fates, work, examples)
        finally:
            fileio.rmtree(work)
        report_files.write(report_folder, ingested, records, fates)
        for note in ingested.notes:
            logging.warning("Ingest: %s", note)

    def _inspect(self, inspector: Inspector, entries: Iterable[Entry], work: str) -> list[Record]:
        lists = work_lists.write(f"{work}/entries", entries)
        passes.run(self._make_beam_pipeline(), lists, passes.InspectList(inspector))
        results = (work_lists.read(passes.inspected(one.path), Record) for one in lists)
        return list(chain.from_iterable(results))

    def _store(
        self,
        inspector: Inspector,
        records: Sequence[Record],
        fates: Sequence[Fate],
        work: str,
        examples: Artifact,
    ) -> None:
        _describe(examples)
        targets: list[tuple[WorkList, str]] = []
        for split in features.SPLITS:
            kept = [r for r, fate in zip(records, fates, strict=True) if fate.split == split]
            # By hash, so that a file holds a mixture of classes.
            kept.sort(key=lambda record: (record.sha256, record.path))
            lists = work_lists.write(f"{work}/{split}", kept)
            folder = artifact_utils.get_split_uri([examples], split)
            fileio.makedirs(folder)
            for number, one in enumerate(lists):
                name = f"data_tfrecord-{number:05d}-of-{len(lists):05d}.gz"
                targets.append((one, f"{folder}/{name}"))
        step = passes.StoreList(inspector.folder, inspector.config)
        passes.run(self._make_beam_pipeline(), targets, step)
        _check_nothing_changed([one for one, _ in targets])


def _entries(base: Path, config: DataConfig, seed: int) -> tuple[Iterable[Entry], int]:
    """What is to be read, and how many files the limit leaves out."""
    found = listing.entries(base)
    if config.limit_per_class is None:
        return found, 0
    everything = list(found)
    kept = splitting.limit(everything, config.limit_per_class, config.patient_pattern, seed)
    return kept, len(everything) - len(kept)


def _describe(examples: Artifact) -> None:
    examples.split_names = artifact_utils.encode_split_names(list(features.SPLITS))
    examples.span, examples.version = 0, 0
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
