"""Whatever is typed as an option or written in a config file: a configuration or one clear refusal, nothing else."""

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assay.cli import main
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, options
from assay.errors import ConfigError

KEYS = [option.key for option in options()]

WRONG = [
    ("train.lrr=3e-4", "unknown option 'train.lrr' was given. Did you mean 'train.lr'?"),
    ("trian.lr=1", "Did you mean 'train.lr'?"),
    ("TRAIN.LR=1", "Did you mean 'train.lr'?"),
    ("train=3", "train=3 sets the whole group"),
    ("model=mpl", "model.name must be one of auto, perceptron, mlp"),
    ("model=", "model= gives an empty value"),
    ("data.split=0.1", "Options of data.split: data.split.valid"),
    ("train.lr", "must be KEY=VALUE, but 'train.lr' was given"),
    ("", "must be KEY=VALUE"),
    ("=3", "must be KEY=VALUE"),
    ("train.lr=", "train.lr= gives an empty value"),
    ("train.lr=''", "gives an empty value"),
    ("train.lr=fast", "train.lr must be a number, above 0, at most 100, but train.lr=fast gives 'fast'. Highest"),
    ("train.epochs=-3", "train.epochs must be a whole number, at least 1, at most 100000"),
    ("train.epochs=3.5", "train.epochs must be a whole number"),
    ("train.epochs=0x10", "train.epochs must be a whole number"),
    ("train.lr=nan", "train.lr must be a number"),
    ("train.weight_decay=inf", "train.weight_decay must be a number, at least 0"),
    ("train.lr=null", "train.lr must be a number"),
    ("train.lr=true", "train.lr must be a number"),
    ("seed=true", "seed must be a whole number"),
    ("seed=[1", "seed=[1 gives '[1'"),
    ("seed={a:1}", "seed must be a whole number"),
    ("seed=1,2", "seed must have one value"),
    ("seed=range(1,3)", "seed must have one value"),
    ("seed=" + "9" * 5000, "seed must be a whole number"),
    ("seed=4294967296", "at most 4294967295"),
    ("seed=3 # three", "seed must be a whole number"),
    ("data.path=a=b", "unknown option 'data.path'"),
    ("model.name=a=b", "model.name must be one of auto, perceptron, mlp"),
    ("model.name=mpl", "Did you mean 'mlp'?"),
    ("model.name=\u00e9", "model.name must be one of auto, perceptron, mlp"),
    ("model.activation=ReLU", "Did you mean 'relu'?"),
    ("evaluate.baselines=linaer", "Did you mean 'linear'?"),
    ("evaluate.baselines=[linear", "evaluate.baselines must be a list of majority, linear, trees"),
    ("evaluate.baselines=null", "evaluate.baselines must be a list of"),
    ("budget=soon", "Examples: 60s, 10m, 1.5h"),
    ("budget=0", "a budget must be a time above 0"),
    ("budget=true", "budget must be a number"),
    ("preset=fast", "quick: 1 min"),
    ("+train.lr=1", "begins with '+'"),
    ("++train.lr=1", "begins with '+'"),
    ("~train.lr", "begins with '~'"),
    ("hydra.run.dir=x", "unknown option 'hydra.run.dir'"),
    ("presets=best", "Did you mean 'preset'?"),
    ("train.lr@other=1", "unknown option 'train.lr@other'"),
    ("table.target=y", "Use --target instead"),
    ("table.kinds=y", "Use --as COL=KIND instead"),
    ("data.split.valid=0.95", "valid + test must be below 1"),
    ("seed=${nothing}", "must compose"),
    ("seed=${", "seed must be a whole number"),
    ("seed=${oc.env:HOME}", "seed must be a whole number"),
]


@pytest.mark.parametrize(("override", "message"), WRONG, ids=[override[:30] for override, _ in WRONG])
def test_a_wrong_override_is_refused_in_plain_words(override, message):
    with pytest.raises(ConfigError) as caught:
        compose(overrides=[override])
    text = str(caught.value)
    assert message in text
    assert "hydra.cc" not in text
    assert len(text) < 700


#: What Hydra 1.3.8 answers with its grammar, its search path, or by taking it: each row of what was tried once.
TYPOS = [
    ("train.lrr=3e-4", "unknown option 'train.lrr' was given. Did you mean 'train.lr'?"),
    ("trian.lr=1", "unknown option 'trian.lr' was given. Did you mean 'train.lr'?"),
    ("model=tabn", "model=tabn gives 'tabn'. Did you mean 'tabm'?"),
    ("train.lr=fast", "train.lr must be a number, above 0, at most 100, but train.lr=fast gives 'fast'"),
    ("train.epochs=-3", "train.epochs must be a whole number, at least 1"),
    ("train.lr", "an override must be KEY=VALUE, but 'train.lr' was given. Example: train.lr=3e-4"),
    ("data.path=a=b", "unknown option 'data.path'"),
    ("seed=[1", "seed must be a whole number"),
    ("--lr", "there is no option --lr. Options of a run are KEY=VALUE, without dashes. Did you mean 'train.lr'?"),
    ("model.k=3", "Did you mean 'model.heads' (Answers of a tabm that share weights and are averaged)? It belongs to"),
]


@pytest.mark.parametrize(("typed", "message"), TYPOS, ids=[typed for typed, _ in TYPOS])
def test_a_typo_on_the_command_line_is_one_sentence_of_ours(typed, message, capsys, monkeypatch):
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    assert main(["config", "show", "data.csv", *(["--lr", "3"] if typed == "--lr" else [typed])]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not any(word in err.casefold() for word in ("hydra", "omegaconf", "+train", "traceback", "search path"))


def taken_or_refused(**given_to_compose):
    """The configuration, which must be valid, or None when it was refused in the one way there is."""
    try:
        config = compose(**given_to_compose)
    except ConfigError:
        return None
    assert RunConfig.model_validate(config.model_dump()) == config
    return config


@settings(max_examples=60)
@given(st.sampled_from([*KEYS, "train", "table.target", "x", "hydra"]), st.text(max_size=12))
@example("seed", "\x00")
@example("seed", "\\")
@example("evaluate.baselines", "]")
@example("preset", "{}")
@example("budget", "[]")
def test_any_value_is_taken_or_refused(key, value):
    config = taken_or_refused(overrides=[f"{key}={value}"])
    assert config is None or key in KEYS


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=40), st.text(st.sampled_from("seed: [train]{lr,1}\n-#&*!|>'\"%@`?$"), max_size=40)))
@example(b"seed: !!python/object/apply:os.system ['true']")
@example(b"<<: {seed: 1}")
@example(b"? ")
@example(b"seed: !!int x")
@example(b"seed: !!binary x")
@example(b"train: !!set {lr}")
def test_any_file_is_taken_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = taken_or_refused(file=path)
    assert config is None or config.table.target is None
