"""Raw sources to one table: files, globs and frames in, nothing learned."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

import polars as pl

from assay._imports import require
from assay.data.columns import as_category
from assay.data.reading.columnar import kept, read_columnar
from assay.data.reading.containers import CONTAINERS, ENDINGS, File, ending_of, unpacked
from assay.data.reading.delimited import DELIMITER_NAMES, detect_encoding, read_delimited, write_utf8
from assay.data.reading.frames import from_object, from_records, hash_of_cells, tidy
from assay.data.stored import Frame, Spill, Stored, is_full, store
from assay.errors import DataError, nearest
from assay.records import Record

#: Endings of files that may hold a pickle, which is never opened.
_PICKLED: Final = (".pt", ".pth", ".pkl", ".pickle", ".joblib")


class Source(Record):
    """Where a table came from: `sha256` covers the bytes read (of a frame, its cells), `notes` say what was found."""

    name: str
    format: str
    rows: int
    columns: int
    sha256: str
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A raw table: every row and column of the source, cells as read; in files where it is too large for memory."""

    frame: Frame
    source: Source


def read(source: object, *, sheet: str | None = None, spill: Spill | None = None) -> Table:
    """The table that `source` holds.

    Args:
        source: a path or glob of paths - delimited text (delimiter, encoding and decimal comma are detected), Parquet,
            Arrow, JSON lines, Excel; text may be within .gz, .zst or .zip - or a data frame of Polars, pandas or Arrow,
            a dict of columns, a list of dicts, or a NumPy array.
        sheet: the sheet of an Excel file; the first where None.
        spill: where a table read from files is kept when it is too large for memory; None keeps all in memory. Parquet
            and Arrow files then never are in memory as a whole, other formats while they are parsed.

    Raises:
        DataError: there is no such file, it is damaged, or it does not hold a table.
        OSError: there is no room for the table.
        MissingExtraError: the format needs a package that is not installed.
    """
    if isinstance(source, str | os.PathLike):
        table = _read_paths(os.fspath(source), sheet, spill)
        _check_names(table.frame.columns, table.source.name)
        return table
    return _read_object(source)


def _read_object(source: object) -> Table:
    notes: list[str] = []
    frame, kind = from_object(source, notes)
    frame = tidy(frame, notes)
    _check_rows(frame, "the table")
    _check_names(frame.columns, "the table")
    record = Source(
        name=f"{kind} object",
        format=kind,
        rows=frame.height,
        columns=frame.width,
        sha256=hash_of_cells(frame),
        notes=tuple(notes),
    )
    return Table(frame, record)


def write_frame(frame: pl.DataFrame, path: str | Path) -> None:
    """Write `frame` to `path` as its ending says: .parquet, .csv, .tsv, .jsonl or .feather; all of it or nothing.

    Raises:
        DataError: the ending is unknown, or the file cannot be written.
    """
    path = Path(path)
    writers = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".feather", ".arrow")
    ending = path.suffix.casefold()
    if ending not in writers:
        raise DataError(
            f"the output file must end in one of {', '.join(writers)}",
            f"it is {path.name!r}",
            "Give it one of these endings.",
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            _write(frame, file, ending)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        came = str(getattr(error, "strerror", None) or error)
        raise DataError(f"{path} must be writable", came, "Choose another place, or make room there.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _write(frame: pl.DataFrame, file: IO[bytes], ending: str) -> None:
    if ending == ".parquet":
        frame.write_parquet(file)
    elif ending in {".csv", ".tsv"}:
        frame.write_csv(file, separator="\t" if ending == ".tsv" else ",")
    elif ending in {".jsonl", ".ndjson"}:
        frame.write_ndjson(file)
    else:
        frame.write_ipc(file)


def _read_paths(pattern: str, sheet: str | None, spill: Spill | None) -> Table:
    """One file, or the files of a glob below each other in the order of their names."""
    if Path(pattern).exists() or not glob.has_magic(pattern):
        return _read_file(Path(pattern), sheet, spill)
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if Path(name).is_file()]  # noqa: PTH207  # takes absolute patterns
    if not paths:
        raise DataError(
            f"the pattern {pattern!r} must match a file", "it matches none", "Check the folder and the ending."
        )
    if len(paths) == 1:
        return _read_file(paths[0], sheet, spill)
    # Each of them may take its share of the memory.
    each = None if spill is None else Spill(spill.folder, spill.limit // len(paths))
    tables = [_read_file(path, sheet, each) for path in paths]
    frame, notes = _below_each_other(tables, spill)
    digest = hashlib.sha256("".join(f"{t.source.name}\0{t.source.sha256}\n" for t in tables).encode())
    first = tables[0].source
    record = first.model_copy(
        update={
            "name": pattern,
            "rows": frame.height,
            "sha256": digest.hexdigest(),
            "notes": (f"{len(tables)} files, from {first.name} to {tables[-1].source.name}", *notes),
        }
    )
    return Table(frame, record)


def _below_each_other(tables: Sequence[Table], spill: Spill | None) -> tuple[Frame, list[str]]:
    first = tables[0]
    names = first.frame.columns
    for table in tables[1:]:
        differ = set(names) ^ set(table.frame.columns)
        if differ:
            raise DataError(
                "all files of a pattern must have the same columns",
                f"{table.source.name} and {first.source.name} differ in {', '.join(map(repr, sorted(differ)[:5]))}",
                "Narrow the pattern, or make the columns the same.",
            )
    notes = [f"{table.source.name}: {note}" for table in tables for note in table.source.notes]
    columns = (_joined([table.frame[name] for table in tables], notes) for name in names)
    if spill is not None and any(isinstance(table.frame, Stored) for table in tables):
        frame = store(columns, spill.folder)
        for table in tables:
            if isinstance(table.frame, Stored):
                table.frame.remove()
        return frame, notes
    return pl.DataFrame(list(columns)), notes


def _joined(parts: list[pl.Series], notes: list[str]) -> pl.Series:
    """One column out of those of several files."""
    name, kinds = parts[0].name, {part.dtype for part in parts}
    if len(kinds) > 1 and not all(kind.is_numeric() for kind in kinds):
        notes.append(f"column {name!r} has other types in other files and is read as text")
        parts = [part if part.dtype == pl.String else as_category(part) for part in parts]
    return pl.concat([part.to_frame() for part in parts], how="vertical_relaxed")[name]


def _read_file(path: Path, sheet: str | None, spill: Spill | None) -> Table:
    _check_readable(path)
    try:
        with tempfile.TemporaryDirectory(prefix="assay-read-") as folder:
            file = unpacked(path, Path(folder))
            return _parse(file, Path(folder), sheet, _sha256(path), spill)
    except OSError as error:
        if is_full(error):
            raise
        raise DataError(
            f"{path} must be readable", str(error.strerror or error), "Check the file and its permissions."
        ) from None


def _check_readable(path: Path) -> None:
    """Refuse what is no file with a known ending.

    Raises:
        DataError: in words, what the path is instead.
    """
    if path.is_dir():
        raise DataError(
            "the data must be a file",
            f"{path} is a directory",
            "Give a file in it, or a pattern such as 'folder/*.csv'.",
        )
    if not path.exists():
        folder = path.parent
        names = sorted(entry.name for entry in folder.glob("[!.]*")) if folder.is_dir() else []
        do = nearest(path.name, names) if names else "Check the path."
        came = "there is no such file" if folder.is_dir() else f"the folder {folder} does not exist"
        raise DataError(f"{path} must exist", came, do.replace("Valid names", "The folder holds"))
    if not path.is_file():
        raise DataError("the data must be a file", f"{path} is none", "Save the data to a file first.")
    ending = ending_of(path.name)
    if ending not in ENDINGS:
        known = ", ".join(dict.fromkeys([*filter(None, ENDINGS), *CONTAINERS]))
        do = "Convert or rename the file."
        if ending in _PICKLED:
            do = "It may hold a pickle, which may run code: save tensors with safetensors.torch, and tables as Parquet."
        raise DataError(f"a data file must end in one of {known}", f"this is {path.name!r}", do)
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} must hold a header and rows", "it is empty", "Check the path or export it anew.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(file: File, folder: Path, sheet: str | None, sha256: str, spill: Spill | None) -> Table:
    """The table of an unpacked file."""
    kind = ENDINGS[file.ending]
    if kind == "delimited text":
        return _parse_text(file, folder, sha256, spill)
    notes: list[str] = []
    try:
        frame: Frame
        if kind in ("parquet", "arrow"):
            frame = read_columnar(file.path, kind, notes, spill)
        elif kind == "json lines":
            frame = kept(tidy(_parse_json_lines(file), notes), spill)
        else:
            frame = kept(tidy(_parse_excel(file, sheet, notes), notes), spill)
    except (pl.exceptions.PolarsError, OSError) as error:
        if is_full(error):
            raise
        raise DataError(
            f"{file.name} must be a whole {kind} file",
            f"it cannot be parsed ({str(error).splitlines()[0]})",
            "Copy it or write it anew, or give it the ending of what it is.",
        ) from None
    _check_rows(frame, file.name)
    record = Source(
        name=file.name, format=kind, rows=frame.height, columns=frame.width, sha256=sha256, notes=tuple(notes)
    )
    return Table(frame, record)


def _parse_text(file: File, folder: Path, sha256: str, spill: Spill | None) -> Table:
    with file.path.open("rb") as raw:
        encoding = detect_encoding(raw, file.name)
        if not encoding.startswith("utf-8"):
            raw.seek(0)
            write_utf8(raw, encoding, folder / "utf-8", file.name)
            file = replace(file, path=folder / "utf-8")
    parsed = read_delimited(file.path, file.name, prefer="\t" if file.ending in {".tsv", ".tab"} else ",")
    notes = list(parsed.notes)
    if encoding == "cp1252":
        notes.append("the text is not UTF-8 and was read as Windows-1252 (of which Latin-1 is a part)")
    if parsed.decimal == ",":
        notes.append("numbers have a decimal comma")
    frame = kept(tidy(parsed.frame, notes), spill)
    record = Source(
        name=file.name,
        format=f"delimited text ({DELIMITER_NAMES[parsed.delimiter]})",
        rows=frame.height,
        columns=frame.width,
        sha256=sha256,
        delimiter=parsed.delimiter,
        encoding=encoding,
        decimal=parsed.decimal,
        notes=tuple(notes),
    )
    return Table(frame, record)


def _parse_json_lines(file: File) -> pl.DataFrame:
    """JSON lines through Polars, or where it cannot, line by line, to tell the broken line or to join mixed types."""
    try:
        return pl.read_ndjson(file.path, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        pass  # read again below with an exact answer
    rows = []
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _broken_json(file.name, number, str(error)) from None
            if not isinstance(row, dict):
                raise _broken_json(file.name, number, f"it holds a {type(row).__name__}")
            rows.append(row)
    return from_records(rows)


def _broken_json(name: str, number: int, came: str) -> DataError:
    return DataError(
        f"every line of {name} must be a JSON object", f"line {number} is none ({came})", "Repair or remove that line."
    )


def _parse_excel(file: File, sheet: str | None, notes: list[str]) -> pl.DataFrame:
    fastexcel = require("fastexcel", "reading Excel files")
    try:
        book = fastexcel.read_excel(str(file.path))
        names = list(book.sheet_names)
        if sheet is not None and sheet not in names:
            raise DataError(f"the sheet {sheet!r} must be in {file.name}", "it is not", nearest(sheet, names))
        if sheet is None and len(names) > 1:
            notes.append(f"the first of {len(names)} sheets was read: {names[0]!r}")
        loaded = book.load_sheet(sheet if sheet is not None else 0, schema_sample_rows=None)
    except fastexcel.FastExcelError as error:
        came = f"it cannot be parsed ({str(error).splitlines()[0]})"
        raise DataError(f"{file.name} must be a whole Excel file", came, "Save it anew, or as CSV.") from None
    frame = loaded.to_polars()
    assert isinstance(frame, pl.DataFrame)
    return frame


def _check_rows(frame: Frame, name: str) -> None:
    if frame.width == 0 or frame.height == 0:
        raise DataError(
            f"{name} must hold columns and rows",
            f"it has {frame.width} columns and {frame.height} rows",
            "Check the source, or export the data anew.",
        )


def _check_names(names: Sequence[str], name: str) -> None:
    """Refuse names that Polars, which the table is kept in, takes for patterns of names."""
    patterns = [column for column in names if column == "*" or (column[:1] == "^" and column[-1:] == "$")]
    if patterns:
        raise DataError(
            f"the columns of {name} must not be called '*', nor begin with '^' and end with '$'",
            f"there is {patterns[0]!r}",
            "Rename it: such names stand for patterns of names.",
        )
