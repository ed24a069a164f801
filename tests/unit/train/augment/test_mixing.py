"""Mixed rows: what is blended, what is taken whole, and the share that the loss is mixed by."""

from dataclasses import replace

import pytest
import torch

from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded
from assay.train.augment.mixing import mixed


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(*media):
    rows = len(media[0])
    nothing = torch.zeros(rows, 0)
    return Batch(Encoded(nothing, nothing, torch.zeros(rows, 0, dtype=torch.int32), media), torch.arange(rows), None)


def test_mixup_mixes_numbers_and_takes_categories_from_one_of_both(batch):
    rows = batch(400, 0, weight=torch.rand(400))
    first, second, share = mixed(rows, 0.4, torch.Generator().manual_seed(3))
    again = mixed(rows, 0.4, torch.Generator().manual_seed(3))
    assert torch.equal(first.inputs.numbers, again[0].inputs.numbers)
    assert 0.0 < share < 1.0
    assert first.inputs is second.inputs
    assert first.target is rows.target
    numbers = rows.inputs.numbers
    left = (first.inputs.numbers[:40] - numbers[:40] * share) / (1 - share)
    partner = torch.cdist(left, numbers).argmin(1)
    torch.testing.assert_close(left, numbers[partner], rtol=1e-3, atol=1e-4)
    assert torch.equal(second.target[:40], rows.target[partner])
    assert torch.equal(second.weight[:40], rows.weight[partner])
    expected = rows.inputs.extras[:40] * share + rows.inputs.extras[partner] * (1 - share)
    torch.testing.assert_close(first.inputs.extras[:40], expected)
    codes = first.inputs.codes[:40, 0]
    assert bool(((codes == rows.inputs.codes[:40, 0]) | (codes == rows.inputs.codes[partner, 0])).all())


def test_rows_are_mixed_with_what_they_aim_at():
    rows = rows_of(torch.rand(30, 3, 8))
    rows = replace(rows, aims=rows.target.unsqueeze(1) + torch.tensor([0.0, 0.5]))
    first, second, _ = mixed(rows, 0.4, seeded())
    assert first.aims is rows.aims
    assert not torch.equal(second.target, rows.target)
    assert torch.equal(second.aims[:, 0], second.target.float())


def test_the_share_of_a_mixup_is_drawn_from_beta():
    rows, generator = rows_of(torch.zeros(2, 1, dtype=torch.int32)), seeded()
    shares = torch.tensor([mixed(rows, 0.5, generator)[2] for _ in range(4000)], dtype=torch.float64)
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(0.125, abs=0.01)  # of Beta(a, a): 1 / (8 a + 4)


def test_pictures_are_blended_with_their_partners():
    pictures = torch.randint(0, 256, (20, 3, 6, 6), generator=seeded(5), dtype=torch.uint8)
    first, second, share = mixed(rows_of(pictures), 1.0, seeded())
    partner = second.target
    expected = share * pictures.float() + (1 - share) * pictures[partner].float()
    torch.testing.assert_close(first.inputs.media[0], expected, rtol=1e-4, atol=1e-3)
    assert first.inputs is second.inputs


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_counts_the_pixels_of_the_other(seed):
    pictures = torch.arange(40, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 16, 12).contiguous()
    first, second, share = mixed(rows_of(pictures), 0.0, seeded(seed), cutmix=1.0)
    assert first.inputs.media[0].dtype == torch.uint8
    for row, (picture, other) in enumerate(zip(first.inputs.media[0], second.target.tolist(), strict=True)):
        if other != row:
            assert float((picture == row).float().mean()) == pytest.approx(share, abs=1e-6)
            assert float((picture == other).float().mean()) == pytest.approx(1 - share, abs=1e-6)
    assert torch.equal(pictures[3], torch.full_like(pictures[3], 3))  # what was given stays


def test_with_both_ways_batches_take_turns_at_random():
    pictures = torch.arange(20, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()
    kinds = [mixed(rows_of(pictures), 1.0, seeded(seed), cutmix=1.0)[0].inputs.media[0].dtype for seed in range(40)]
    assert 8 < kinds.count(torch.uint8) < 32


def test_series_take_what_one_of_two_has():
    series = torch.tensor([[[1.0, torch.nan, torch.nan]], [[torch.nan, 2.0, torch.nan]]])
    found = [mixed(rows_of(series), 0.4, seeded(seed)) for seed in range(9)]
    swapped = [first.inputs.media[0] for first, second, _ in found if second.target.tolist() == [1, 0]]
    assert swapped
    for one in swapped:
        assert one[:, :, :2].tolist() == [[[1, 2]], [[1, 2]]]
        assert one[:, :, 2].isnan().all()


def test_texts_are_taken_whole_from_one_of_both():
    tokens = torch.arange(60, dtype=torch.int32).view(20, 1, 3)
    first, second, _ = mixed(rows_of(tokens), 5.0, seeded())
    own = (first.inputs.media[0] == tokens).flatten(1).all(1)
    other = (first.inputs.media[0] == tokens[second.target]).flatten(1).all(1)
    assert bool((own | other).all())
    assert 0 < int(own.sum()) < 20
