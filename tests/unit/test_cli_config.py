"""`assay config`, called as people call it."""

import json
import subprocess
import sys

import pytest

from assay.cli import main
from assay.compose.hydra_io import compose
from assay.compose.json_schema import json_schema
from assay.compose.run_config import options


@pytest.fixture(autouse=True)
def own_excepthook(monkeypatch):
    """`main` sets sys.excepthook, as the entry point of a process may."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "exp.yaml"
    path.write_text("seed: 7\ntrain:\n  lr: 1e-3\n")
    return path


def out_of(capsys, *arguments):
    assert main(["config", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_show_prints_yaml_that_reads_back(capsys, file, tmp_path):
    given = ["data.csv", "model=tabm", "--target", "y", "--config", file, "--preset", "best", "--seed", "9"]
    text = out_of(capsys, "show", *given)
    assert "seed: 9  # seed=9\n" in text
    assert "  lr: 0.001  # line 3 of exp.yaml\n" in text
    assert "  data: data.csv  # argument DATA\n" in text
    assert '  target: "y"  # argument --target\n' in text
    assert "budget: 1800.0  # preset best\n" in text
    again = tmp_path / "again.yaml"
    again.write_text(text)
    config = compose(file=again)
    assert (config.seed, config.model.name, config.table.target, config.budget) == (9, "tabm", "y", 1800.0)
    assert config.train.model_fields_set == {"lr"}


def test_show_without_data(capsys):
    assert "name: tabm  # model=tabm" in out_of(capsys, "show", "model=tabm")


def test_show_changed(capsys, file):
    assert out_of(capsys, "show", "--changed") == "# nothing differs from the defaults\n"
    text = out_of(capsys, "show", "--changed", "--config", file, "seed=0")
    assert text == "train:\n  lr: 0.001  # line 3 of exp.yaml\n"


def test_show_as_json(capsys, file):
    found = json.loads(out_of(capsys, "show", "--config", file, "--json"))["settings"]
    by_key = {each["key"]: each for each in found}
    assert by_key["seed"] == {
        "key": "seed", "value": 7, "default": 0, "origin": "file", "place": "line 1 of exp.yaml", "changed": True,
    }  # fmt: skip
    assert by_key["train.epochs"]["origin"] == "recipe"
    assert len(found) == len(options())


def test_options_are_listed_and_filtered(capsys):
    every = out_of(capsys, "options")
    assert all(f"\n{option.key}=" in f"\n{every}" for option in options())
    group = out_of(capsys, "options", "data.split")
    assert "data.split.valid=" in group
    assert "data.audit" not in group
    assert "It belongs to tabm and tabm_mini." in out_of(capsys, "options", "heads")
    found = json.loads(out_of(capsys, "options", "label_smoothing", "--json"))["options"]
    assert [each["key"] for each in found] == ["train.label_smoothing"]
    assert found[0]["networks"] == []
    assert "train.nesterov" in out_of(capsys, "options", "Nesterov's")  # a word of the description


def test_the_schema(capsys, tmp_path):
    assert json.loads(out_of(capsys, "schema")) == json_schema()
    path = tmp_path / "assay.schema.json"
    assert main(["config", "schema", "--out", str(path)]) == 0
    assert json.loads(path.read_text()) == json_schema()
    assert f"# yaml-language-server: $schema={path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_check(capsys, file, tmp_path):
    assert out_of(capsys, "check", file) == f"{file} is right: it sets 2 options\n"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("sed: 1\ntrain:\n  lr: fast\n")
    assert main(["config", "check", str(wrong)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "it has 2 faults" in err
    assert "line 1 of wrong.yaml" in err
    assert "line 3 of wrong.yaml" in err
    assert main(["config", "check", str(wrong), "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shwo"], "there is no command 'shwo'. Did you mean 'show'?"),
        (["show", "--chnged"], "there is no option --chnged. Did you mean '--changed'?"),
        (["show", "--config", "gone.yaml"], "gone.yaml must be a file that can be read"),
        (["check", "gone.yaml"], "gone.yaml must be a file that can be read"),
        (["check"], "missing argument 'FILE'"),
        (["options", "lrr"], "none has 'lrr'. Did you mean 'train.lr'?"),
        (["schema", "--out", "gone/x.json"], "the folder of the output must exist"),
        (["show", "a.csv", "b.csv"], "must be KEY=VALUE, but 'b.csv' was given"),
    ],
)
def test_a_wrong_command_is_one_message_and_exit_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["config", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["show", "options", "schema", "check"])
def test_each_verb_has_help(verb, capsys):
    assert verb in out_of(capsys, "--help")
    assert f"assay config {verb}" in out_of(capsys, verb, "--help")


def test_nothing_that_trains_is_imported():
    code = (
        "import sys; from assay.cli import main\n"
        "for words in (['show', 'model=tabm'], ['options'], ['schema']): assert main(['config', *words]) == 0\n"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'onnxruntime') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
