"""The first trials of a study, and what samplers find, on the table of settings that assay itself has judged."""

import csv
import importlib.util
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optuna")

from assay.search.study.space import Parameter, Space
from assay.search.study.starts import MOST, first_settings
from assay.search.study.study import Limits
from assay.train.budget import Budget
from assay.train.recipes import RECIPES
from assay.train.watch import Unwatched

ROOT = Path(__file__).resolve().parents[4]
TABLE = ROOT / "benchmarks" / "portfolio.jsonl"
CHOSEN = ROOT / "src" / "assay" / "search" / "study" / "portfolio.csv"
FAMILIES = ("mlp", "realmlp", "resnet")

_spec = importlib.util.spec_from_file_location("studies", Path(__file__).with_name("studies.py"))
studies = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(studies)


def whole_space(families=FAMILIES):
    """The rates, decays, dropout and shape of families, with what each has by itself."""
    own = {name: RECIPES[name] for name in families}

    def usual(part, name):
        return {family: getattr(getattr(each, part), name) for family, each in own.items()}

    return Space(
        parameters=(
            Parameter(name="model.name", key="model.name", choices=families, usual={each: each for each in families}),
            Parameter(name="model.width", key="model.width", choices=(64, 128, 256, 512), ordered=True,
                      usual=usual("model", "width")),
            Parameter(name="model.layers", key="model.layers", choices=(1, 2, 3, 4), ordered=True,
                      usual=usual("model", "layers")),
            Parameter(name="train.lr", key="train.lr", low=1e-5, high=0.5, scale="log", usual=usual("binary", "lr")),
            Parameter(name="train.weight_decay", key="train.weight_decay", low=1e-7, high=10.0, scale="log",
                      usual={family: max(each.binary.weight_decay, 1e-4) for family, each in own.items()}),
            Parameter(name="model.dropout", key="model.dropout", low=0.0, high=0.5, usual=usual("model", "dropout")),
        ),
        families=families,
        known={each: {} for each in families},
    )  # fmt: skip


def test_a_study_begins_with_the_families_own_and_then_what_does_well_elsewhere():
    space = whole_space()
    found = first_settings(space)
    assert [origin for _, origin in found] == [f"default of {each}" for each in FAMILIES] + ["portfolio"] * MOST
    assert [setting["model.name"] for setting, _ in found] == [*FAMILIES, *FAMILIES]  # in turn
    with CHOSEN.open(encoding="utf-8", newline="") as file:
        first = next(row for row in csv.DictReader(file) if row["family"] == "mlp" and row["rank"] == "1")
    own, learned = found[0][0], found[len(FAMILIES)][0]
    factor = float(first["rate"] or 1.0)
    assert learned["train.lr"] == pytest.approx(own["train.lr"] * factor, rel=1e-9)
    if first["width"]:
        assert learned["model.width"] == int(first["width"])
    if first["dropout"]:
        assert learned["model.dropout"] == pytest.approx(float(first["dropout"]))


def test_a_family_of_which_no_table_tells_begins_with_changes_of_its_own():
    found = first_settings(whole_space(("ft_transformer",)))
    rate = RECIPES["ft_transformer"].binary.lr
    assert [setting["train.lr"] / rate for setting, _ in found] == pytest.approx([1.0, 3.0, 1 / 3, 0.5])


@pytest.fixture(scope="module")
def judged():
    """By table: settings as points of the unit cube with their families, and their losses in units of the table's."""
    rows = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    found = {}
    for data in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == data and row["value"] is not None]
        values = np.array([row["value"] for row in own])
        unit = max(np.median(values) - values.min(), 1e-12)
        points = [(row["setting"]["family"], *place(described(row["setting"]))) for row in own]
        found[data] = points, ((values - values.min()) / unit).clip(max=3.0)
    return found


def described(setting):
    own = RECIPES[setting["family"]]
    return {
        "model.width": setting.get("width", own.model.width),
        "model.layers": setting.get("layers", own.model.layers),
        "train.lr": own.binary.lr * setting.get("rate", 1.0),
        "train.weight_decay": max(own.binary.weight_decay, 1e-4) * setting.get("decay", 1.0),
        "model.dropout": setting.get("dropout", own.model.dropout),
    }


def place(options):
    return (
        math.log2(options["model.width"] / 64) / 3, (options["model.layers"] - 1) / 3,
        math.log10(options["train.lr"] / 1e-5) / 4.7, math.log10(max(options["train.weight_decay"], 1e-7) / 1e-7) / 8,
        options["model.dropout"] / 0.5,
    )  # fmt: skip


def surface(points, losses):
    """The loss of any setting: a mean of those judged, the near ones of its family counting most."""
    families, cube = np.array([each[0] for each in points]), np.array([each[1:] for each in points])

    def loss(trial):
        options = trial.options
        apart = np.square(cube - np.array(place(options))).sum(axis=1)
        near = np.exp(-apart / 0.05) * (families == options["model.name"]) + 1e-9
        return float(near @ losses / near.sum())

    return loss


def best_after(folder, loss, kind, seed, count):
    folder.mkdir()
    made = studies.study(folder, studies.Formula(value=loss), kind=kind, space=whole_space(), seed=seed)
    made.run(Limits(count, Budget(None)), Unwatched())
    values = [each.outcome.value for _, each in sorted(made.tried.items())]
    return np.minimum.accumulate(values)


def test_with_texts_to_search_each_family_begins_with_and_without_them_and_the_portfolio_without():
    plain = whole_space(("realmlp", "mlp"))
    reads = Parameter(name="model.reads_texts", key="model.reads_texts", choices=(False, True),
                      usual={"realmlp": True, "mlp": True})  # fmt: skip
    found = first_settings(plain.model_copy(update={"parameters": (*plain.parameters, reads)}))
    begun = [(setting["model.name"], setting["model.reads_texts"], origin) for setting, origin in found]
    assert begun[:4] == [
        ("realmlp", True, "default of realmlp"), ("mlp", True, "default of mlp"),
        ("realmlp", False, "default of realmlp without texts"), ("mlp", False, "default of mlp without texts"),
    ]  # fmt: skip
    without = [{**setting, "model.reads_texts": False} for setting, _ in first_settings(plain)]
    assert [setting for setting, _ in found[4:]] == without[2:]


def test_families_that_take_seconds_begin_with_plain_numbers_too():
    plain = whole_space(("realmlp", "mlp"))
    numbers = Parameter(name="model.numbers", key="model.numbers", choices=("piecewise", "plain"),
                        usual={"realmlp": "piecewise", "mlp": "piecewise"})  # fmt: skip
    found = first_settings(plain.model_copy(update={"parameters": (*plain.parameters, numbers)}))
    assert [origin for _, origin in found] == [
        "default of realmlp", "default of mlp", "default of mlp on plain numbers", *["portfolio"] * MOST,
    ]  # fmt: skip
    assert found[2][0] == {**found[1][0], "model.numbers": "plain"}


def test_tpe_finds_more_than_chance_on_surfaces_of_settings_that_were_judged(judged, tmp_path):
    lost = {"tpe": [], "random": []}
    for number, (points, losses) in enumerate(judged.values()):
        loss = surface(points, losses)
        for kind, found in lost.items():
            found.append(best_after(tmp_path / f"{kind}{number}", loss, kind, number, 30)[-1])
    assert statistics.fmean(lost["tpe"]) < statistics.fmean(lost["random"])


def test_what_the_study_begins_with_is_better_than_the_defaults_alone(judged):
    gained = []
    settings = first_settings(whole_space())
    for points, losses in judged.values():
        loss = surface(points, losses)
        values = [loss(_Asked(setting)) for setting, _ in settings]
        gained.append(min(values[: len(FAMILIES)]) - min(values))
    assert statistics.fmean(gained) > 0.0


class _Asked:
    def __init__(self, options):
        self.options = options
