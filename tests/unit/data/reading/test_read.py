from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.data.reading.read import Table, read, write_frame

TEXT = "n,word,day\n1,x,2024-01-31\n2,?,2024-02-01\n"
ROWS = [(1, "x", "2024-01-31"), (2, "?", "2024-02-01")]


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(table: Table) -> list[tuple[object, ...]]:
    return table.frame.rows()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, ending: str) -> None:
    text = TEXT.replace(",", delimiter).replace("\n", ending) + ending * 2
    table = read(saved(tmp_path, "a.csv", text))
    assert rows(table) == ROWS
    assert (table.source.delimiter, table.source.rows, table.source.columns) == (delimiter, 2, 3)
    assert table.source.notes == ()


@pytest.mark.parametrize(
    ("codec", "found"),
    [
        *((codec, codec) for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
        *((codec, "cp1252") for codec in ("latin-1", "cp1252")),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, codec: str, found: str) -> None:
    table = read(saved(tmp_path, "a.csv", "name,n\ncafé,1\nthé,2\n".encode(codec)))
    assert rows(table) == [("café", 1), ("thé", 2)]
    assert table.source.encoding == found
    assert any("Windows-1252" in note for note in table.source.notes) == (found == "cp1252")


def test_the_decimal_comma_is_found(tmp_path: Path) -> None:
    table = read(saved(tmp_path, "a.csv", "a;b\n1,5;x\n2,25;y\n"))
    assert (table.source.decimal, table.source.notes) == (",", ("numbers have a decimal comma",))
    assert read(saved(tmp_path, "b.csv", "a;b\n1.5;x\n")).source.decimal == "."


def test_containers_are_opened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.tsv", TEXT.replace(",", "\t"))
        archive.writestr("__MACOSX/inner.tsv", "")
    contents = {
        "a.csv.gz": gzip.compress(TEXT.encode()),
        "a.csv.zst": pa.compress(TEXT.encode(), "zstd", asbytes=True),
        "a.zip": buffer.getvalue(),
    }
    for name, content in contents.items():
        table = read(saved(tmp_path, name, content))
        assert rows(table) == ROWS
        assert table.source.sha256 == hashlib.sha256(content).hexdigest()
        assert table.source.name == name


def test_zstandard_keeps_quotes_and_blank_lines(tmp_path: Path) -> None:
    text = 'a,b\r\n1,"x\n\n""y"""\r\n\n2,z'
    table = read(saved(tmp_path, "a.csv.zst", pa.compress(text.encode(), "zstd", asbytes=True)))
    assert rows(table) == [(1, 'x\n\n"y"'), (2, "z")]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    table = read(saved(tmp_path, "a.csv", "\n\na,b\n1,2\n\n3,4\r\n\r\n,\n5,6\n\n"))
    assert rows(table) == [(1, 2), (3, 4), (None, None), (5, 6)]
    middle = read(saved(tmp_path, "b.csv", "a,b\n1,2\n\n3,4\n\n\n"))
    assert (rows(middle), middle.source.notes) == ([(1, 2), (3, 4)], ("1 blank line was passed over",))
    single = read(saved(tmp_path, "c.csv", "a\n1\n\n2\n\n\n"))
    assert rows(single) == [(1,), (None,), (2,)]


def test_one_column_keeps_its_commas(tmp_path: Path) -> None:
    table = read(saved(tmp_path, "a.csv", "text\nhello, you\nand; you\n"))
    assert rows(table) == [("hello, you",), ("and; you",)]
    assert "no delimiter" in table.source.notes[0]


def test_quotes_within_cells_are_kept(tmp_path: Path) -> None:
    table = read(saved(tmp_path, "a.csv", 'n,size\n1,5" pipe\n2,x\n'))
    assert rows(table) == [(1, '5" pipe'), (2, "x")]
    assert "slower parser" in table.source.notes[0]


cell_texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\x1f", exclude_categories=("Cs", "Cc")), max_size=6
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(cell_texts | st.sampled_from(['"', ",", "a\nb", ' "x" ', "\n"]), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path: Path, cells: list[list[str]]) -> None:
    cells = [[f"w{cell}" for cell in row] for row in cells]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["a", "b", "c"], *cells])
    table = read(saved(tmp_path, "a.csv", buffer.getvalue()))
    assert [list(row) for row in table.frame.rows()] == cells


def test_binary_formats_come_back_as_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [1, None], "x": [1.5, float("inf")], "w": ["a", None], "d": [dt.date(2024, 1, 1), None]})
    for name in ("a.parquet", "a.feather"):
        write_frame(frame, tmp_path / name)
        assert read(tmp_path / name).frame.equals(frame)
    for name in ("a.csv", "a.tsv"):
        write_frame(frame.drop("d"), tmp_path / name)
        assert read(tmp_path / name).frame.equals(frame.drop("d"))
    write_frame(frame.select("n", "w"), tmp_path / "a.jsonl")
    assert read(tmp_path / "a.jsonl").frame.equals(frame.select("n", "w"))
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet", ".feather", ".csv", ".tsv", ".jsonl"}


def test_json_lines_join_mixed_types(tmp_path: Path) -> None:
    table = read(saved(tmp_path, "a.jsonl", '{"a": 1, "b": {"c": 2}}\n\n{"a": "q"}\n{"b": 3}\n'))
    assert rows(table) == [("1", '{"c": 2}'), ("q", None), (None, "3")]


def test_a_pattern_reads_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    saved(tmp_path, "2.csv", "b,a\n?,3\n")
    saved(tmp_path, "1.csv", "a,b\n1,2\n2,2.5\n")
    table = read(tmp_path / "*.csv")
    assert rows(table) == [(1, "2"), (2, "2.5"), (3, "?")]
    assert table.source.notes[0] == "2 files, from 1.csv to 2.csv"
    assert table.source.rows == 3


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """A minimal xlsx file."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    numbered = list(enumerate(sheets, start=1))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="r1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        links = "".join(
            f'<Relationship Id="r{at}" Type="{office}/worksheet" Target="worksheets/s{at}.xml"/>' for at, _ in numbered
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{relations}">{links}</Relationships>')
        names = "".join(f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in numbered)
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        for at, name in numbered:
            lines = []
            for number, row in enumerate(sheets[name], start=1):
                cells = [
                    f'<c r="{chr(65 + place)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
                    if isinstance(cell, str)
                    else f'<c r="{chr(65 + place)}{number}"><v>{cell}</v></c>'
                    for place, cell in enumerate(row)
                ]
                lines.append(f'<row r="{number}">{"".join(cells)}</row>')
            archive.writestr(
                f"xl/worksheets/s{at}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
            )
    return buffer.getvalue()


def test_excel_sheets_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.xlsx", workbook({"one": [["n", "w"], [1.5, "x"], [2, "y"]], "two": [["k"], ["z"]]}))
    table = read(path)
    assert rows(table) == [(1.5, "x"), (2.0, "y")]
    assert table.source.notes == ("the first of 2 sheets was read: 'one'",)
    assert rows(read(path, sheet="two")) == [("z",)]
    with pytest.raises(ValueError, match=r"'tow' must be in a.xlsx, but it is not. Did you mean 'two'"):
        read(path, sheet="tow")


def test_objects_are_taken() -> None:
    expected = [(1, "a"), (2, "b")]
    frame = pl.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    structured = np.array([(1, "a"), (2, "b")], dtype=[("x", "i8"), ("y", "U1")])
    sources = [
        frame,
        frame.lazy(),
        frame.to_dict(as_series=False),
        frame.to_dicts(),
        pd.DataFrame(frame.to_dict(as_series=False)),
    ]
    for source in [*sources, pa.table({"x": [1, 2], "y": ["a", "b"]}), structured]:
        table = read(source)
        assert rows(table) == expected
        assert table.frame.columns == ["x", "y"]
    assert len({read(source).source.sha256 for source in sources}) == 1
    assert read(frame.reverse()).source.sha256 != read(frame).source.sha256


def test_arrays_get_names() -> None:
    table = read(np.array([[1.5, 2.0], [np.nan, 4.0]]))
    assert table.frame.columns == ["x0", "x1"]
    mixed = read(np.array([[1, "x"], [None, 2.5]], dtype=object))
    assert rows(mixed) == [(1, "x"), (None, "2.5")]


def test_pandas_columns_of_every_type() -> None:
    source = pd.DataFrame(
        {
            "mixed": [1, "x", None],
            "category": pd.Categorical(["u", None, "u"]),
            "coded": pd.Categorical([1, 2, None]),
            "text": pd.array(["p", None, "q"], dtype="string"),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "when": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
            "number": [1.5, None, 2.0],
        }
    )
    frame = read(source).frame
    assert rows(read(source))[0] == ("1", "u", 1, "p", 1, dt.datetime(2024, 1, 1), 1.5)
    assert rows(read(source))[1][1:] == (None, 2, None, None, None, None)
    assert frame["mixed"].to_list() == ["1", "x", None]
    named = read(source.set_index(pd.Index(["k", "l", "m"], name="key")))
    assert named.frame["key"].to_list() == ["k", "l", "m"]
    assert named.source.notes == ("the named index 'key' is a column",)
    assert "index" not in read(source.set_index(pd.Index([7, 8, 9]))).frame.columns


def test_unusual_types_become_usual_ones() -> None:
    frame = pl.DataFrame(
        {
            "list": [["a", "b"], None],
            "span": [dt.timedelta(days=1), None],
            "enum": pl.Series(["a", None], dtype=pl.Enum(["a"])),
            "large": pl.Series([2**64 - 1, 1], dtype=pl.UInt64),
            "small": pl.Series([3, 1], dtype=pl.UInt64),
            "nothing": [None, None],
            "exact": pl.Series(["1.25", None]).cast(pl.Decimal(5, 2)),
            "": [1, 2],
        }
    )
    table = read(frame)
    assert rows(table)[0] == ('["a", "b"]', 86400.0, "a", str(2**64 - 1), 3, None, 1.25, 1)
    assert table.frame.columns[-1] == "column_8"
    assert len(table.source.notes) == 3
