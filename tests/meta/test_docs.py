"""The documents tell the truth: links lead somewhere, examples run, and every command exists as written.

Python blocks of a document run as written, in order, in one namespace, in a folder where `examples/adult` holds a few
hundred rows and `runs/data-1` is a finished run. Shell blocks are not run: their verbs, options, overrides and files
are checked.
"""

import functools
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import assay
from assay.compose.naming import CHOICE_OF
from assay.compose.run_config import options
from assay.errors import TerminatedError
from assay.train.watch import Unwatched

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")], key=lambda page: str(page)
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
OPTION_ROW = re.compile(r"^[│|\s*]*((?:--?[a-z][a-z-]*[\s,/]+)+)", re.MULTILINE)
ROWS = 400


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of `languages`."""
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands(page: Path) -> list[list[str]]:
    """Each command of the shell blocks of a page, as words, up to a pipe or a redirection."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    ends = [next((at for at, word in enumerate(words) if word in {"|", ">", "&&"}), len(words)) for words in found]
    return [words[:end] for words, end in zip(found, ends, strict=True) if words]


@functools.cache
def help_of(*verb: str) -> str:
    """What the real command line says about a verb."""
    assay = Path(sys.executable).with_name("assay")
    environment = os.environ | {"COLUMNS": "240", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run([assay, *verb, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"assay {' '.join(verb)} --help failed: {done.stderr}"
    return done.stdout


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in LINK.findall(prose) if "://" not in link]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_exist_as_written(page):
    for words in commands(page):
        if words[0].endswith("assay"):
            verb = [word for word in words[1 : 3 if words[1:2] == ["config"] else 2] if not word.startswith("-")]
            known = {option for row in OPTION_ROW.findall(help_of(*verb)) for option in OPTION.findall(row)}
            options = {word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-"}
            assert options <= known, f"{' '.join(words)}: no option {sorted(options - known)}"
        elif words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert {word for word in words[1:] if "=" not in word} <= set(targets)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_overrides_name_options(page):
    known = {option.key for option in options()}
    for words in commands(page):
        if words[:2] in (["assay", "fit"], ["assay", "lr-find"]) or words[:3] == ["assay", "config", "show"]:
            pairs = itertools.pairwise(words)
            keys = {word.partition("=")[0] for before, word in pairs if "=" in word and not before.startswith("-")}
            assert {CHOICE_OF.get(key, key) for key in keys} <= known


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_files_in_commands_exist(page):
    shipped = ("examples/", "requirements/", "benchmarks/", "docs/")
    named = [word for words in commands(page) for word in words if word.startswith(shipped)]
    assert [word for word in named if not (ROOT / word.partition(":")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_verbs_in_running_text_exist(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    verbs = set(re.findall(r"`assay ([a-z-]+)", prose))
    for verb in verbs:
        assert f"assay {verb}" in help_of(verb)


@pytest.fixture
def workplace(tmp_path, monkeypatch, adult_small, small_run):
    """A folder in which the documents' paths hold a slice of the example data, and `runs/data-1` a finished run."""
    shutil.copytree(small_run.directory, tmp_path / "runs" / "data-1")
    folder = tmp_path / "examples" / "adult"
    folder.mkdir(parents=True)
    test = pl.read_csv(ROOT / "examples" / "adult" / "test.csv.gz").head(ROWS // 2)
    for name, frame in (("train.csv", adult_small.head(ROWS)), ("test.csv", test)):
        frame.write_csv(folder / name)
        subprocess.run(["gzip", "-n", folder / name], check=True)
    monkeypatch.chdir(tmp_path)
    # What the guide tells a reader to set before Keras is imported; its own file is not to go home.
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


class TakenBack(Unwatched):
    """A watch that ends the run with its first epoch, as a queue does that takes its node back."""

    def epoch(self, record, of):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def unfinished_runs(workplace):
    """Make the runs that the guide to going on goes on with: one of a file, one of a frame."""

    def make():
        data = "examples/adult/train.csv.gz"
        for source, out in ((data, "runs/churn"), (pl.read_csv(data), "runs/frame-1")):
            overrides = ["model.name=mlp", "model.members=1", "ensemble.folds=1", "train.epochs=2"]
            with pytest.raises(TerminatedError):
                assay.fit(source, "income", out=out, overrides=overrides, watch=TakenBack())

    return make


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_examples_run(page, unfinished_runs):
    if "resume=" in "".join(blocks(page, "python")):
        unfinished_runs()
    namespace = {"__name__": "example"}
    for number, block in enumerate(blocks(page, "python"), start=1):
        exec(compile(block, f"{name_of(page)}, example {number}", "exec"), namespace)
