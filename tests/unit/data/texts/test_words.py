"""Texts as sequences of hashed words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assay.data.texts.words import (
    BORDER,
    BUCKETS,
    FIRST_END,
    FIRST_WORD,
    PADDING,
    ids_of,
    joined,
    word_ids,
    words_a_row,
)


def ids(*texts, most=100):
    return word_ids([texts], most).ids.tolist()


def test_words_keep_their_order_and_zeros_follow():
    found = ids("The dog bites", "dog", "", "the DOG  bites")
    assert found[0] == found[3]
    assert found[1] == [found[0][1], PADDING, PADDING]
    assert found[2] == [PADDING] * 3
    assert all(FIRST_WORD <= word < BUCKETS for word in found[0])
    assert len(set(found[0])) == 3


def test_signs_that_end_a_sentence_have_ids_of_their_own():
    (found,) = ids("a. b! c? d。 e؟ f।")
    assert found[1::2] == [FIRST_END + place for place in range(6)]


def test_columns_stand_one_after_another():
    found = word_ids([["a b", "", "a"], ["c", "c", ""]], 100).ids.tolist()
    a, b, c = ids_of(["a", "b", "c"]).tolist()
    assert found == [[a, b, BORDER, c], [BORDER, c, 0, 0], [a, BORDER, 0, 0]]


def test_longer_texts_are_counted_and_cut():
    found = word_ids([["a b c d", "a b", "a b c"], ["", "", "x y z w"]], 3)
    assert found.cut == 2
    assert (found.ids > 0).sum(1).tolist() == [4, 3, 7]


def test_one_megabyte_emoji_and_words_from_right_to_left():
    found = word_ids([["word " * 200_000, "\U0001f600\U0001f600", "שלום עולם", "?!...", "\ud800 lone", "a\0b"]], 512)
    assert found.cut == 1
    assert found.ids.shape == (6, 512)
    assert (found.ids > 0).sum(1).tolist()[1:] == [2, 2, 5, 2, 2]


def test_ids_of_what_is_not_one_word_are_none():
    assert ids_of(["", "two words"]).tolist() == [0, 0]
    assert ids_of(["dog"])[0] == ids("dog")[0][0]


def test_words_are_counted():
    assert words_a_row(word_ids([["a b c", "", "a"]], 10).ids) == 4 / 3
    assert words_a_row(np.zeros((0, 1), np.int32)) == 0.0


@given(st.lists(st.text(max_size=30), min_size=2, max_size=8))
def test_texts_are_read_for_themselves(texts):
    whole = word_ids([texts], 8).ids
    parts = joined([word_ids([texts[:1]], 8).ids, word_ids([texts[1:]], 8).ids])
    assert np.array_equal(whole, parts)
