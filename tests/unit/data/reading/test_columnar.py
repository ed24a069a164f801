"""Large files go into files of columns: the same cells and notes as in memory, whatever the format."""

from datetime import date

import polars as pl
import pytest

from assay.data.reading.read import read
from assay.data.stored import Spill, Stored, gather, is_full
from assay.errors import DataError

FRAME = pl.DataFrame(
    {
        "x": [1.5, None, 3.0],
        "": [1, 2, 3],
        "word": ["a", None, "b"],
        "list": [[1], [2, 3], None],
        "day": [date(2020, 1, 1), None, date(2020, 1, 3)],
    }
)


def whole(frame) -> pl.DataFrame:
    return gather(frame, slice(0, frame.height))


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.csv", "t.jsonl"])
def test_cells_and_notes_are_those_of_memory(tmp_path, name):
    path = tmp_path / name
    if path.suffix in {".parquet", ".arrow"}:
        frame = FRAME
        (frame.write_parquet if path.suffix == ".parquet" else frame.write_ipc)(path)
    else:
        frame = FRAME.drop("list", "").with_columns(pl.col("day").cast(pl.String))
        (frame.write_csv if path.suffix == ".csv" else frame.write_ndjson)(path)
    plain, large = read(path), read(path, spill=Spill(tmp_path, 0))
    assert isinstance(large.frame, Stored)
    assert large.source == plain.source
    assert whole(large.frame).equals(plain.frame)
    assert isinstance(read(path, spill=Spill(tmp_path, 10_000)).frame, pl.DataFrame)


def test_columns_without_a_name_are_called_by_their_place(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", spill=Spill(tmp_path, 0))
    assert table.frame.columns == ["x", "column_2", "word", "list", "day"]
    assert "column 2 has no name and is called column_2" in table.source.notes
    pl.DataFrame({"column_2": [1], "": [2]}).write_parquet(tmp_path / "u.parquet")
    with pytest.raises(DataError, match="must have a name of its own"):
        read(tmp_path / "u.parquet", spill=Spill(tmp_path, 0))


def test_files_below_each_other_are_one_table(tmp_path):
    for place in range(3):
        FRAME.select("x", "word").with_columns(x=pl.lit(place)).write_parquet(tmp_path / f"t{place}.parquet")
    pattern, folder = tmp_path / "t*.parquet", tmp_path / "files"
    folder.mkdir()
    plain, large = read(pattern), read(pattern, spill=Spill(folder, 0))
    assert whole(large.frame).equals(plain.frame)
    assert large.source == plain.source
    assert len(list(folder.iterdir())) == 1


def test_a_damaged_file_is_refused_as_ever(tmp_path):
    path = tmp_path / "t.parquet"
    FRAME.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="must be a whole parquet file"):
        read(path, spill=Spill(tmp_path, 0))


def test_a_full_disk_is_told_from_an_unreadable_file():
    assert is_full(OSError(28, "No space left on device"))
    assert not is_full(OSError(13, "Permission denied"))
    assert not is_full(ValueError())
