"""Rates of groups and the gaps between them: against fairlearn, by hand, and where there is nothing to measure."""

import numpy as np
import polars as pl
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints, Task
from assay.data.split.split import Split, SplitRecord
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.examine import (
    BY_LABEL,
    beyond_chance,
    examine_groups,
    fairness_of,
    giving,
    write_group_verdicts,
)
from assay.evaluate.fair.groups import MISSING, learn_cuts
from assay.ledger import Ledger, Outcome

CONFIG = EvaluateConfig(bootstrap=400)


def people(rows=800, seed=0, *, gap=0.0):
    """A table with two sensitive columns and a target; `gap` is how much likelier `b` is to be positive."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["a", "b"], rows)
    race = rng.choice(["u", "v", "w"], rows, p=[0.6, 0.3, 0.1])
    y = rng.random(rows) < 0.4 + gap * (sex == "b")
    return pl.DataFrame({"x": rng.normal(size=rows), "sex": sex, "race": race, "y": np.where(y, "yes", "no")})


def judged(frame, *, sensitive=("sex",), weight=None, group=None, drop=(), task=None):
    hints = Hints(target="y", sensitive=sensitive, weight=weight, group=group, drop=drop, positive=None, task=task)
    schema = infer(read(frame), hints)
    target = frame["y"].to_numpy()
    if schema.classes:
        target = np.array([schema.classes.index(str(value)) for value in frame["y"]])
    weights = None if weight is None else frame[weight].to_numpy().astype(float)
    return Rows("test", frame.drop("y"), target, weights, np.arange(len(frame))), schema


def of(frame, answers, *, config=CONFIG, **said):
    rows, schema = judged(frame, **said)
    return fairness_of(rows, schema, answers, config, cuts=learn_cuts(rows, schema), part="test", seed=3)


def shares(frame, seed=1, *, shift=0.0):
    """Probabilities of two classes that know a little, and give `b` more by `shift`."""
    rng = np.random.default_rng(seed)
    yes = 1 / (1 + np.exp(-(rng.normal(size=len(frame)) + 1.2 * (frame["y"] == "yes").to_numpy() - 0.6)))
    yes = np.clip(yes + shift * (frame["sex"] == "b").to_numpy(), 0.0, 1.0)
    return np.stack([1 - yes, yes], 1)


def gaps(attribute):
    return {gap.id: gap for gap in attribute.gaps}


@pytest.mark.parametrize("column", ["sex", "race"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rates_and_gaps_are_those_of_fairlearn(column, weighted):
    frame = people(gap=0.2).with_columns(w=pl.Series(np.random.default_rng(5).uniform(0.2, 3.0, 800)))
    answers = shares(frame, shift=0.1)
    found = of(frame, answers, sensitive=(column,), weight="w" if weighted else None)
    truth, chosen, groups = (frame["y"] == "yes").to_numpy(), answers[:, 1] >= 0.5, frame[column].to_numpy()
    weights = {"sample_weight": frame["w"].to_numpy()} if weighted else {}
    (attribute,) = found.attributes
    reference = {
        "selection_rate": fairlearn.selection_rate,
        "tpr": fairlearn.true_positive_rate,
        "fpr": fairlearn.false_positive_rate,
    }
    for group in attribute.groups:
        own = groups == group.name
        more = {name: each[own] for name, each in weights.items()}
        assert group.rows == own.sum()
        for name, measure in reference.items():
            assert group.rates[name].value == pytest.approx(measure(truth[own], chosen[own], **more))
        hits = np.average(chosen[own] == truth[own], weights=more.get("sample_weight"))
        assert group.rates["accuracy"].value == pytest.approx(hits)
    for name, measure in (
        ("demographic_parity_difference", fairlearn.demographic_parity_difference),
        ("demographic_parity_ratio", fairlearn.demographic_parity_ratio),
        ("equalised_odds_difference", fairlearn.equalized_odds_difference),
        ("equal_opportunity_difference", fairlearn.equal_opportunity_difference),
    ):
        gap = gaps(attribute)[name]
        assert gap.value == pytest.approx(measure(truth, chosen, sensitive_features=groups, **weights)), name
        assert gap.low <= gap.value <= gap.high


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4))
def test_what_holds_of_any_answers(seed, classes):
    rng = np.random.default_rng(seed)
    names = [f"k{place}" for place in range(classes)]
    frame = pl.DataFrame({
        "x": rng.normal(size=150), "sex": rng.choice(["a", "b", None], 150, p=[0.6, 0.3, 0.1]),
        "y": [*names, *rng.choice(names, 150 - classes)],
    })  # fmt: skip
    found = of(frame, rng.dirichlet(np.ones(classes), 150), config=EvaluateConfig(bootstrap=100, least_group=10))
    for attribute in found.attributes:
        assert sum(group.rows for group in attribute.groups) == 150
        for group in attribute.groups:
            for share in group.rates.values():
                assert share.value is None or share.low is None or share.low <= share.value <= share.high
        for gap in attribute.gaps:
            assert 0.0 <= gap.low <= gap.value <= gap.high
            assert 0.0 < gap.p_value <= 1.0
            assert gap.is_ratio or gap.lowest != gap.highest or gap.value == 0.0


def test_a_gap_that_is_there_is_beyond_chance_and_inside_its_interval():
    frame = people(3000, gap=0.3)
    yes = np.where(frame["sex"].to_numpy() == "b", 0.7, 0.4)
    chosen = np.random.default_rng(2).random(3000) < yes
    found = of(frame, np.stack([1.0 - chosen, chosen * 1.0], 1))
    gap = gaps(found.attributes[0])["demographic_parity_difference"]
    assert gap.low < 0.3 < gap.high
    assert (gap.lowest, gap.highest) == ("a", "b")
    # Two proportions of 1,500 rows each: 1.96 standard errors of their difference.
    assert gap.by_chance == pytest.approx(1.96 * np.sqrt(0.55 * 0.45 * 2 / 1500), rel=0.1)
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * np.sqrt((0.7 * 0.3 + 0.4 * 0.6) / 1500), rel=0.12)
    assert gap in beyond_chance(found, found.attributes[0])


def test_chance_is_found_beyond_chance_about_as_often_as_it_says():
    found_beyond = 0
    for seed in range(40):
        frame = people(300, seed)
        rows, schema = judged(frame, sensitive=("race",))
        chosen = np.random.default_rng(seed + 1000).random(300) < 0.5
        answers = np.stack([1.0 - chosen, chosen * 1.0], 1)
        config = EvaluateConfig(bootstrap=100, least_group=20)
        found = fairness_of(rows, schema, answers, config, cuts=(), part="test", seed=seed)
        found_beyond += any(gap.p_value < 0.05 for gap in found.attributes[0].gaps)
    assert found_beyond <= 6  # 2 are to be expected of 40, and more than 6 come in less than 1 % of cases


def test_crossings_follow_the_columns_and_missing_cells_are_a_group():
    frame = people().with_columns(sex=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(pl.col("sex")))
    found = of(frame, shares(frame.fill_null("a")), sensitive=("sex", "race"))
    assert [attribute.columns for attribute in found.attributes] == [("sex",), ("race",), ("sex", "race")]
    assert [group.name for group in found.attributes[0].groups] == ["a", "b", MISSING]
    crossed = {group.name: group.rows for group in found.attributes[2].groups}
    assert crossed["b, w"] == frame.filter(sex="b", race="w").height
    assert crossed[f"{MISSING}, u"] == frame.filter(pl.col("sex").is_null(), race="u").height


def test_small_groups_are_listed_and_make_no_gap():
    frame = people(400).with_columns(sex=pl.Series(["c"] * 5 + ["a"] * 195 + ["b"] * 200))
    answers = shares(frame)
    answers[:5] = [0.0, 1.0]
    found = of(frame, answers)
    (attribute,) = found.attributes
    assert [(group.name, group.is_counted) for group in attribute.groups] == [("a", True), ("b", True), ("c", False)]
    assert attribute.groups[2].rates["selection_rate"].value == 1.0
    assert all("c" not in (gap.lowest, gap.highest) for gap in attribute.gaps)


def test_numbers_are_cut_into_bands_of_training_rows():
    frame = people().with_columns(age=pl.Series(np.arange(800) % 80 + 10))
    rows, schema = judged(frame, sensitive=("age",))
    (cut,) = learn_cuts(rows, schema)
    assert cut.edges == (29.0, 49.0, 69.0)
    new = rows.at(np.arange(100))
    found = fairness_of(new, schema, shares(frame)[:100], CONFIG, cuts=(cut,), part="new")
    (attribute,) = found.attributes
    assert [group.name for group in attribute.groups] == ["up to 29", "above 29 to 49", "above 49 to 69", "above 69"]
    assert attribute.groups[0].rows == (frame["age"][:100] <= 29).sum()
    assert attribute.is_banded


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["one"] * 800, "one value"),
        ([f"g{place % 500}" for place in range(800)], "500 values"),
        (["a"] * 790 + ["b"] * 10, "fewer than two groups have the 30 rows"),
    ],
)
def test_what_cannot_be_compared_is_a_gap_with_a_name(cells, told):
    frame = people().with_columns(part=pl.Series(cells))
    found = of(frame, shares(frame), sensitive=("part",))
    (attribute,) = found.attributes
    assert told in attribute.problem
    assert not attribute.gaps
    ledger = Ledger()
    write_group_verdicts(found, ledger)
    assert ledger["evaluate.group-rates"].outcome is Outcome.WARNED
    assert told in ledger["evaluate.group-rates"].reason
    assert ledger["evaluate.group-gaps"].outcome is Outcome.NOT_APPLICABLE


def test_test_rows_without_a_positive_have_no_true_positive_rate():
    frame = people().with_columns(y=pl.Series(["yes"] * 2 + ["no"] * 798))
    rows, schema = judged(frame)
    rows = rows.at(np.arange(2, 800))
    found = fairness_of(rows, schema, shares(frame)[2:], CONFIG, cuts=(), part="test")
    (attribute,) = found.attributes
    assert all(group.rates["tpr"].value is None for group in attribute.groups)
    assert "equal_opportunity_difference" not in gaps(attribute)
    assert gaps(attribute)["equalised_odds_difference"].measure == "fpr"


def test_a_regression_has_residuals_and_errors_by_group():
    rng = np.random.default_rng(0)
    frame = people().with_columns(y=pl.Series(rng.normal(size=800)))
    off = np.where(frame["sex"].to_numpy() == "b", 0.5, -0.25)
    found = of(frame, frame["y"].to_numpy() + off, sensitive=("sex",))
    (attribute,) = found.attributes
    assert [group.rates["residual"].value for group in attribute.groups] == pytest.approx([-0.25, 0.5])
    assert [group.rates["mae"].value for group in attribute.groups] == pytest.approx([0.25, 0.5])
    assert gaps(attribute)["residual_difference"].value == pytest.approx(0.75)
    assert gaps(attribute)["error_difference"].value == pytest.approx(0.25)


def test_classes_are_measured_one_against_the_rest():
    rng = np.random.default_rng(0)
    frame = people().with_columns(y=pl.Series(rng.choice(["p", "q", "r"], 800)))
    answers = rng.dirichlet(np.ones(3), 800)
    found = of(frame, answers, sensitive=("sex",))
    (attribute,) = found.attributes
    chosen, truth, sex = answers.argmax(1), frame["y"].to_numpy(), frame["sex"].to_numpy()
    differences = []
    for place, name in enumerate(["p", "q", "r"]):
        rates = [fairlearn.selection_rate(truth[sex == g], chosen[sex == g] == place, pos_label=True) for g in "ab"]
        assert [group.rates[f"selection_rate:{name}"].value for group in attribute.groups] == pytest.approx(rates)
        differences.append(abs(rates[0] - rates[1]))
    assert gaps(attribute)["demographic_parity_difference"].value == pytest.approx(max(differences))
    assert attribute.groups[0].rates["accuracy"].value == pytest.approx(
        (np.array(["p", "q", "r"])[chosen] == truth)[sex == "a"].mean()
    )


def test_rows_that_belong_together_make_wider_intervals():
    once = people(300)
    frame = pl.concat([once.with_columns(person=pl.Series([f"p{i}" for i in range(300)]))] * 6)
    answers = np.tile(shares(once), (6, 1))
    alone = of(frame.drop("person"), answers).attributes[0]
    together = of(frame, answers, group="person").attributes[0]
    wide, narrow = (gaps(each)["demographic_parity_difference"] for each in (together, alone))
    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_equal_weights_change_nothing_but_the_way_of_drawing():
    frame = people(gap=0.2).with_columns(w=pl.Series([2.0] * 800))
    answers = shares(frame)
    plain, weighted = (
        gaps(of(frame, answers, weight=weight).attributes[0])["demographic_parity_difference"] for weight in (None, "w")
    )
    assert weighted.value == pytest.approx(plain.value)
    assert weighted.high == pytest.approx(plain.high, abs=0.02)
    assert weighted.by_chance == pytest.approx(plain.by_chance, rel=0.15)


def test_dropped_columns_are_measured_all_the_same():
    frame = people(gap=0.2)
    rows, schema = judged(frame, drop=("sex",))
    assert "sex" not in {column.name for column in schema.features}
    split = Split(rows, rows, None, SplitRecord(policy="p", seed=0, train_rows=1, valid_rows=1, test_rows=0,
                                                sealed_sha256=None))  # fmt: skip
    ledger = Ledger()
    found = examine_groups(split, rows, schema, shares(frame, shift=0.3), CONFIG, seed=0, ledger=ledger)
    assert found.part == "valid"
    assert found.attributes[0].columns == ("sex",)
    assert ledger["evaluate.group-rates"].outcome is Outcome.APPLIED
    assert ledger["evaluate.group-gaps"].outcome is Outcome.WARNED
    assert "larger than chance" in ledger["evaluate.group-gaps"].reason


def test_without_sensitive_columns_there_is_nothing_and_the_ledger_says_so():
    rows, schema = judged(people(), sensitive=())
    ledger = Ledger()
    split = Split(rows, rows, None, SplitRecord(policy="p", seed=0, train_rows=1, valid_rows=1, test_rows=0,
                                                sealed_sha256=None))  # fmt: skip
    assert examine_groups(split, rows, schema, np.empty((800, 2)), CONFIG, seed=0, ledger=ledger) is None
    assert ledger["evaluate.group-rates"].outcome is Outcome.NOT_APPLICABLE


def test_columns_that_new_rows_lack_are_named():
    rows, schema = judged(people(), sensitive=("sex", "race"))
    found = fairness_of(
        rows, schema, shares(people()), CONFIG, cuts=(), part="new", absent=("race",)
    )  # fmt: skip
    assert [attribute.problem for attribute in found.attributes] == ["", "these rows do not have the column"]


def topics(names, rows=600, seed=4):
    """A table with a sensitive column and labels; the second label is missed in half of the rows of `b`."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["a", "b"], rows)
    truth = rng.integers(0, 2, (rows, len(names)))
    frame = pl.DataFrame({"sex": sex, "y": [[n for n, has in zip(names, row, strict=True) if has] for row in truth]})
    answers = np.where(truth > 0, 0.8, 0.2)
    missed = (sex == "b") & (truth[:, 1] > 0) & (rng.random(rows) < 0.5)
    answers[missed, 1] = 0.1
    schema = infer(
        read(pl.DataFrame({"sex": sex, "y": rng.choice(names, rows)})), Hints(target="y", sensitive=("sex",))
    )
    schema = schema.model_copy(update={"task": Task.MULTILABEL, "classes": tuple(names)})
    return Rows("test", frame.drop("y"), truth, None, np.arange(rows)), schema, answers, missed


def test_each_label_is_compared_by_itself():
    rows, schema, answers, missed = topics(["red", "green", "blue"])
    found = fairness_of(
        rows, schema, answers, CONFIG, cuts=(), part="test", decides=giving([0.5] * 3), decided=BY_LABEL
    )
    (attribute,) = found.attributes
    a, b = attribute.groups
    is_b, green = rows.cells["sex"].to_numpy() == "b", rows.target[:, 1] > 0
    assert b.rates["tpr:green"].value == pytest.approx(1.0 - missed[is_b & green].mean())
    assert b.rates["exact"].value == pytest.approx(1.0 - missed[is_b].mean())
    assert b.rates["label_accuracy"].value == pytest.approx(1.0 - missed[is_b].mean() / 3.0)
    assert b.rates["labels_had"].value == pytest.approx(rows.target[is_b].sum(1).mean())
    assert (a.rates["tpr:green"].value, a.rates["exact"].value, a.rates["fpr:red"].value) == (1.0, 1.0, 0.0)
    widest = gaps(attribute)["equalised_odds_difference"]
    assert (widest.measure, widest.lowest, widest.highest) == ("tpr:green", "b", "a")
    assert widest in beyond_chance(found, attribute)
    assert gaps(attribute)["demographic_parity_difference"].measure.startswith("selection_rate:")


def test_many_labels_have_no_rates_of_their_own():
    rows, schema, answers, _ = topics([f"label {at}" for at in range(12)])
    found = fairness_of(rows, schema, answers, CONFIG, cuts=(), part="test", decides=giving([0.5] * 12))
    assert {measure.id for measure in found.measures} == {
        "exact", "label_accuracy", "labels_had", "labels_given", "calibration",
    }  # fmt: skip
    assert "no rates of single labels" in found.decided
