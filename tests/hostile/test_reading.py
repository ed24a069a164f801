"""Bad files and tables: each is refused in words, with what to do, and never with a traceback."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read, write_frame
from assay.data.schema import Hints, Kind
from assay.errors import DataError


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv must hold a header and rows, but it is empty"),
        ("a.csv", "  \n\n", "but it is empty"),
        ("a.csv", "a,b\n", "it has a header of 2 columns and no row below it"),
        ("a.csv", "a,b\n1,2\n3\n", "must have 2 fields, as its header has, but row 2 has 1"),
        ("a.csv", "a,b\n1,2\n\n3,4,5\n", "but row 2 has 3.*whether the delimiter is comma"),
        ("a.csv", "a;b\n1;2\n3;4;5", "but row 2 has 3.*whether the delimiter is semicolon"),
        ("a.csv", 'a,b\n1,"x, y"\n2,"z"\n3\n', "but row 3 has 1"),
        ("a.csv", 'a,b\n1,"never closed\n2,3\n', "row 1 cannot be parsed"),
        ("a.csv", "a,b\r1,2\r3,4\r", "they end in carriage returns"),
        ("a.csv", "a,a,b\n1,2,3\n", "must have a name of its own, but 'a' names columns 1, 2"),
        ("a.csv", bytes(range(256)) * 4, "must hold text, but byte 1 is zero"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + b"ab\0" * 50, "must hold text"),
        ("a.csv", "a,b\n1,\u00e9\u00e8\n".encode() + b"2,\xff\n", "Windows-1252, but byte 14 belongs to none"),
        ("a.csv", b"a,b\n1,2\n3,\x81\n", "byte 11 belongs to none of them"),
        ("a.csv.gz", b"no gzip", "must be a whole .gz file, but it is damaged"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-30], "must be a whole .gz file"),
        ("a.csv.zst", b"no zstandard", "a.csv.zst must"),
        ("a.zip", b"no zip", "must be a whole .zip file"),
        (
            "a.zip",
            zipped(a_csv="a,b\n1,2\n", b_csv="a,b\n1,2\n"),
            "must hold one file, but it holds 2: 'a.csv', 'b.csv'",
        ),
        ("a.zip", zipped(a_exe="x"), "'a.exe' has an unknown ending"),
        ("a.parquet", b"PAR1 and no more", "must be a whole parquet file"),
        ("a.feather", b"x" * 40, "must be a whole arrow file"),
        ("a.xlsx", b"x" * 40, "must be a whole Excel file"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2 is none"),
        ("a.jsonl", '{"a": 1}\n[2]\n', "line 2 is none .it holds a list"),
        ("a.pkl", b"x", "must end in one of .csv.* but this is 'a.pkl'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = saved(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert caught.value.exit_code == 2
    assert caught.value.do


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    saved(tmp_path, "adult.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match=r"there is no such file. Did you mean 'adult.csv'\?"):
        read(tmp_path / "adlt.csv")
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        read(tmp_path / "nowhere" / "adult.csv")


def test_a_directory_or_an_empty_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory"):
        read(tmp_path)
    with pytest.raises(DataError, match="it matches none"):
        read(tmp_path / "*.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", "a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read(path)


def test_files_of_a_pattern_must_have_the_same_columns(tmp_path: Path) -> None:
    saved(tmp_path, "1.csv", "a,b\n1,2\n")
    saved(tmp_path, "2.csv", "a,c\n1,2\n")
    with pytest.raises(DataError, match=r"2.csv and 1.csv differ in 'b', 'c'"):
        read(tmp_path / "*.csv")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "it is of type int"),
        (np.arange(3), "it has the shape"),
        ({"a": [1], "b": [1, 2]}, "'a' has 1 and 'b' has 2"),
        (pl.DataFrame(), "it has 0 columns and 0 rows"),
        (pl.DataFrame({"a": []}), "it has 1 columns and 0 rows"),
    ],
)
def test_a_bad_object_is_refused(source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(source)


def test_names_with_anything_in_them_survive(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", '"a ""q""","c\nd", e f ,😀,\n1,2,3,4,5\n')
    table = read(path)
    assert table.frame.columns == ['a "q"', "c\nd", " e f ", "😀", "column_5"]
    assert table.source.notes == ("columns without a name are called column_5",)


def test_a_late_word_makes_a_column_text_and_loses_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", "a,b\n" + "1,2\n" * 12_000 + "x,2.5\n")
    frame = read(path).frame
    assert frame.dtypes == [pl.String, pl.Float64]
    assert frame.row(-1) == ("x", 2.5)
    assert frame.null_count().row(0) == (0, 0)


def test_infinities_and_thousands_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", 'a,b,y\ninf,"1,234",u\n-inf,"2,345,678",v\n' + '1.5,"7",u\n2.5,"8",v\n' * 10)
    schema = infer(read(path), Hints(target="y"))
    assert (schema["a"].kind, schema["b"].kind, schema["b"].format) == (Kind.NUMBER, Kind.NUMBER, "1,234.5")


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="must end in one of"):
        write_frame(frame, tmp_path / "a.exe")
    with pytest.raises(DataError, match="must be writable, but No such file or directory"):
        write_frame(frame, tmp_path / "nowhere" / "a.csv")
    with pytest.raises(DataError, match=r"must be writable, but .*nested"):
        write_frame(pl.DataFrame({"a": [[1]]}), tmp_path / "a.csv")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(DataError, match="must be writable"):
        write_frame(frame, tmp_path / "taken.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


@pytest.mark.parametrize("name", ["*", "^x$"])
def test_names_that_polars_takes_for_patterns_are_refused(name, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(f"{name},y\n1,0\n2,1\n")
    for source in (path, pl.DataFrame({name: [1, 2], "y": [0, 1]})):
        with pytest.raises(DataError, match="must not be called"):
            read(source)
