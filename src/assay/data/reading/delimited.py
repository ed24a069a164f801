"""Delimited text to a frame: encoding and delimiter detected, every row counted before Polars parses it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import polars as pl

from assay.errors import DataError

DELIMITERS: Final = (",", ";", "\t", "|")
DELIMITER_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "\x1f": "none"}

#: The delimiter of a file of one column: a character that stands in no text, so that commas stay within their cells.
_NO_DELIMITER: Final = "\x1f"
_CHUNK: Final = 1 << 23
_SAMPLE: Final = 1 << 16
#: Rows that Polars looks at to choose types; where a later row does not fit, it is asked to look at all of them.
_TYPED_ROWS: Final = 10_000


@dataclass(frozen=True)
class Delimited:
    """A parsed file: the frame, what was detected, and remarks for the user."""

    frame: pl.DataFrame
    delimiter: str
    decimal: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Survey:
    """The lines of a file, counted: data records, blank lines among them (0-based), and records of a wrong width."""

    records: int
    blank: tuple[int, ...]
    ragged: tuple[int, int] | None
    quoted: bool


def detect_encoding(file: BinaryIO, name: str) -> str:
    """The encoding of a text: utf-8, utf-8-sig, utf-16 or cp1252 (of which latin-1 text is a part).

    Raises:
        DataError: the bytes are no text, or almost all UTF-8 with a broken place.
    """
    head = file.read(4)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    place = 0
    while chunk := file.read(_CHUNK):
        if b"\0" in chunk:
            return _encoding_with_zeros(chunk, name, place)
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return _encoding_without_utf8(chunk, name, place + error.start)
        place += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _broken_encoding(name, place) from None
    return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"


def _encoding_with_zeros(chunk: bytes, name: str, place: int) -> str:
    """UTF-16 without a byte order mark has a zero in every second byte; anything else with zeros is no text."""
    sample = np.frombuffer(chunk[: _SAMPLE - _SAMPLE % 2], dtype=np.uint8)
    sample = sample[: len(sample) - len(sample) % 2]
    even, odd = (float((sample[at::2] == 0).mean()) for at in (0, 1))
    if place == 0 and max(even, odd) > 0.7 and min(even, odd) < 0.05:
        return "utf-16-le" if odd > even else "utf-16-be"
    raise DataError(
        f"{name} must hold text",
        f"byte {place + chunk.index(0) + 1} is zero, as in a binary file",
        "Give a CSV, TSV, Parquet, Arrow, JSON lines or Excel file with its usual ending.",
    )


def _encoding_without_utf8(chunk: bytes, name: str, place: int) -> str:
    decoded = chunk.decode("utf-8", errors="surrogateescape")
    beyond = [character for character in decoded if character > "\x7f"]
    broken = sum("\udc80" <= character <= "\udcff" for character in beyond)
    if broken * 2 <= len(beyond):
        raise _broken_encoding(name, place)
    try:
        chunk.decode("cp1252")
    except UnicodeDecodeError:
        raise _broken_encoding(name, place) from None
    return "cp1252"


def _broken_encoding(name: str, place: int) -> DataError:
    return DataError(
        f"{name} must be text in UTF-8, UTF-16 or Windows-1252",
        f"byte {place + 1} belongs to none of them",
        "Save the file as UTF-8, or repair it at that byte.",
    )


def write_utf8(file: BinaryIO, encoding: str, target: Path, name: str) -> None:
    """Copy a text to `target` as UTF-8.

    Raises:
        DataError: the bytes are not of `encoding`; the message names the byte.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    place = 0
    with target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            try:
                out.write(decoder.decode(chunk).encode("utf-8"))
            except UnicodeError as error:
                raise _broken_encoding(name, place + int(getattr(error, "start", 0))) from None
            place += len(chunk)
        try:
            decoder.decode(b"", final=True)
        except UnicodeError:
            raise _broken_encoding(name, place - 1) from None


def read_delimited(path: Path, name: str, prefer: str) -> Delimited:
    """The frame in a UTF-8 text at `path`; `name` is what messages call it, `prefer` the likelier delimiter.

    Numbers become numbers where a whole column is such; a column of anything else stays as its strings, so that
    spellings of "missing" can be counted.

    Raises:
        DataError: the file is empty, has no rows, rows of different widths, or columns of one name.
    """
    sample = _sample(path, name)
    delimiter = _detect_delimiter(sample, prefer)
    notes = []
    if delimiter == _NO_DELIMITER:
        notes.append("no delimiter (comma, semicolon, tab, bar) was found: the file is read as one column")
    header = next(_records(sample, delimiter))
    if sum(_is_number(cell) for cell in header) > len(header) / 2:
        notes.append("the first line holds mostly numbers and was taken as the column names")
    names = _check_header(header, name, notes)
    survey = _survey(path, delimiter, len(names))
    frame = _parse(path, name, delimiter, survey, names, notes)
    decimal = _detect_decimal(sample, delimiter)
    return Delimited(frame, delimiter, decimal, tuple(notes))


def _sample(path: Path, name: str) -> str:
    """The first whole lines of the file."""
    with path.open("rb") as file:
        raw = file.read(_SAMPLE)
        while len(raw) % _SAMPLE == 0 and b"\n" not in raw and (more := file.read(_SAMPLE)):
            raw += more
        is_all = not file.read(1)
    text = codecs.decode(raw, "utf-8-sig", "ignore")
    if not text.strip():
        raise DataError(f"{name} must hold a header and rows", "it is empty", "Check the path or export the data anew.")
    if "\r" in text.strip() and "\n" not in text:
        raise DataError(
            f"the lines of {name} must end in a line feed",
            "they end in carriage returns, as on old Macintoshes",
            "Save the file with the line ends of Unix or Windows.",
        )
    if any(character < " " and character not in "\t\r\n\f\v\x1f" for character in text[:4096]):
        raise DataError(
            f"{name} must hold text",
            "it begins with control characters, as a binary file does",
            "Give a CSV, TSV, Parquet, Arrow, JSON lines or Excel file with its usual ending.",
        )
    return text if is_all or "\n" not in text else text[: text.rindex("\n") + 1]


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """The records of a text that are not blank, quotes honoured."""
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                yield row
    except csv.Error as error:
        raise DataError(
            "the first lines must be delimited text", f"they cannot be parsed: {error}", "Check the quotes in the file."
        ) from None


def _detect_delimiter(sample: str, prefer: str) -> str:
    """The delimiter that gives the most records the header's number of fields, and of those the most fields."""
    scores = {}
    for delimiter in DELIMITERS:
        widths = [len(row) for row in _records(sample, delimiter)][:200]
        # The last record of a sample may be cut off within its quotes.
        widths = widths[:-1] if len(widths) > 2 else widths
        if widths[0] > 1:
            scores[delimiter] = (
                sum(width == widths[0] for width in widths) / len(widths),
                widths[0],
                delimiter == prefer,
            )
    return max(scores, key=lambda delimiter: scores[delimiter]) if scores else _NO_DELIMITER


def _detect_decimal(sample: str, delimiter: str) -> str | None:
    """`,` or `.`, whichever stands between digits in more of the first cells; None without such cells."""
    cells = [cell.strip() for row in _records(sample, delimiter) for cell in row]
    commas = sum(bool(re.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+", cell)) for cell in cells)
    points = sum(bool(re.fullmatch(r"[+-]?[\d,]*\.\d+", cell)) for cell in cells)
    if delimiter == "," or commas == points == 0:
        return "." if points else None
    return "," if commas > points else "."


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*", cell) is not None


def _check_header(header: list[str], name: str, notes: list[str]) -> list[str]:
    """The column names; empty ones are named after their place."""
    names = [cell if cell.strip() else f"column_{at}" for at, cell in enumerate(header, start=1)]
    if unnamed := [new for old, new in zip(header, names, strict=True) if not old.strip()]:
        notes.append(f"columns without a name are called {', '.join(unnamed)}")
    check_unique(names, name)
    return names


def check_unique(names: list[str], name: str) -> None:
    """Refuse columns of one name.

    Raises:
        DataError: two columns have the same name.
    """
    seen: dict[str, list[int]] = {}
    for at, column in enumerate(names, start=1):
        seen.setdefault(column, []).append(at)
    twice = {column: places for column, places in seen.items() if len(places) > 1}
    if twice:
        column, places = next(iter(twice.items()))
        more = f", and {len(twice) - 1} more names" if len(twice) > 1 else ""
        raise DataError(
            f"every column of {name} must have a name of its own",
            f"{column!r} names columns {', '.join(map(str, places))}{more}",
            "Rename or remove the repeated columns.",
        )


def _survey(path: Path, delimiter: str, width: int) -> _Survey:
    """Count the fields of every record in one pass over the bytes: a line end or delimiter within quotes is none."""
    mark, at, in_quotes, quoted = ord(delimiter), 0, 0, False
    fields, content, wrong, blank = 0, False, None, []
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            data = np.frombuffer(chunk, dtype=np.uint8)
            ends, marks = data == 10, data == mark
            if in_quotes or b'"' in chunk:
                quoted = True
                inside = (np.cumsum(data == 34, dtype=np.uint8) + in_quotes) & 1
                in_quotes = int(inside[-1])
                ends &= inside == 0
                marks &= inside == 0
            stops = np.flatnonzero(ends)
            if len(stops) == 0:
                fields, content = fields + int(marks.sum()), content or bool(np.any((data != 13) & (data != 10)))
                continue
            counts = np.searchsorted(np.flatnonzero(marks), stops)
            counts = np.diff(counts, prepend=0)
            lengths = np.diff(stops, prepend=-1) - 1
            before = data[np.maximum(stops - 1, 0)]
            empty = (lengths == 0) | ((lengths == 1) & (before == 13))
            counts[0] += fields
            empty[0] &= not content
            blank.extend((np.flatnonzero(empty) + at).tolist())
            if wrong is None and len(odd := np.flatnonzero((counts != width - 1) & ~empty)):
                wrong = (int(odd[0]) + at, int(counts[odd[0]]) + 1)
            at += len(stops)
            rest = data[stops[-1] + 1 :]
            fields, content = int(marks[stops[-1] + 1 :].sum()), bool(np.any(rest != 13))
    if content:
        if wrong is None and fields != width - 1:
            wrong = (at, fields + 1)
        at += 1
    return _data_rows(at, blank, wrong, quoted)


def _data_rows(lines: int, blank: list[int], wrong: tuple[int, int] | None, quoted: bool) -> _Survey:
    """The survey counted from the first data record, which follows the first line that is not blank."""
    first = next(at for at in range(lines + 1) if at >= len(blank) or blank[at] != at) + 1
    ragged = None if wrong is None else (wrong[0] - first - sum(first <= at < wrong[0] for at in blank), wrong[1])
    return _Survey(lines - first, tuple(at - first for at in blank if at >= first), ragged, quoted)


def _parse(path: Path, name: str, delimiter: str, survey: _Survey, names: list[str], notes: list[str]) -> pl.DataFrame:
    if survey.ragged is not None and not survey.quoted:
        raise _ragged(name, *survey.ragged, len(names), delimiter)
    if survey.records - len(survey.blank) == 0:
        raise DataError(
            f"{name} must hold rows",
            f"it has a header of {len(names)} columns and no row below it",
            "Check the path or export the data anew.",
        )
    frame = None if survey.ragged is not None else _parse_fast(path, delimiter)
    if frame is None or frame.shape != (survey.records, len(names)):
        notes.append("read by the slower parser, because of quotes within cells or blank lines above the header")
        return _parse_with_care(path, name, delimiter, names)
    frame.columns = names
    return _without_blank_lines(frame, survey, notes)


def _parse_fast(path: Path, delimiter: str) -> pl.DataFrame | None:
    """The file through Polars; None where Polars cannot make sense of its quotes."""
    for rows in (_TYPED_ROWS, None):
        try:
            return pl.read_csv(
                path,
                separator=delimiter,
                infer_schema_length=rows,
                missing_columns="raise",
                low_memory=True,
                glob=False,
            )
        except pl.exceptions.PolarsError:
            continue
    return None


def _without_blank_lines(frame: pl.DataFrame, survey: _Survey, notes: list[str]) -> pl.DataFrame:
    """Blank lines are no rows; in a file of one column, where they may be missing cells, only those at the end go."""
    blank = list(survey.blank)
    if frame.width == 1:
        tail = survey.records
        while blank and blank[-1] == tail - 1:
            tail = blank.pop()
        return frame.head(tail)
    if not blank:
        return frame
    inner = sum(at < survey.records - len(blank) for at in blank)
    if inner:
        notes.append("1 blank line was passed over" if inner == 1 else f"{inner} blank lines were passed over")
    keep = np.ones(frame.height, dtype=bool)
    keep[blank] = False
    return frame.filter(pl.Series(keep))


def _parse_with_care(path: Path, name: str, delimiter: str, names: list[str]) -> pl.DataFrame:
    """The file through Python's csv module, which takes a quote within a cell as part of it.

    Raises:
        DataError: a row has more or fewer fields than the header.
    """
    cells: list[list[str]] = [[] for _ in names]
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = (row for row in csv.reader(file, delimiter=delimiter, strict=True) if row)
        next(rows)
        try:
            for number, row in enumerate(rows):
                if len(row) != len(names):
                    raise _ragged(name, number, len(row), len(names), delimiter)
                for column, cell in zip(cells, row, strict=True):
                    column.append(cell)
        except csv.Error as error:
            raise DataError(
                f"{name} must hold well-formed rows",
                f"row {len(cells[0]) + 1} cannot be parsed: {error}",
                "Check the quotes in that row and the one above.",
            ) from None
    return pl.DataFrame(
        [typed(pl.Series(column, column_cells)) for column, column_cells in zip(names, cells, strict=True)]
    )


def typed(series: pl.Series) -> pl.Series:
    """Strings as whole numbers or numbers where every cell that is not empty is one; else as they are."""
    filled = pl.DataFrame({"cell": series}).select(pl.when(pl.col("cell") != "").then(pl.col("cell")))["cell"]
    for dtype in (pl.Int64, pl.Float64):
        numbers = filled.cast(dtype, strict=False)
        if numbers.null_count() == filled.null_count() < len(filled) and not (
            dtype == pl.Float64 and numbers.is_nan().any()
        ):
            return numbers.alias(series.name)
    return filled.alias(series.name)


def _ragged(name: str, row: int, found: int, expected: int, delimiter: str) -> DataError:
    fields = "field" if expected == 1 else "fields"
    return DataError(
        f"every row of {name} must have {expected} {fields}, as its header has",
        f"row {row + 1} has {found}",
        f"Check the quotes in that row, and whether the delimiter is {DELIMITER_NAMES[delimiter]}.",
    )
