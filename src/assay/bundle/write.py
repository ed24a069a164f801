"""Close a bundle: the manifest, with the sum of every file in it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from assay.bundle.manifest import FILES, FORMAT, MANIFEST, OUTLINE, TOKENIZER, Manifest, sum_file
from assay.data.bands import Bands
from assay.data.inputs import Input
from assay.data.regions import Regions
from assay.data.schema import Schema
from assay.evaluate.record import Provenance
from assay.version import __version__


def write_manifest(
    directory: Path,
    schema: Schema,
    inputs: tuple[Input, ...],
    outputs: tuple[str, str | None],
    data_sha256: str,
    facts: Provenance,
    bands: Bands | None = None,
    thresholds: tuple[float, ...] = (),
    costs: tuple[tuple[float, ...], ...] = (),
    regions: Regions | None = None,
) -> Manifest:
    """Write manifest.json over the files of a finished bundle, flushed to disk.

    outputs: names of the ONNX outputs for the prediction and the probabilities. bands: the intervals around forecasts.
    thresholds, costs: by which labels are given, or a class is decided. regions: sets or intervals that hold the truth.
    """
    origin = {"data_sha256": data_sha256, "seed": str(facts.seed), "platform": facts.platform, "cpu": facts.cpu}
    present = [*FILES, *([TOKENIZER] if any(item.window for item in inputs) else [])]
    present += [OUTLINE] if (directory / OUTLINE).is_file() else []
    manifest = Manifest(
        format=FORMAT,
        assay=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=schema.task,
        target=schema.target,
        classes=schema.classes,
        class_dtype=schema.class_dtype,
        inputs=inputs,
        output_prediction=outputs[0],
        output_probability=outputs[1],
        provenance=origin | facts.versions,
        files={name: sum_file(directory / name) for name in present},
        bands=bands,
        thresholds=thresholds,
        costs=costs,
        separator=None if schema.labelling is None else schema.labelling.separator,
        regions=regions,
    )
    with (directory / MANIFEST).open("w", encoding="utf-8") as stream:
        stream.write(manifest.to_json())
        stream.flush()
        os.fsync(stream.fileno())
    return manifest
