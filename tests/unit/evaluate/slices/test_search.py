"""The search for weak subgroups: planted ones are found, none where losses are noise, and pairs only where they add."""

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.slices.conditions import written
from assay.evaluate.slices.row_values import RowValues
from assay.evaluate.slices.search import atoms_of, search

ROWS = 1500


def table(seed):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": rng.uniform(20, 80, ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
            "job": rng.choice(["a", "b", "c", "d"], ROWS),
            "hours": rng.normal(40, 10, ROWS),
            "y": rng.choice(["yes", "no"], ROWS),
        }
    )


def found_in(frame, losses, level=0.05, seed=0):
    schema = infer(read(frame), Hints(target="y"))
    rows = Rows("valid", frame.drop("y"), np.zeros(len(frame), np.int64), None, np.arange(len(frame)))
    values = RowValues(rows, schema)
    atoms = atoms_of(values, schema)
    masks = np.stack([values.holds(atom.condition) for atom in atoms])
    made = search(masks, [atom.column for atom in atoms], losses, smallest=30, level=level, seed=seed)
    words = [written([clause for at in one.atoms for clause in atoms[at].condition], schema) for one in made.found]
    return made, words


def test_a_planted_pair_comes_first():
    frame, rng = table(0), np.random.default_rng(1)
    inside = ((frame["sex"] == "F") & (frame["job"] == "b")).to_numpy()
    losses = rng.exponential(np.where(inside, 1.0, 0.3))
    made, words = found_in(frame, losses)
    assert set(words[0].split(" & ")) == {"sex = F", "job = b"}
    best = made.found[0]
    assert best.rows == inside.sum()
    assert best.excess == pytest.approx(losses[inside].mean() / losses.mean() - 1)
    # The statistic of a permutation test, by hand.
    share = inside.mean()
    spread = losses.std() * np.sqrt(inside.sum() * (1 - share) * ROWS / (ROWS - 1))
    assert best.z == pytest.approx((losses[inside] - losses.mean()).sum() / spread, rel=1e-4)
    assert best.p_value == 1 / 200


def test_a_weak_column_is_not_told_again_with_every_other():
    frame, rng = table(2), np.random.default_rng(3)
    inside = (frame["sex"] == "F").to_numpy()
    _, words = found_in(frame, rng.exponential(np.where(inside, 0.6, 0.3)))
    assert words == ["sex = F"]


def test_noise_is_seldom_taken_for_a_weak_subgroup():
    runs = [found_in(table(seed), np.random.default_rng(seed + 50).exponential(1.0, ROWS))[1] for seed in range(20)]
    # At a level of 5 % more than 4 of 20 happen once in 400 times.
    assert sum(bool(words) for words in runs) <= 4


def test_equal_losses_and_tiny_tables_find_nothing():
    frame = table(0)
    assert found_in(frame, np.ones(ROWS))[0].candidates == 0
    small, _ = found_in(frame.head(40), np.random.default_rng(0).random(40))
    assert small.found == ()


def test_bands_hold_each_known_number_once():
    frame = table(5).with_columns(pl.when(pl.col("age") > 70).then(None).otherwise(pl.col("age")).alias("age"))
    schema = infer(read(frame), Hints(target="y"))
    values = RowValues(Rows("valid", frame.drop("y"), np.zeros(ROWS, np.int64), None, np.arange(ROWS)), schema)
    own = [atom for atom in atoms_of(values, schema) if atom.condition[0].name == "age"]
    quarters, (below, above, missing) = own[:4], (own[4], own[5], own[6])
    assert sum(values.holds(atom.condition).astype(int) for atom in (*quarters, missing)).tolist() == [1] * ROWS
    known = frame["age"].is_not_null().sum()
    for tenth in (below, above):
        assert values.holds(tenth.condition).sum() / known == pytest.approx(0.1, abs=0.01)
