import pytest
from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import MissingMandatoryValue, OmegaConf

from assay.compose.hydra_io import compose
from assay.compose.hydra_store import register, run_config, structured
from assay.compose.run_config import options
from assay.errors import ConfigError


@pytest.fixture
def hydra():
    """Hydra as a host application has it, with our options registered; its store is left as it was."""
    GlobalHydra.instance().clear()
    state = Singleton.get_state()
    store = ConfigStore.instance()
    repo = {**store.repo}
    register()
    with initialize(version_base="1.3", config_path=None):
        yield lambda *overrides, name="assay": hydra_compose(name, overrides=list(overrides))
    store.repo = repo
    Singleton.set_state(state)
    GlobalHydra.instance().clear()


def test_the_structured_config_has_every_option():
    config = OmegaConf.structured(structured())
    for option in options():
        parts = option.key.split(".")
        node = config
        for part in parts[:-1]:
            node = node[part]
        assert parts[-1] in list(node.keys()), option.key  # `in` says no to what is missing
    assert OmegaConf.is_missing(config, "budget")
    assert OmegaConf.is_missing(config.train, "lr")
    assert config.evaluate.confidence == 0.95


def test_what_hydra_composes_is_what_we_compose(hydra):
    assert run_config(hydra()) == compose()
    made = run_config(hydra("model=tabm", "train.lr=3e-4", "train.batch=full", "budget=10m", "table.target=y"))
    assert (made.model.name, made.train.lr, made.train.batch, made.budget) == ("tabm", 3e-4, "full", 600.0)
    assert made.table.target == "y"
    assert made.train.model_fields_set == {"lr", "batch"}  # the recipe decides the rest
    assert run_config(hydra("preset=best")).budget == 1800.0
    assert run_config(hydra("evaluate.baselines=[linear]", "budget=90")).evaluate.baselines == ("linear",)
    assert run_config(hydra("budget=none")).budget is None
    assert run_config(hydra("+table.kinds.age=number")).table.kinds == {"age": "number"}
    assert run_config(hydra("train.batch=64", "seed=${train.batch}")).seed == 64


def test_names_and_types_are_hydras_to_check(hydra):
    for wrong in ("train.lrr=1", "train.optimiser=adamm", "seed=x", "model=tabn"):
        with pytest.raises(HydraException):
            hydra(wrong)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs=-3", "train.epochs must be a whole number, at least 1"),
        ("budget=soon", "Examples: 60s, 10m"),
        ("data.split.valid=0.95", "valid + test must be below 1"),
        ("model.heads=3", "model.heads belongs to tabm and tabm_mini"),
    ],
)
def test_ranges_and_what_fits_together_are_ours(hydra, override, message):
    with pytest.raises(ConfigError) as caught:
        run_config(hydra("model=mlp", override))
    assert message in str(caught.value)
    assert "the Hydra configuration" in str(caught.value) or "budget" in override or "split" in override


def test_ours_is_a_part_of_a_config_of_the_users_own(hydra):
    ConfigStore.instance().store("own", {"defaults": ["assay@fit", "_self_"], "mine": 1, "fit": {"seed": 3}})
    config = hydra("fit.train.lr=0.1", "model@fit.model=tabm", name="own")
    assert config.mine == 1
    made = run_config(config.fit)
    assert (made.seed, made.train.lr, made.model.name) == (3, 0.1, "tabm")
    with pytest.raises(ConfigError, match="unknown option 'mine'"):
        run_config(OmegaConf.merge({"mine": 1}))


def test_without_choices_a_group_of_the_users_own_stays(hydra):
    register("plain", choices=False)
    assert run_config(hydra("model.name=tabm", name="plain")).model.name == "tabm"


def test_what_is_no_configuration_is_refused(hydra):
    with pytest.raises(ConfigError, match=r"run_config\(config\.fit\)"):
        run_config({"seed": 1})
    with pytest.raises(ConfigError, match="every value of the configuration must be known"):
        run_config(OmegaConf.create({"seed": "${nothing}"}))
    with pytest.raises(MissingMandatoryValue):
        _ = hydra().train.lr


def test_composing_inside_a_job_leaves_hydra_as_it_is(hydra):
    before = GlobalHydra.instance().hydra
    run_config(hydra())
    assert GlobalHydra.instance().hydra is before
