import datetime

import numpy as np
import polars as pl

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.encoding.names import encoded_names
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.ledger import Ledger

KINDS = {
    "age": Kind.NUMBER,
    "pay": Kind.NUMBER,
    "member": Kind.BOOLEAN,
    "joined": Kind.DATETIME,
    "city": Kind.CATEGORY,
    "said": Kind.TEXT,
}


def encoder_of(frame: pl.DataFrame, kinds: dict[str, Kind]) -> Encoder:
    columns = [Column(name=name, kind=kind, dtype="", reason="made") for name, kind in kinds.items()]
    target = Column(name="y", kind=Kind.NUMBER, dtype="Float64", reason="made")
    schema = Schema(columns=(*columns, target), target="y", task=Task.REGRESSION, task_reason="made")
    rows = np.arange(frame.height)
    train = Rows("train", frame, rows.astype(float), None, rows)
    return Encoder.fit(train, schema, EncodeConfig(text_buckets=16), Ledger())


def test_there_is_a_name_for_every_encoded_column():
    days = [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=3 * day) for day in range(300)]
    frame = pl.DataFrame(
        {
            "age": [None, *range(1, 300)],
            "pay": [float(i) for i in range(300)],
            "member": ["yes", "no"] * 150,
            "joined": days,
            "city": ["a", "b", "b"] * 100,
            "said": ["so it is"] * 300,
        }
    )
    encoder = encoder_of(frame, KINDS)
    names = encoded_names(encoder)
    assert names.numbers == ("age", "pay", "joined")
    cycles = ("joined: week", "joined: year")
    turns = (*(f"{turn} sine" for turn in cycles), *(f"{turn} cosine" for turn in cycles))
    assert names.extras == ("age: is missing", "member", *turns, *(f"said: bucket {place}" for place in range(16)))
    assert names.codes == (("city", ("unknown", "missing", "a", "b")),)
    encoded = encoder.encode(frame)
    assert (len(names.numbers), len(names.extras)) == (encoded.numbers.shape[1], encoded.extras.shape[1])
    # The first row has no age, is a member and lies at the start of a year.
    first = dict(zip(names.extras, encoded.extras[0].tolist(), strict=True))
    assert first["age: is missing"] == 1.0
    assert first["member"] > 0.0
    assert encoded.codes[:2, 0].tolist() == [2, 3]
    # Whole turns of the year: the value three quarters of a year later has the sine it must have.
    turn = (frame["joined"][91].timestamp() + 0.0) / 31_556_952.0
    column = names.extras.index("joined: year sine")
    assert abs(float(encoded.extras[91, column]) - np.sin(2 * np.pi * turn)) < 1e-3
