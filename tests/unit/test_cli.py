"""The command line, called as people call it; what runs behind it is a small real run made once."""

import errno
import io
import json
import re
import subprocess
import sys

import polars as pl
import pytest

from assay import __version__
from assay.cli import app, main
from assay.cli.arguments import kinds_from
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, flat, options
from assay.errors import AuditError, ConfigError, TerminatedError
from assay.practices import PRACTICES, as_markdown

VERBS = [
    "fit", "ablate", "lr-find", "predict", "evaluate", "audit", "show", "mistakes", "compare", "init", "config",
    "bench", "practices",
]  # fmt: skip
HEAVY = ["torch", "polars", "numpy", "pydantic", "hydra", "omegaconf", "onnxruntime", "sklearn", "rich", "yaml"]


def python(*arguments, **environment):
    """A fresh interpreter with `assay` as its command."""
    code = "import sys; from assay.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={"PATH": "", **environment}
    )


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rows.csv"
    rows = range(40)
    pl.DataFrame(
        {"age": [20 + row % 37 for row in rows], "town": ["a" if row % 3 else "b" for row in rows],
         "sick": ["yes" if row % 4 else "no" for row in rows]}
    ).write_csv(path)  # fmt: skip
    return path


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from assay.cli import main; main(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"
    assert all(f"\n  {verb} " in ran.stdout for verb in VERBS)


def test_without_arguments_it_prints_help(capsys):
    assert main([]) == 0
    without = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == without
    assert "assay VERB --help" in without


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"assay {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_shows_every_option_with_its_default(verb, capsys):
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    context = app._command().make_context("assay", [], resilient_parsing=True)
    entries = re.split(r"\n  (?=\S)", re.split(r"\n(?:Arguments|Options):", text, maxsplit=1)[1])
    for parameter in app._command().get_command(context, verb).params:
        option = parameter.param_type_name == "option"
        name = next(word for word in parameter.opts if word.startswith("--")) if option else parameter.metavar
        entry = next(entry for entry in entries if name in entry.split())
        assert "[default:" in entry or "[required]" in entry, name


def test_the_help_of_fit_lists_every_key_and_preset(capsys):
    main(["fit", "--help"])
    text = capsys.readouterr().out
    for option in options():
        assert f"  {option.key}={option.shown_default}\n" in text
    assert "quick     1 min" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fti"], "there is no command 'fti'. Did you mean 'fit'?"),
        (["fit", "--tset", "x"], "there is no option --tset. Did you mean '--test'?"),
        (["--verson"], "Did you mean '--version'?"),
        (["show"], "missing argument 'RUN'. `assay show --help`"),
        (["predict", "m", "d"], "missing option '--out'"),
        (["fit", "x", "--target"], "option '--target' requires an argument"),
        (["fit"], "no DATA was given"),
        (["fit", "x.csv"], "no target was given"),
        (["fit", "x.csv", "--target", "y", "train.lrr=1"], "Did you mean 'train.lr'?"),
        (["fit", "x.csv", "--target", "y", "--budget", "soon"], "Examples: 60s, 10m"),
        (["fit", "x.csv", "--target", "y", "--seed", "1", "seed=2"], "given as 'seed=1' and 'seed=2'"),
        (["fit", "x.csv", "--target", "y", "--seed", "x"], "seed must be a whole number"),
        (["fit", "x.csv", "--target", "y", "--preset", "fast"], "quick: 1 min"),
        (["fit", "x.csv", "y.csv", "--target", "z"], "must be KEY=VALUE, but 'y.csv' was given"),
        (["fit", "train.lr=1", "--target", "y"], "no DATA was given"),
        (["fit", "x.csv", "--target", "y", "--as", "age=nmber"], "Did you mean 'number'?"),
        (["fit", "x.csv", "--target", "y", "--task", "binray"], "Did you mean 'binary'?"),
        (["fit", "x.csv", "--target", "y", "--config", "gone.yaml"], "gone.yaml must be a file that can be read"),
        (["fit", "x.csv", "--target", "y", "--reference", "gone.yaml"], "gone.yaml must be a file that can be read"),
        (["predict", "m", "d", "-o", "x.txt"], "must end in .csv or .parquet"),
        (["predict", "m", "d", "-o", "gone/x.csv"], "the folder of the output must exist"),
        (["show", "gone", "--config"], "gone must be a run directory or a bundle"),
        (["show", "gone", "--config", "--ledger"], "show prints one thing"),
        (["compare", "one"], "compare takes two runs or more"),
        (["practices", "--stage", "reed"], "Did you mean 'read'?"),
        (["practices", "--stage", "read", "--markdown"], "--markdown prints the whole page"),
    ],
)
def test_a_wrong_command_is_one_message_and_exit_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_exit_codes_of_the_process():
    assert python("--version").returncode == 0
    wrong = python("fti")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: there is no command 'fti'.")


def test_an_internal_error_is_one_sentence_unless_a_traceback_is_asked_for():
    code = (
        "import sys; from assay.cli import app\n"
        "def broken(arguments): raise ZeroDivisionError('a fault')\n"
        "app._run = broken; sys.exit(app.main(['fit']))"
    )
    command = [sys.executable, "-c", code]
    short = subprocess.run(command, capture_output=True, text=True)
    assert short.returncode == 1
    assert short.stderr.startswith("internal error: ZeroDivisionError: a fault\n")
    assert "ASSAY_TRACEBACK=1" in short.stderr
    assert "Traceback" not in short.stderr
    long = subprocess.run(command, capture_output=True, text=True, env={"ASSAY_TRACEBACK": "1"})
    assert long.returncode == 1
    assert "Traceback (most recent call last)" in long.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted before the work was done"),
        (OSError(errno.ENOSPC, "No space left on device", "out.csv"), 2, "it is full (out.csv)"),
        (OSError(errno.EACCES, "Permission denied", "out.csv"), 2, "Permission denied (out.csv)"),
        (AuditError("a must", "a came", "A do."), 3, "a must, but a came. A do."),
        (ConfigError("a must", "a came", "A do."), 2, "a must, but a came. A do."),
    ],
)
def test_every_expected_end_has_its_code(error, code, message, capsys, monkeypatch):
    def run(arguments):
        raise error

    monkeypatch.setattr(app, "_run", run)
    assert main(["fit"]) == code
    assert message in capsys.readouterr().err


def test_an_unexpected_system_error_is_internal(monkeypatch):
    def run(arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(app, "_run", run)
    with pytest.raises(OSError, match="Input/output error"):
        main(["fit"])


def test_a_reader_that_leaves_is_no_error():
    code = "import sys; from assay.cli import main; sys.exit(main(['practices', '--markdown']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (141, b"")


def test_practices_are_listed_by_stage(capsys):
    assert main(["practices"]) == 0
    text = capsys.readouterr().out
    assert all(practice.id in text and practice.source in text for practice in PRACTICES.values())
    assert main(["practices", "--stage", "split", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["practices"]
    assert [one["id"] for one in listed] == [one.id for one in PRACTICES.values() if one.stage == "split"]
    assert main(["practices", "--markdown"]) == 0
    assert capsys.readouterr().out == as_markdown()


def test_kinds_are_split_at_the_last_equals_sign():
    assert kinds_from(["a=b=number", "c=text"]) == {"a=b": "number", "c": "text"}
    for wrong in ("age", "=number", "age="):
        with pytest.raises(ConfigError):
            kinds_from([wrong])
    with pytest.raises(ConfigError, match="two: number and text"):
        kinds_from(["a=number", "a=text"])


def test_fit_hands_on_what_was_said(monkeypatch, tmp_path):
    """The seam between the command line and the run: each argument arrives, arguments over the file."""
    calls = []

    class StopHereError(Exception):
        """Ends the command where the run would begin."""

    def fit(data, target, **rest):
        calls.append((data, target, rest))
        raise StopHereError

    import assay.run

    monkeypatch.setattr(assay.run, "fit", fit)
    config = tmp_path / "c.yaml"
    config.write_text(
        "table: {data: from-file.csv, target: y, drop: [u], kinds: {a: text, b: text}}\ntrain: {epochs: 9}\n"
    )
    references = tmp_path / "r.yaml"
    references.write_text("- {model: A, metric: auroc, value: 0.9, source: paper}\n")
    with pytest.raises(StopHereError):
        main(
            ["fit", "--config", str(config), "train.lr=0.5", "model.width=8", "--budget", "5s", "--seed", "3",
             "--strict", "--as", "b=number", "--sensitive", "s", "--sensitive", "t", "--reference", str(references),
             "--quiet", "--out", "there", "--preset", "quick"]
        )  # fmt: skip
    data, target, rest = calls[0]
    resolved = rest["config"]
    assert (data, target) == ("from-file.csv", "y")
    assert (resolved.budget, resolved.seed, resolved.data.audit.strict) == (5.0, 3, True)
    assert (resolved.train.epochs, resolved.train.lr, resolved.model.width) == (9, 0.5, 8)
    assert resolved.train.patience == compose("quick").train.patience
    assert rest["kinds"] == {"a": "text", "b": "number"}
    assert (rest["drop"], rest["sensitive"], str(rest["out"])) == (("u",), ("s", "t"), "there")
    assert [(one.model, one.value) for one in rest["references"]] == [("A", 0.9)]


def test_init_writes_a_file_that_fit_takes(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(table), "--target", "sick", "--sensitive", "town"]) == 0
    config = compose(file=tmp_path / "assay.yaml")
    assert (config.table.data, config.table.target, config.table.sensitive) == (str(table), "sick", ("town",))
    assert set(config.table.kinds) == {"age", "town"}
    assert config.model_copy(update={"table": RunConfig().table}) == RunConfig()
    before = (tmp_path / "assay.yaml").read_bytes()
    assert main(["init", str(table), "--target", "sick"]) == 2
    assert "already there" in capsys.readouterr().err
    assert (tmp_path / "assay.yaml").read_bytes() == before
    assert main(["init", str(table), "--target", "sick", "-o", "-"]) == 0
    assert "age: number" in capsys.readouterr().out
    assert main(["init", str(table), "--target", "sikc", "-o", "-"]) == 2
    assert "Did you mean 'sick'?" in capsys.readouterr().err


def test_audit_shows_findings_before_the_gate_closes(table, capsys):
    assert main(["audit", str(table), "--target", "sick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"]["target"] == "sick"
    serious = [finding for finding in found["findings"] if finding["severity"] == "serious"]
    assert main(["audit", str(table), "--target", "sick", "--strict"]) == (3 if serious else 0)
    out, err = capsys.readouterr()
    assert out.startswith("task: binary")
    assert all(" ".join(one["what"].split())[:40] in " ".join(out.split()) for one in found["findings"])
    assert ("listed above" in err) == bool(serious)


def test_audit_and_init_fold_series(tmp_path, capsys):
    steps = {f"t{at}": [float(at * row) for row in range(40)] for at in range(16)}
    wide = pl.DataFrame({**steps, "sick": ["no", "yes"] * 20})
    wide.write_csv(tmp_path / "wide.csv")
    assert main(["audit", str(tmp_path / "wide.csv"), "--target", "sick"]) == 0
    assert "columns: 1 sequence, 1 category" in capsys.readouterr().out
    assert main(["init", str(tmp_path / "wide.csv"), "--target", "sick", "-o", "-"]) == 0
    assert "series: sequence" in capsys.readouterr().out
    long = wide.with_row_index("who").unpivot(index=["who", "sick"], variable_name="at", value_name="x")
    long.with_columns(pl.col("at").str.slice(1)).write_csv(tmp_path / "long.csv")
    told = ["data.case=who", "data.step=at"]
    assert main(["audit", str(tmp_path / "long.csv"), *told, "--target", "sick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"]["folding"]["columns"] == ["x"]
    assert main(["audit", str(tmp_path / "long.csv"), "data.case=whom", "--target", "sick"]) == 2
    assert "Did you mean 'who'?" in capsys.readouterr().err


def test_show_compare_and_predict_on_a_real_run(small_run, adult_small, tmp_path, capsys):
    run = str(small_run.directory)
    assert main(["show", run, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["scores"][0]["kind"] == "network"
    assert main(["show", run, "--config"]) == 0
    (tmp_path / "again.yaml").write_text(capsys.readouterr().out)
    assert flat(compose(file=tmp_path / "again.yaml")) == shown["config"]
    assert main(["show", run, "--ledger", "--json"]) == 0
    of_fits = {one.id for one in PRACTICES.values() if one.verb == "fit"}  # those of synthesise have no place in it
    assert {one["practice"] for one in json.loads(capsys.readouterr().out)["ledger"]} == of_fits < set(PRACTICES)
    assert main(["show", run, "--leaderboard", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["leaderboard"]["rows"] == shown["leaderboard"]["rows"]
    assert main(["show", run, "--leaderboard"]) == 0
    assert "the model" in capsys.readouterr().out
    assert main(["show", run]) == 0
    assert "Scores" in capsys.readouterr().out
    assert main(["compare", run, run, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["same_test_rows"] is True
    assert compared["runs"][0]["whole"]["validation"] == shown["selection"]["validation"]
    assert compared["runs"][0]["scores"] == compared["runs"][1]["scores"] == shown["scores"][0]["scores"]
    assert main(["compare", run, run]) == 0
    assert "(primary)" in capsys.readouterr().out

    rows = tmp_path / "rows.csv"
    adult_small.head(7).write_csv(rows)
    assert main(["predict", run, str(rows), "-o", str(tmp_path / "answers.parquet")]) == 0
    assert "7 rows" in capsys.readouterr().err
    written = pl.read_parquet(tmp_path / "answers.parquet")
    assert main(["predict", run, str(rows), "-o", "-"]) == 0
    printed = pl.read_csv(io.StringIO(capsys.readouterr().out))
    assert printed["prediction"].to_list() == written["prediction"].to_list()
    assert main(["predict", run, str(rows), "-o", str(rows)]) == 2
    assert "must not replace the data" in capsys.readouterr().err
    assert main(["evaluate", run, str(rows), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"][0]["kind"] == "network"


def test_named_slices_of_new_rows_are_scored_or_refused_in_words(small_run, adult_small, tmp_path, capsys):
    run, rows = str(small_run.directory), tmp_path / "rows.csv"
    adult_small.head(120).write_csv(rows)
    named = ["--slice", "age >= 40", "--slice", "sex = Male & age < 40"]
    assert main(["evaluate", run, str(rows), *named, "--json"]) == 0
    old, young = json.loads(capsys.readouterr().out)["slices"]["named"]
    assert (old["condition"], old["rows"]) == ("age >= 40", adult_small.head(120).filter(pl.col("age") >= 40).height)
    assert young["condition"] == "sex = Male & age < 40"
    assert main(["evaluate", run, str(rows), *named]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "The positive class is decided from a probability of 0." in shown
    assert "Lift at 10%: " in shown
    assert f"age >= 40: {old['rows']} rows, AUROC {old['score']['value']:.3f}" in shown
    assert main(["evaluate", run, str(rows), "--slice", "agee >= 40"]) == 2
    assert "'agee' is none of them" in capsys.readouterr().err


def test_rows_without_a_target_are_counted_and_all_of_them_refused(small_run, adult_small, tmp_path, capsys):
    run, rows = str(small_run.directory), tmp_path / "rows.csv"
    place = pl.int_range(pl.len())
    adult_small.head(60).with_columns(income=pl.when(place % 3 > 0).then("income")).write_csv(rows)
    assert main(["evaluate", run, str(rows)]) == 0
    assert "20 of 60 rows have no 'income' and are left out" in capsys.readouterr().err
    adult_small.head(60).with_columns(income=pl.lit(None, pl.String)).write_csv(rows)
    assert main(["evaluate", run, str(rows)]) == 2
    assert "all 60 rows of 'rows.csv' lack it" in capsys.readouterr().err


# Going on -------------------------------------------------------------------------------------------


def test_what_is_said_beside_resume_is_refused_by_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["fit", "--resume", "runs/churn"]
    assert main([*words, "data.csv", "--target", "y", "--strict", "train.lr=1"]) == 2
    assert "DATA, --target, --strict, KEY=VALUE are given beside --resume" in capsys.readouterr().err
    assert main([*words, "train.lr=1"]) == 2
    assert "KEY=VALUE is given beside --resume. Leave that out, or start a new run without" in capsys.readouterr().err
    assert main([*words, "--seed", "0", "--as", "x=number"]) == 2
    assert "--as, --seed are given beside --resume" in capsys.readouterr().err
    assert main(words) == 2
    assert "there must be an unfinished run to go on with, but there is none at 'runs/churn'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["show"], ["show", "--config"], ["show", "--json"], ["evaluate", "run", "data.csv"]])
def test_an_unfinished_run_is_no_run_to_look_at(verb, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".run.partial").mkdir()
    assert main(verb if verb[0] == "evaluate" else [*verb, "run"]) == 2
    expected = (
        "error: a run must be finished to be looked at, but 'run' was ended before it had trained. Go on with "
        "`assay fit --resume run`.\n"
    )
    assert capsys.readouterr().err == expected


def test_an_error_ends_with_what_was_noted_on_its_way(capsys, monkeypatch):
    def ends(kind, *arguments):
        def run(words):
            error = kind(*arguments)
            error.add_note("Go on.")
            raise error

        return run

    for kind, arguments, code, text in (
        (ConfigError, ("a", "b", "Do."), 2, "error: a, but b. Do. Go on.\n"),
        (TerminatedError, ("a", "b", "Do."), 143, "error: a, but b. Do. Go on.\n"),
        (KeyboardInterrupt, (), 130, "error: interrupted before the work was done. Go on.\n"),
        (OSError, (errno.ENOSPC, "full"), 2, "but it is full. Free some space and run this again. Go on.\n"),
    ):
        monkeypatch.setattr(app, "_run", ends(kind, *arguments))
        assert main(["practices"]) == code
        assert capsys.readouterr().err.endswith(text)
    with pytest.raises(ZeroDivisionError) as caught:
        ends(ZeroDivisionError)([])
    app._internal_error(ZeroDivisionError, caught.value, None)
    assert capsys.readouterr().err.endswith("report what it prints.\nGo on.\n")
