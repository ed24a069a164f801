from typing import get_args

import pytest

from assay.compose.check import known_options, nearest_option
from assay.compose.hydra_io import compose
from assay.compose.naming import CALLED_ELSEWHERE, CHOICE_OF, belonging, families_of, listed
from assay.errors import ConfigError
from assay.models.config import Family


def test_what_is_named_exists():
    assert set(CALLED_ELSEWHERE.values()) | set(CHOICE_OF.values()) <= set(known_options())
    names = {key.rpartition(".")[2] for key in known_options()}
    assert not set(CALLED_ELSEWHERE) & names  # one that exists needs no other name


def test_an_option_belongs_to_networks():
    assert families_of("model.heads") == ("tabm", "tabm_mini")
    assert families_of("model.name") == ()
    assert families_of("train.lr") == ()
    assert set(families_of("model.members")) == set(get_args(Family)) - {"timm"}
    assert belonging("model.heads") == "belongs to tabm and tabm_mini"
    assert belonging("model.members") == "belongs to every network but timm"
    assert belonging("seed") == ""


def test_names_in_a_row():
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("model.k", "'model.heads' (Answers of a tabm"),
        ("batch_size", "'train.batch'"),
        ("train.max-epochs", "'train.epochs'"),
        ("train.optimizer", "'train.optimiser'"),
        ("hidden_size", "'model.width'"),
        ("random_state", "'seed'"),
    ],
)
def test_what_others_call_it_is_known(typed, meant):
    assert nearest_option(typed).startswith(f"Did you mean {meant}")


def test_k_belongs_to_tabm():
    with pytest.raises(ConfigError, match="It belongs to tabm and tabm_mini") as caught:
        compose(overrides=["model=mlp", "model.k=3"])
    assert "unknown option 'model.k'" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        compose(overrides=["model=mlp", "model.heads=3"])
    assert str(caught.value) == (
        "model.heads belongs to tabm and tabm_mini, but model.heads=3 is given for mlp (model=mlp). "
        "Leave it out, or choose another network with model=NAME."
    )
    assert compose(overrides=["model=tabm", "model.heads=3"]).model.heads == 3
    assert compose(overrides=["model.heads=3"]).model.name == "auto"


def test_an_option_must_suit_every_network_that_is_combined():
    assert compose(overrides=["ensemble=tabm,tabm_mini", "model.heads=4"]).ensemble.recipes == ("tabm", "tabm_mini")
    with pytest.raises(ConfigError, match="is given for mlp"):
        compose(overrides=["ensemble=tabm,mlp", "model.heads=4"])


def test_a_group_is_set_by_a_word(tmp_path):
    assert compose(overrides=["model=tabm"]) == compose(overrides=["model.name=tabm"])
    assert compose(overrides=["track=wandb"]).track.to == ("wandb",)
    path = tmp_path / "exp.yaml"
    path.write_text("model: realmlp\ntrack: [wandb, mlflow]\n")
    config = compose(file=path)
    assert (config.model.name, config.track.to) == ("realmlp", ("wandb", "mlflow"))
    assert compose(file=path, overrides=["model=mlp"]).model.name == "mlp"
    with pytest.raises(ConfigError, match=r"given as 'model=mlp' and 'model\.name=tabm'"):
        compose(overrides=["model=mlp", "model.name=tabm"])
    with pytest.raises(ConfigError, match=r"model=tabn gives 'tabn'\. Did you mean 'tabm'\?"):
        compose(overrides=["model=tabn"])
