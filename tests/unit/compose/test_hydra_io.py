import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import getbase
from omegaconf import OmegaConf

from assay.compose.hydra_io import compose, preset_prices
from assay.compose.run_config import PRESETS, RunConfig, flat
from assay.errors import ConfigError


def changed(config):
    """The options that differ from the defaults."""
    return {key: value for key, value in flat(config).items() if flat(RunConfig()).get(key) != value}


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "exp.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_nothing_given_is_the_defaults():
    assert compose() == RunConfig()
    assert compose("quick") == RunConfig()


def test_presets_are_priced_and_differ():
    assert changed(compose("quick")) == {}
    assert changed(compose("standard")) == {"preset": "standard", "budget": 300.0}
    assert changed(compose("best")) == {"preset": "best", "budget": 1800.0}
    assert list(preset_prices()) == list(PRESETS)
    assert [price.partition(":")[0] for price in preset_prices().values()] == ["1 min", "5 min", "30 min"]


def test_defaults_give_way_to_preset_then_file_then_overrides(file):
    path = file("train:\n  epochs: 7\n  patience: 3\nmodel.width: 64\n")
    config = compose("best", path, ["train.patience=2", "seed=5"])
    assert config.budget == 1800.0  # the preset
    assert config.train.epochs == 7  # the file over the preset
    assert config.model.width == 64
    assert config.train.patience == 2  # the override over the file
    assert config.seed == 5
    assert config.train.batch == RunConfig().train.batch


def test_a_preset_comes_from_override_argument_or_file(file):
    path = file("preset: standard\n")
    assert compose(file=path).budget == 300.0
    assert compose("best", path).preset == "best"
    assert compose(file=path, overrides=["preset=best"]).budget == 1800.0
    assert compose("best", None, ["preset=best"]).preset == "best"
    with pytest.raises(ConfigError, match="--preset quick and preset=best"):
        compose("quick", None, ["preset=best"])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.lr=3e-4", {"train.lr": 3e-4}),
        ("train.epochs=1e3", {"train.epochs": 1000}),
        ("budget=10m", {"budget": 600.0}),
        ("budget=none", {"budget": None}),
        ("evaluate.baselines=linear,trees", {"evaluate.baselines": "linear,trees"}),
        ("evaluate.baselines=[trees]", {"evaluate.baselines": "trees"}),
        ("evaluate.baselines=linear", {"evaluate.baselines": "linear"}),
        ("model.norm=batch", {"model.norm": "batch"}),
        ("data.encode.scale=none", {"data.encode.scale": "none"}),
        (" seed = 3", {"seed": 3}),
        ("seed=${train.epochs}", {"seed": RunConfig().train.epochs}),
    ],
)
def test_hydras_grammar_gives_the_values(override, expected):
    assert changed(compose(overrides=[override])) == expected


def test_a_file_is_read_with_its_table_section(file):
    path = file(
        "budget: 10m\ntable:\n  data: ${x}.csv\n  target: 'no'\n  positive: 1\ntrain:\nevaluate: {baselines: linear}\n"
    )
    config = compose(file=path)
    assert config.budget == 600.0
    assert (config.table.data, config.table.target, config.table.positive) == ("${x}.csv", "no", "1")
    assert config.evaluate.baselines == ("linear",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  lrr: 1\n", "unknown option 'train.lrr' was given (line 2 of exp.yaml). Did you mean 'train.lr'?"),
        ("seed: 1\ntrian:\n  lr: 1\n", "(line 2 of exp.yaml)"),
        ("train:\n  epochs: -3\n", "at least 1, at most 100000, but line 2 of exp.yaml gives -3"),
        ("train: 3\n", "line 1 of exp.yaml sets the whole group"),
        ("train:\n  lr: {a: 1}\n", "train.lr must be a number"),
        ("train:\n  lr: [1]\n", "train.lr must be a number"),
        ("train:\n  lr:\n", "train.lr must be a number"),
        ("train:\n  lr: 1\ntrain.lr: 2\n", "train.lr is there twice, the second time in line 3 of exp.yaml"),
        ("seed: true\n", "seed must be a whole number"),
        ("seed: ''\n", "gives an empty value"),
        ("budget: soon\n", "Examples: 60s"),
        ("preset: fast\n", "the preset must be one of quick, standard, best"),
        ("preset: [best]\n", "the preset must be one of quick, standard, best"),
        ("seed: ${nothing}\n", "must compose"),
        ("seed: ${\n", "must compose"),
        ("- 1\n", "it holds a list"),
        ("words\n", "it holds the value 'words'"),
        ("table: a.csv\n", "line 1 of exp.yaml gives 'a.csv'"),
        ("table:\n  taget: y\n", "Did you mean 'target'?"),
        ("data:\n  split:\n    valid: 0.95\n", "valid + test must be below 1"),
        ("hydra:\n  run: {dir: x}\n", "unknown option 'hydra'"),
        ("defaults: [a]\n", "unknown option 'defaults'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(file, text, message):
    with pytest.raises(ConfigError) as caught:
        compose(file=file(text))
    assert message in str(caught.value)


def test_an_option_may_be_given_once():
    with pytest.raises(ConfigError, match="given as 'seed=1' and 'seed=2'"):
        compose(overrides=["seed=1", "seed=2"])


def test_a_host_applications_hydra_is_left_as_it_was(tmp_path):
    (tmp_path / "host.yaml").write_text("mine: 1\n")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        hydra, base, stored = GlobalHydra.instance().hydra, getbase(), dict(ConfigStore.instance().repo)
        assert compose("standard").budget == 300.0
        assert GlobalHydra.instance().hydra is hydra
        assert getbase() == base
        assert dict(ConfigStore.instance().repo) == stored
        assert hydra_compose("host") == {"mine": 1}
    assert not GlobalHydra.instance().is_initialized()
    OmegaConf.clear_resolver("now")
    assert compose("best").preset == "best"
    assert not OmegaConf.has_resolver("now")
