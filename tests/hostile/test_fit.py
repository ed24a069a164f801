"""`assay fit` on bad tables: exit code 2, one message without a traceback, and nothing left behind; odd ones work."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from assay.cli import main
from assay.runs import open_run

QUICK = [
    "model.name=mlp",
    "model.members=4",
    "ensemble.folds=1",
    "--quiet",
    "train.epochs=2",
    "evaluate.bootstrap=100",
    "evaluate.baselines=majority",
]


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


def lines(header: str, rows: int, row) -> str:
    return header + "\n" + "".join(row(i) + "\n" for i in range(rows))


def amount(i: int) -> int:
    return i * 7 % 31


def label(i: int) -> str:
    return "yes" if amount(i) > 14 else "no"


GOOD = lines("x,z,y", 120, lambda i: f"{amount(i)},{i * 3 % 17},{label(i)}")

BAD = {
    "missing": (None, r"rows.csv must exist, but there is no such file."),
    "empty": ("", "rows.csv must hold a header and rows, but it is empty. Check the path"),
    "header only": ("x,z,y\n", "it has a header of 3 columns and no row below it"),
    "one row": ("x,z,y\n1,2,yes\n", "a table must have at least two rows"),
    "five rows": ("x,z,y\n1,2,a\n2,3,b\n3,4,a\n4,4,b\n5,1,a\n", "at least 10 rows with a target .*, but there are 5"),
    "wrong delimiter": (GOOD.replace("x,z", "xx,z").replace(",", "^"), "the delimiter is none of comma"),
    "blanks as delimiter": (GOOD.replace(",", "   "), "'y' is not. Valid names: 'x   z   y'. With one column only"),
    "broken encoding": (GOOD.encode() + b"\x81\xff,1,yes\n", "UTF-8, UTF-16 or Windows-1252, but byte 1039 belongs"),
    "binary": (bytes(range(256)) * 50, "must hold text, but byte 1 is zero"),
    "short row": (GOOD + "1,2\n", "every row of rows.csv must have 3 fields, .* row 121 has 2"),
    "long row": (GOOD + "1,2,yes,4\n", "every row of rows.csv must have 3 fields, .* row 121 has 4"),
    "two columns of a name": (GOOD.replace("x,z", "x,x", 1), "must have a name of its own, but 'x' names columns 1, 2"),
    "target named otherwise": (GOOD.replace("y", "Y", 1), "the target column .* but 'y' is not. Did you mean 'Y'?"),
    "constant target": (lines("x,y", 50, lambda i: f"{amount(i)},a"), "at least two values, but every value is 'a'"),
    "missing target": (lines("x,y", 50, lambda i: f"{amount(i)},NA"), "at least two values, but every cell is missing"),
    "class of one row": (GOOD + "1,2,maybe\n", "every class of 'y' must have at least 2 rows, .*, but 'maybe' has 1"),
    "target of names": (lines("x,y", 90, lambda i: f"{amount(i)},u{i}"), "at most 1000 classes, .* 90 distinct values"),
    "infinite target": (lines("x,y", 90, lambda i: f"{amount(i)},{'inf' if i == 8 else i * 1.5}"), "first in row 9"),
    "target beyond": (lines("x,y", 90, lambda i: f"{amount(i)},{amount(i)}.5e120"), "beyond 1e.100"),
    "constant features": (lines("x,y", 50, lambda i: f"1,{label(i)}"), "at least one column must be usable"),
    "inner name": (GOOD.replace("z", "assay:x", 1), "no column may begin with 'assay:', .* 'assay:x' does"),
    "no features": (lines("y", 50, label), "at least one column must be usable .*there is only the target"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_and_nothing_is_left(name, tmp_path, capsys, monkeypatch):
    content, message = BAD[name]
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("rows.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["fit", "rows.csv", "--target", "y", *QUICK]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert re.search(message, err), err
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["rows.csv"])


WRONG = {
    "target": (["--target", "yy"], "the target column must be in the table, but 'yy' is not. Did you mean 'y'?"),
    "no target": ([], "the column to predict must be named, but no target was given. Add --target COL"),
    "group": (["--target", "y", "--group", "g"], "the group column must be in the table, but 'g' is not"),
    "all dropped": (["--target", "y", "--drop", "x", "--drop", "z"], "at least one column must be usable"),
    "regression of words": (["--target", "y", "--task", "regression"], "must hold numbers, but it holds words such as"),
    "no such label": (["--target", "y,q"], "every target column must be in the table, but 'q' is not"),
    "no labels": (["--target", "y,z"], "several target columns must each hold 0 and 1, .* but 'z' holds '3'"),
    "a label twice": (["--target", "y,y"], "target columns must differ, but 'y,y' names one twice"),
    "kind": (["--target", "y", "--as", "x=datetime"], "'x', given as datetime, .* but 120 of 120 are none"),
    "positive": (["--target", "y", "--positive", "maybe"], "the positive class must be a value of 'y', but 'maybe'"),
    "other classes": (["--target", "y", "--test", "never.csv"], "one of 'no', 'yes', but 30 rows have 'never'"),
    "other columns": (["--target", "y", "--test", "renamed.csv"], "the test file 'renamed.csv' must .* it lacks 'z'"),
    "no test file": (["--target", "y", "--test", "nowhere.csv"], "nowhere.csv must exist, but there is no such file"),
    "taken": (["--target", "y", "--out", "taken"], "must not exist yet, but 'taken' is already there"),
    "below a file": (["--target", "y", "--out", "rows.csv/run"], "must be writable .* but Not a directory"),
    "long name": (["--target", "y", "--out", "n" * 300], "must be writable .* but File name too long"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_and_nothing_is_left(name, tmp_path, capsys, monkeypatch):
    arguments, message = WRONG[name]
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(GOOD)
    Path("never.csv").write_text(lines("x,z,y", 30, lambda i: f"{i},{i},never"))
    Path("renamed.csv").write_text(GOOD.replace("x,z", "x,q", 1))
    Path("taken").mkdir()
    Path("taken", "mine.txt").write_text("mine")
    assert main(["fit", "rows.csv", *arguments, *QUICK]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(message, err), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["never.csv", "renamed.csv", "rows.csv", "taken"]
    assert [path.name for path in Path("taken").iterdir()] == ["mine.txt"]


def test_a_budget_without_room_closes_the_gate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(GOOD)
    assert main(["fit", "rows.csv", "--target", "y", "--budget", "1s", *QUICK]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: the budget must leave time to train")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


NAMES = ["my col", 'say "hi"', "😀", "two\nlines", "[red]x[/red]", "<script>alert(1)</script>", "a=b", "prediction",
         "core/answer", "matrix/values", "e\u0301", " blanks ", "{0}", "%s", "null", "__class__"]  # fmt: skip


@pytest.fixture(scope="module")
def odd_table(tmp_path_factory) -> pl.DataFrame:
    """Every odd thing that must work: names, thousands, infinities, mixed cells, missing targets, an empty column."""
    draw = random.Random(0)
    rows = 240
    columns: dict[str, list[object]] = {name: [draw.choice("pqr") for _ in range(rows)] for name in NAMES}
    columns["my col"] = [draw.gauss(0, 1) for _ in range(rows)]
    columns["😀"] = [f"{draw.randrange(1, 99)},{draw.randrange(1000):03}" for _ in range(rows)]
    columns["two\nlines"] = ["inf" if i % 20 == 3 else "-inf" if i % 9 == 1 else str(amount(i)) for i in range(rows)]
    columns["a=b"] = ["word" if i % 5 == 0 else str(draw.randrange(50)) for i in range(rows)]
    columns["%s"] = [f"{draw.random()}e300" for _ in range(rows)]
    columns["null"] = [None] * rows
    columns["the <y>"] = [
        None if i % 10 == 7 else "<b>yes</b>" if value > 0 else "no 😀" for i, value in enumerate(columns["my col"])
    ]
    return pl.DataFrame(columns, strict=False)


@pytest.fixture(scope="module")
def odd_run(odd_table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    odd_table.write_csv(folder / "rows.csv")
    assert main(["fit", str(folder / "rows.csv"), "--target", "the <y>", "--out", str(folder / "run"), *QUICK]) == 0
    return open_run(folder / "run")


def test_odd_columns_are_learned_from_and_said(odd_run):
    report = odd_run.report()
    kinds = {column.name: column.kind.value for column in report.table_schema.columns}
    assert kinds["😀"] == kinds["two\nlines"] == kinds["%s"] == "number"
    assert kinds["a=b"] == "category"
    assert kinds["null"] == "constant"
    assert report.parity.difference <= 1e-5
    split = report.split
    assert (split.train_rows + split.valid_rows + split.test_rows, split.left_out) == (216, 24)
    assert "38 cells are infinite" in " ".join(finding.what for finding in report.findings)
    page = (odd_run.directory / "report.html").read_text(encoding="utf-8")
    assert re.search(r"24 rows without a target", page)


def test_odd_columns_are_answered_in_order(odd_run, odd_table, tmp_path):
    answers = odd_run.predict(odd_table)
    assert answers.columns == ["prediction", "probability_<b>yes</b>", "probability_no 😀"]
    assert answers.height == odd_table.height
    turned = odd_run.predict(odd_table.reverse().select(reversed(odd_table.columns)))
    assert turned["prediction"].reverse().to_list() == answers["prediction"].to_list()
    odd_table.write_csv(tmp_path / "rows.csv")
    assert main(["predict", str(odd_run.directory), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "a.csv")]) == 0
    assert pl.read_csv(tmp_path / "a.csv")["prediction"].to_list() == answers["prediction"].to_list()


def test_odd_names_are_shown_and_not_obeyed(odd_run, capsys):
    page = (odd_run.directory / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>yes</b>" not in page
    assert main(["show", str(odd_run.directory)]) == 0
    shown = capsys.readouterr().out
    assert "the <y>" in shown
    assert "24 rows without a target left out" in " ".join(shown.split())
    assert main(["show", str(odd_run.directory), "--json"]) == 0
    read_back = json.loads(capsys.readouterr().out)
    assert {column["name"] for column in read_back["table_schema"]["columns"]} >= set(NAMES)


# A full disk ----------------------------------------------------------------------------------------

CALL = "import sys; from assay.cli import main; sys.exit(main())"


def fit_in_a_process(folder: Path, out: Path, prepare=None) -> subprocess.CompletedProcess[str]:
    (folder / "rows.csv").write_text(GOOD)
    command = [sys.executable, "-c", CALL, "fit", str(folder / "rows.csv"), "--target", "y", "--out", str(out), *QUICK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=prepare, check=False)


def test_a_file_beyond_the_limit_leaves_nothing(tmp_path):
    # The limit stands in for a full disk where one may not mount: the model is the first file above it.
    ended = fit_in_a_process(
        tmp_path, tmp_path / "run", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000,) * 2)
    )
    assert ended.returncode == 2, ended.stderr
    assert "error: there must be room on the disk, but it is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of a size; without the right to, the test is skipped."""
    disk = tmp_path / "disk"

    def mount(size: str) -> Path:
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            mounted = False
        if not mounted:
            pytest.skip("a small disk cannot be mounted here")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], capture_output=True, check=False)


@pytest.mark.parametrize("size", ["100k", "200k", "250k", "300k"])
def test_a_full_disk_leaves_nothing_but_checkpoints(tmp_path, size, capsys, small_disk):
    (tmp_path / "rows.csv").write_text(GOOD)
    disk = small_disk(size)
    assert main(["fit", str(tmp_path / "rows.csv"), "--target", "y", "--out", str(disk / "run"), *QUICK]) == 2
    out, err = capsys.readouterr()
    *notes, error = err.splitlines()
    assert out == ""
    assert error.startswith("error: there must be room on the disk, but it is full")
    assert all(note.startswith("note: ") for note in notes)
    left = [path.name for path in disk.iterdir()]
    assert left in ([], [".run.partial"])
    if left:  # training was done: it can be gone on with when there is room
        assert list((disk / ".run.partial" / "checkpoints").glob("**/state.json"))
        assert "--resume" in err


@pytest.mark.parametrize("size", ["400k", "1500k"])  # full while the table is put into files, and while its encoding is
def test_a_disk_too_small_for_a_table_in_files_leaves_nothing(tmp_path, size, capsys, small_disk):
    draw = random.Random(0)
    rows = pl.DataFrame({f"x{place}": [draw.gauss(0, 1) for _ in range(20_000)] for place in range(6)})
    rows.with_columns(y=pl.col("x0") + pl.col("x1")).write_parquet(tmp_path / "rows.parquet")
    disk = small_disk(size)
    options = ["--out", str(disk / "run"), "data.memory=0", *QUICK]
    assert main(["fit", str(tmp_path / "rows.parquet"), "--target", "y", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: there must be room on the disk, but it is full")
    assert list(disk.iterdir()) == []


@pytest.mark.slow
def test_ten_thousand_columns_work_or_say_that_time_is_short(tmp_path):
    draw = random.Random(0)
    columns = {f"c{place}": [draw.gauss(0, 1) for _ in range(120)] for place in range(10_000)}
    table = pl.DataFrame(columns).with_columns(y=pl.when(pl.col("c0") > 0).then(pl.lit("a")).otherwise(pl.lit("b")))
    table.write_csv(tmp_path / "wide.csv")
    options = ["--out", str(tmp_path / "run"), "--budget", "none", *QUICK]
    assert main(["fit", str(tmp_path / "wide.csv"), "--target", "y", *options]) == 0
    run = open_run(tmp_path / "run")
    assert run.bundle.verify() <= 1e-5
    assert run.predict(table.head(2)).height == 2
    assert (tmp_path / "run" / "report.html").stat().st_size < 1_000_000
