"""Changes of training texts: what they keep, what they change, and that they are repeated to the bit."""

import pytest
import torch

from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded
from assay.data.texts.words import BORDER, BUCKETS, FIRST_END, FIRST_WORD, MASK, PADDING, word_ids
from assay.train.augment.texts import (
    Substitutes,
    TextChanges,
    TextPolicy,
    change,
    delete,
    hide,
    hide_span,
    insert,
    named_text_policy,
    replace,
    shuffle_sentences,
    swap,
)
from assay.train.changes import changed

NAMES = ("none", "light", "synonyms", "typos", "full", "auto")


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def words_of(rows=40, longest=20):
    ids = torch.randint(FIRST_WORD, FIRST_WORD + 500, (rows, longest), generator=drawn(9), dtype=torch.int32)
    lengths = torch.arange(rows) % (longest + 1)
    return torch.where(torch.arange(longest) < lengths.unsqueeze(1), ids, PADDING)


def is_closed(words):
    """Whether zeros stand after the words alone."""
    there = words != PADDING
    return bool((there[:, 1:] <= there[:, :-1]).all())


def bag(row):
    return sorted(word for word in row.tolist() if word != PADDING)


@pytest.mark.parametrize("name", NAMES)
def test_rows_stay_closed_and_are_repeated_to_the_bit(name):
    words, policy = words_of(), named_text_policy(name)
    table = torch.zeros((BUCKETS, 2), dtype=torch.int32)
    table[FIRST_WORD : FIRST_WORD + 500, 0] = FIRST_WORD + 1
    one, other = (change(words, TextChanges(policy, Substitutes(table, table)), drawn(3)) for _ in range(2))
    assert torch.equal(one, other)
    assert is_closed(one)
    assert one.dtype == torch.int32
    assert policy.is_idle is (name in ("none", "auto"))
    assert torch.equal(one != PADDING, words[:, : one.shape[1]] != PADDING) is (
        name in ("none", "auto", "synonyms", "typos")
    )
    assert ((one != PADDING).any(1) == (words != PADDING).any(1)).all()


def test_a_step_follows_from_its_seed_and_place():
    words = words_of()
    rows = Batch(Encoded(torch.zeros(40, 0), torch.zeros(40, 0), torch.zeros(40, 0), (words,)), torch.zeros(40), None)
    changes = TextChanges(named_text_policy("light"))
    first, again, next_step = (changed(rows, changes, 5, 0, place).inputs.media[0] for place in (2, 2, 3))
    assert torch.equal(first, again)
    assert first.shape != next_step.shape or not torch.equal(first, next_step)
    assert torch.equal(rows.inputs.media[0], words_of())


def test_swapping_keeps_the_words_of_each_column():
    words = words_of()
    words[:, 8] = torch.where(words[:, 8] != PADDING, BORDER, PADDING)
    words[:, 3] = torch.where(words[:, 3] != PADDING, FIRST_END, PADDING)
    found = swap(words, 0.8, drawn())
    assert torch.equal(found == BORDER, words == BORDER)
    assert torch.equal(found == FIRST_END, words == FIRST_END)
    assert not torch.equal(found, words)
    for before, after in zip(words, found, strict=True):
        assert bag(before[:8]) == bag(after[:8])
        assert bag(before[9:]) == bag(after[9:])


def test_deleting_leaves_the_rest_in_order_and_one_word_at_least():
    words = words_of()
    for share in (0.3, 0.99):
        found = delete(words, share, drawn())
        assert is_closed(found)
        for before, after in zip(words.tolist(), found.tolist(), strict=True):
            rest = iter(before)
            assert all(word in rest for word in after if word != PADDING)  # in the order of the row
            assert any(after) == any(before)
    counts = [(part != PADDING).sum().item() for part in (words, delete(words, 0.3, drawn()))]
    assert counts[1] / counts[0] == pytest.approx(0.7, abs=0.07)


def test_insertion_repeats_words_of_the_row():
    words = torch.nn.functional.pad(words_of(), (0, 20))
    found = insert(words, 0.3, drawn())
    assert is_closed(found)
    for before, after in zip(words, found, strict=True):
        assert set(bag(before)) == set(bag(after))
        rest = iter(after.tolist())
        assert all(word in rest for word in before.tolist() if word != PADDING)
    assert (found != PADDING).sum() > (words != PADDING).sum()


def test_hiding_changes_words_alone():
    words = words_of()
    words[5:, 2] = torch.where(words[5:, 2] != PADDING, FIRST_END, PADDING)
    found = hide(words, 0.4, drawn())
    changed = found != words
    assert (found[changed] == MASK).all()
    assert (words[changed] >= FIRST_WORD).all()
    assert changed.sum() / (words >= FIRST_WORD).sum() == pytest.approx(0.4, abs=0.07)


def test_a_hidden_span_is_one_run_of_its_share():
    words = words_of(41)[20:21].repeat(30, 1)  # rows of 20 words
    hidden = hide_span(words, 0.25, drawn()) == MASK
    assert (hidden.sum(1) == 5).all()
    assert (torch.diff(hidden.int(), dim=1).abs().sum(1) <= 2).all()
    assert len(hidden.int().argmax(1).unique()) > 5


def test_sentences_change_their_order_and_stay_whole():
    (row,) = word_ids([["one two three. four five?! six seven. eight"]], 50).ids.tolist()
    words = torch.tensor([row] * 60, dtype=torch.int32)
    found = shuffle_sentences(words, 1.0, drawn())
    whole = [tuple(row[:4]), tuple(row[4:8]), tuple(row[8:11]), tuple(row[11:])]
    for after in found.tolist():
        at, seen = 0, []
        while at < len(after):
            (match,) = [each for each in whole if tuple(after[at : at + len(each)]) == each]
            seen.append(match)
            at += len(match)
        assert sorted(seen) == sorted(whole)
    assert len({tuple(after) for after in found.tolist()}) > 10
    assert torch.equal(shuffle_sentences(words, 0.0, drawn()), words)
    bordered = torch.cat([words, torch.full((60, 1), BORDER, dtype=torch.int32)], 1)
    assert torch.equal(shuffle_sentences(bordered, 1.0, drawn()), bordered)


def test_synonyms_are_those_of_the_table():
    table = torch.zeros((BUCKETS, 2), dtype=torch.int32)
    table[20] = torch.tensor([30, 31])
    table[21, 0] = 40
    words = torch.tensor([[20, 21, 22, 0]] * 400, dtype=torch.int32)
    found = replace(words, table, 0.5, drawn())
    assert {*found[:, 0].tolist()} == {20, 30, 31}
    assert {*found[:, 1].tolist()} == {21, 40}
    assert (found[:, 2:] == words[:, 2:]).all()
    assert (found[:, 0] != 20).float().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("words", [torch.zeros((3, 1), dtype=torch.int32), torch.full((2, 1), 99, dtype=torch.int32)])
def test_texts_without_words_or_of_one_are_left_in_peace(words):
    found = change(words, TextChanges(TextPolicy(swap=1.0, delete=0.9, insert=1.0, sentences=1.0)), drawn())
    assert torch.equal(found, words)
