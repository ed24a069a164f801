"""Trees as tensors answer as scikit-learn's boosting does, by hand and against it."""

import numpy as np
import pytest
import torch

from assay.data.encoding.encode import Encoded, Layout
from assay.models.trees import Forest, Trees
from assay.train.families.booster import Booster, Columns, Learned

LAYOUT = Layout(numbers=3, extras=2, vocabularies=(6, 300, 40))


def rows_of(count: int, seed: int, *, unseen: bool = False) -> Encoded:
    """Numbers on a coarse grid, so that many lie near thresholds; `unseen` brings a code that training rows lack."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(-20, 20, (count, 3), generator=generator).float() / 7.0
    extras = torch.randint(0, 2, (count, 2), generator=generator).float()
    sizes = LAYOUT.vocabularies
    columns = [torch.randint(0 if unseen else 1, size, (count,), generator=generator) for size in sizes]
    return Encoded(numbers, extras, torch.stack(columns, 1).int())


def targets_of(rows: Encoded, kind: str, seed: int) -> np.ndarray:
    noise = torch.randn(len(rows), generator=torch.Generator().manual_seed(seed))
    codes = rows.codes
    signal = rows.numbers[:, 0] * rows.extras[:, 1] + (codes[:, 0] % 2) + (codes[:, 2] % 3) - codes[:, 1] / 150
    values = (signal + 0.3 * noise).numpy()
    cuts = {"binary": [0.5], "multiclass": [-0.5, 0.5, 1.5]}
    return np.digitize(values, cuts[kind]).astype(np.int64) if kind in cuts else values.astype(np.float32)


def learned(kind: str, seed: int, rows: int = 400) -> Learned:
    inputs = rows_of(rows, seed)
    return Learned(Columns.of(LAYOUT).matrix(inputs), targets_of(inputs, kind, seed), None)


def grown(kind: str, rounds: int = 30) -> Booster:
    booster = Booster(learned(kind, 0), learned(kind, 1, 150), Columns.of(LAYOUT), rate=0.1, most=rounds, seed=0)
    booster.grow(rounds)
    return booster


def raw_of(booster: Booster, rows: Encoded, outputs: int) -> np.ndarray:
    """What scikit-learn itself says after the best round, with zero for the first of two classes."""
    counted = booster._counted(Learned(booster.columns.matrix(rows), np.zeros(len(rows)), None)).matrix
    stages = list(booster._model._staged_raw_predict(counted.astype(np.float64)))
    raw = stages[booster.best - 1]
    return np.hstack([np.zeros_like(raw), raw]) if outputs == 2 else raw


@pytest.mark.parametrize(("kind", "outputs"), [("binary", 2), ("multiclass", 4), ("regression", 1)])
def test_answers_are_those_of_the_booster(kind, outputs):
    booster = grown(kind)
    forest = booster.forest(np.zeros(outputs))
    assert (forest.offset >= 0).any()
    rows = rows_of(500, 2, unseen=True)
    found = Trees([forest])(rows.numbers, rows.extras, rows.codes)
    assert found.shape == (1, 500, outputs)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0].numpy(), raw_of(booster, rows, outputs), atol=1e-6)


def test_a_node_asks_as_written_by_hand():
    # A root that asks column 0 against 1.5; its right child asks whether the code of column 2 is 1.
    forest = Forest(
        feature=torch.tensor([0, 0, 2, 0, 0]),
        threshold=torch.tensor([1.5, np.inf, np.inf, np.inf, np.inf]),
        left=torch.tensor([1, 1, 3, 3, 4]),
        value=torch.tensor([0.0, 10.0, 0.0, 20.0, 30.0], dtype=torch.float64),
        offset=torch.tensor([-1, -1, 1, -1, -1]),
        right=torch.tensor([False, False, True, False]),
        roots=torch.tensor([[0]]),
        columns=torch.tensor([1]),
        start=torch.tensor([0.5, 1.0], dtype=torch.float64),
        depth=torch.tensor(2),
    )
    numbers, extras = torch.tensor([[1.5], [1.6], [1.6], [1.6]]), torch.zeros(4, 1)
    found = Trees([forest, forest])(numbers, extras, torch.tensor([[1], [0], [1], [2]]))
    expected = torch.tensor([[0.5, 11.0], [0.5, 21.0], [0.5, 31.0], [0.5, 21.0]])
    assert torch.equal(found, expected.expand(2, -1, -1))
    assert Trees([forest, forest]).parameter_count == 2 * (5 + 2)
    assert not list(Trees([forest]).parameters())


def test_a_threshold_between_two_floats_still_divides_them():
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    layout = Layout(1, 0, ())
    matrix = np.repeat([low, high], 60)[:, None]
    rows = Learned(matrix, np.repeat([0, 1], 60), None)
    booster = Booster(rows, rows, Columns.of(layout), rate=0.3, most=5, seed=0)
    booster.grow(5)
    trees = Trees([booster.forest(np.zeros(2))])
    found = trees(torch.from_numpy(matrix[[0, -1]]), torch.zeros(2, 0), torch.zeros(2, 0).int())[0, :, 1]
    assert found[0] < -0.5
    assert found[1] > 0.5


def test_a_class_without_rows_keeps_its_prior_odds():
    rows = learned("binary", 0)
    rows = Learned(rows.matrix, rows.target * 2, None)  # classes 0 and 2 of three
    booster = Booster(rows, rows, Columns.of(LAYOUT), rate=0.1, most=3, seed=0)
    booster.grow(3)
    prior = np.log([0.5, 0.01, 0.49])
    forest = booster.forest(prior)
    assert forest.columns.tolist() == [2]
    assert forest.start[0] == 0.0
    assert forest.start[1].item() == pytest.approx(np.log(0.01 / 0.5))


def test_rounds_cut_in_pieces_are_the_same_rounds():
    whole, pieces = grown("multiclass", 24), grown("multiclass", 24)
    cut = Booster(
        learned("multiclass", 0), learned("multiclass", 1, 150), Columns.of(LAYOUT), rate=0.1, most=24, seed=0
    )
    for rounds in (5, 10, 20):
        cut.grow(rounds)
    for other in (pieces, cut):
        for name, tensor in whole.forest(np.zeros(4)).tensors().items():
            assert torch.equal(tensor, other.forest(np.zeros(4)).tensors()[name]), name


def test_a_tree_of_one_leaf_is_its_start():
    rows = learned("regression", 0, 12)  # fewer rows than two leaves must have
    booster = Booster(rows, rows, Columns.of(LAYOUT), rate=0.1, most=4, seed=0)
    booster.grow(4)
    inputs = rows_of(3, 5)
    found = Trees([booster.forest(np.zeros(1))])(inputs.numbers, inputs.extras, inputs.codes)
    np.testing.assert_allclose(found[0, :, 0], rows.target.mean(), atol=1e-6)


def test_members_stand_side_by_side():
    forests = [grown("multiclass", rounds).forest(np.zeros(4)) for rounds in (6, 9)]
    rows = rows_of(50, 3, unseen=True)
    given = (rows.numbers, rows.extras, rows.codes)
    found = Trees(forests)(*given)
    assert found.shape == (2, 50, 4)
    for member, forest in enumerate(forests):
        assert torch.equal(found[member], Trees([forest])(*given)[0])
