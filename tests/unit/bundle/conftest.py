"""Small real bundles, made once a session: mixed columns with odd names, and tables of one kind of column."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.bundle.export import export
from assay.bundle.load import Bundle, load
from assay.bundle.manifest import CARD, CONFIG, DATASHEET, MANIFEST, PAGE, REFERENCE, REPORT, SCHEMA, Manifest, sum_file
from assay.bundle.write import write_manifest
from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.profile import profile
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.record import Parity
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.provenance import Stopwatch, provenance
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.model import Model, train_model
from assay.train.watch import Unwatched

MIXED = {
    "a b": Kind.NUMBER,
    "prediction": Kind.NUMBER,
    "^odd": Kind.NUMBER,
    'q"uote': Kind.CATEGORY,
    "zip": Kind.CATEGORY,
    "emoji🙂": Kind.BOOLEAN,
    "new\nline": Kind.DATETIME,
    "probability": Kind.TEXT,
}


@dataclass(frozen=True)
class Made:
    """A bundle on disk with the trained model it came from and the frame that it was made of."""

    directory: Path
    model: Model
    schema: Schema
    frame: pl.DataFrame
    parity: Parity

    def load(self) -> Bundle:
        return load(self.directory, threads=1)


def mixed_frame(rows: int = 200, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    number = pl.Series("a b", rng.normal(size=rows))
    words = np.array(["red", "green", "blue", "tëal", "once"])[
        np.minimum(rng.choice(5, rows, p=[0.4, 0.3, 0.2, 0.09, 0.01]), 4)
    ]
    days = pl.Series(rng.integers(0, 900, rows) * 86_400 + rng.integers(0, 86_400, rows) + 1_600_000_000)
    phrases = np.array(["good fast service", "slow", "never again, slow service", "good"])
    return pl.DataFrame(
        [
            number.set(pl.Series(rng.random(rows) < 0.2), None),
            pl.Series("prediction", rng.integers(1_700_000_000, 1_700_000_500, rows)),
            pl.Series("^odd", rng.lognormal(size=rows)),
            pl.Series('q"uote', words).set(pl.Series(rng.random(rows) < 0.1), None),
            pl.Series("zip", rng.integers(1, 6, rows)),
            pl.Series("emoji🙂", np.where(rng.random(rows) < 0.5, "yes", "no")).set(
                pl.Series(rng.random(rows) < 0.1), None
            ),
            (days.cast(pl.Int64) * 1_000_000)
            .cast(pl.Datetime("us"))
            .dt.strftime("%Y-%m-%d %H:%M:%S")
            .alias("new\nline"),
            pl.Series("probability", phrases[rng.integers(0, 4, rows)]),
        ]
    )


def signal(frame: pl.DataFrame, seed: int = 0) -> np.ndarray:
    """Something that follows from the mixed columns, with noise."""
    rng = np.random.default_rng(seed + 1)
    return (
        frame["a b"].fill_null(-1.0).to_numpy()
        + (frame['q"uote'] == "red").fill_null(False).to_numpy()
        + frame["probability"].str.contains("slow").to_numpy()
        + 0.3 * rng.normal(size=frame.height)
    )


def schema_of(
    frame: pl.DataFrame, kinds: dict[str, Kind], task: Task, classes: tuple[str, ...] = (), class_dtype: str = "string"
) -> Schema:
    columns = [
        Column(name=name, kind=kind, dtype=str(frame.schema[name]), reason="made") for name, kind in kinds.items()
    ]
    target = Column(name="target", kind=Kind.CATEGORY if classes else Kind.NUMBER, dtype="String", reason="made")
    return Schema(
        columns=(*columns, target), target="target", task=task, task_reason="made", classes=classes,
        class_dtype=class_dtype,
    )  # fmt: skip


SMALL = ModelConfig(name="mlp", width=16, number_bins=8, embedding=3, members=1)


def make(
    directory: Path, frame: pl.DataFrame, schema: Schema, target: np.ndarray, *, encode=None, model=None, epochs=3
) -> Made:
    """Train on the first three quarters of the rows and write a whole bundle."""
    cut = frame.height * 3 // 4
    numbers = np.arange(frame.height)
    train, valid = (
        Rows(part, frame[rows], target[rows], None, rows)
        for part, rows in (("train", numbers[:cut]), ("valid", numbers[cut:]))
    )
    encoder = Encoder.fit(
        train, schema, (encode or EncodeConfig(text_buckets=16)).model_copy(update={"text_grams": 0}), Ledger()
    )
    trained = train_model(
        encoder, train, valid, schema, model or SMALL,
        TrainConfig(epochs=epochs, batch=32, lr=0.02), seed=0, budget=Budget(None), watch=Unwatched(), ledger=Ledger(),
    )  # fmt: skip
    if schema.is_classification:
        trained = trained.hotter(1.3)
    directory.mkdir()
    parity, outputs = export(encoder, trained.ensemble, trained.head, schema, valid.frame, directory)
    documents = {
        SCHEMA: schema.to_json(), CONFIG: "seed: 0\n", REPORT: "{}", PAGE: "<html></html>", CARD: "# card\n",
        DATASHEET: "# sheet\n",
    }  # fmt: skip
    documents[REFERENCE] = profile(train, encoder.inputs, len(schema.classes)).to_json()
    for name, text in documents.items():
        (directory / name).write_text(text, encoding="utf-8")
    facts = provenance(Stopwatch(Unwatched()), seed=0, threads=1)
    write_manifest(directory, schema, encoder.inputs, outputs, "0" * 64, facts)
    return Made(directory, trained, schema, frame, parity)


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="session")
def binary(places) -> Made:
    """Boolean classes; the columns `prediction` and `probability` make the outputs take other names."""
    frame = mixed_frame()
    schema = schema_of(frame, MIXED, Task.BINARY, ("false", "true"), "boolean")
    return make(places / "binary", frame, schema, (signal(frame) > 0.5).astype(np.int64))


@pytest.fixture(scope="session")
def multiclass(places) -> Made:
    """Integer classes, three members, batch norm and quantile scaling."""
    frame = mixed_frame(seed=1)
    schema = schema_of(frame, MIXED, Task.MULTICLASS, ("2", "10", "-1"), "integer")
    target = np.digitize(signal(frame, seed=1), [0.0, 1.0]).astype(np.int64)
    encode = EncodeConfig(text_buckets=16, scale="quantile", quantiles=16)
    model = ModelConfig(name="mlp", width=8, number_bins=6, embedding=3, members=3, norm="batch", activation="gelu")
    return make(places / "multiclass", frame, schema, target, encode=encode, model=model)


@pytest.fixture(scope="session")
def regression(places) -> Made:
    """A target with a large offset and a small spread."""
    frame = mixed_frame(seed=2)
    schema = schema_of(frame, MIXED, Task.REGRESSION)
    return make(places / "regression", frame, schema, 1.7e9 + 10.0 * signal(frame, seed=2), epochs=8)


@pytest.fixture(scope="session")
def numbers_only(places) -> Made:
    """No category; classes are numbers."""
    frame = mixed_frame(seed=3)
    schema = schema_of(frame, {"a b": Kind.NUMBER}, Task.BINARY, ("0.5", "1.5"), "number")
    return make(places / "numbers", frame, schema, (signal(frame, seed=3) > 0.5).astype(np.int64), epochs=1)


@pytest.fixture(scope="session")
def categories_only(places) -> Made:
    """No number."""
    frame = mixed_frame(seed=4)
    schema = schema_of(frame, {'q"uote': Kind.CATEGORY}, Task.BINARY, ("no, never", "y\nes"))
    return make(places / "categories", frame, schema, (signal(frame, seed=4) > 0.5).astype(np.int64), epochs=1)


@pytest.fixture(scope="session")
def text_only(places) -> Made:
    """One text column and a perceptron."""
    frame = mixed_frame(seed=5)
    schema = schema_of(frame, {"probability": Kind.TEXT}, Task.REGRESSION)
    return make(
        places / "texts",
        frame,
        schema,
        signal(frame, seed=5),
        model=ModelConfig(name="perceptron", members=1),
        epochs=1,
    )


EVERY = ("binary", "multiclass", "regression", "numbers_only", "categories_only", "text_only")


@pytest.fixture(params=EVERY)
def made(request) -> Made:
    """Each of the bundles in turn; nothing may change its directory."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def copy(binary, tmp_path) -> Path:
    """A copy of the binary bundle that a test may damage."""
    return shutil.copytree(binary.directory, tmp_path / "bundle")


@pytest.fixture
def rewrite():
    """Write a manifest with the sums of the files as they are now, and other changes."""

    def write(directory: Path, **changes) -> None:
        manifest = Manifest.read(directory / MANIFEST)
        files = {name: sum_file(directory / name) for name in manifest.files}
        text = manifest.model_copy(update={"files": files} | changes).to_json()
        (directory / MANIFEST).write_text(text, encoding="utf-8")

    return write
