import io

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from assay.data.kinds import infer_column
from assay.data.pictures.cells import as_bytes, bytes_in, is_record, look_like_pictures
from assay.data.reading.frames import from_object, hash_of_cells, tidy
from assay.data.schema import Kind
from assay.data.stored import store

Image = pytest.importorskip("PIL.Image")


def png(value=0) -> bytes:
    made = io.BytesIO()
    Image.fromarray(np.full((2, 2), value, np.uint8)).save(made, "PNG")
    return made.getvalue()


def column_of(source):
    return tidy(from_object(source, [])[0], [])["image"]


FILES = [png(0), png(1), None]


@pytest.mark.parametrize(
    "source",
    [
        {"image": FILES},
        {"image": [None if file is None else memoryview(file) for file in FILES]},
        {"image": [None if file is None else bytearray(file) for file in FILES]},
        {"image": [{"bytes": file, "path": "a.png"} for file in FILES]},
        [{"image": file} for file in FILES],
        pl.DataFrame({"image": FILES}),
        pa.table({"image": pa.array(FILES, pa.large_binary())}),
        pa.table({"image": pa.array([{"bytes": file, "path": None} for file in FILES])}),
    ],
)
def test_bytes_of_pictures_stay_bytes_however_they_come(source):
    assert column_of(source).dtype == pl.Binary
    assert column_of(source).to_list() == FILES


def test_frames_of_pandas_hold_bytes_or_records():
    pandas = pytest.importorskip("pandas")
    assert column_of(pandas.DataFrame({"image": FILES})).to_list() == FILES
    records = pandas.DataFrame({"image": [{"bytes": file, "path": "a"} for file in FILES]})
    assert column_of(records).to_list() == FILES


def test_records_without_bytes_are_paths():
    cells = pl.Series("image", [{"bytes": None, "path": "a.png"}, {"bytes": None, "path": None}])
    assert as_bytes(cells).to_list() == ["a.png", None]
    assert column_of({"image": [{"bytes": None, "path": "a.png"}] * 2}).to_list() == ["a.png"] * 2


def test_other_bytes_and_other_records_are_text_as_before():
    assert column_of({"image": [b"abc", b"abd"]}).dtype == pl.String
    assert column_of({"image": [{"bytes": 3, "path": "a"}] * 2}).dtype == pl.String
    assert column_of({"image": [{"bytes": png(), "path": "a", "more": 1}] * 2}).dtype == pl.String
    assert as_bytes(pl.Series([{"path": "a.png"}])) is None


def test_a_tenth_of_pictures_is_enough_for_many_may_be_damaged():
    assert look_like_pictures(pl.Series([png()] + [b"damaged"] * 9))
    assert not look_like_pictures(pl.Series([png()] + [b"damaged"] * 19))
    assert not look_like_pictures(pl.Series([None], dtype=pl.Binary))


def test_the_sum_of_cells_covers_their_bytes():
    sums = {hash_of_cells(pl.DataFrame({"image": [one, other]})) for one in FILES for other in FILES}
    assert len(sums) == 9


def test_bytes_are_of_the_kind_image_and_lie_in_files(tmp_path):
    cells = pl.Series("image", FILES)
    column = infer_column(cells, 2, None, None)
    assert (column.kind, column.missing) == (Kind.IMAGE, 1)
    table = store([cells, pl.Series("y", [1, 2, 3])], tmp_path)
    assert table["image"].to_list() == FILES
    assert table.gather(np.array([2, 0]))["image"].to_list() == [None, FILES[0]]


def test_records_in_lists_stand_for_their_bytes():
    record = {"bytes": png(), "path": "a.png"}
    assert bytes_in(record) == png()
    assert bytes_in({"bytes": None, "path": "a.png"}) == "a.png"
    assert bytes_in("a.png") == "a.png"
    assert is_record(record)
    assert not is_record({"image": png()})
    assert not is_record(png())
