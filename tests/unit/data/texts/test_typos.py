"""Words that lose a letter: which, and how the table has them."""

import numpy as np

from assay.data.texts.typos import typos_of
from assay.data.texts.words import ids_of


def test_a_word_of_four_letters_or_more_may_lose_each_but_the_first():
    table, words = typos_of(["Good film, a 1234 go"])
    assert words == 2  # good and film: what is shorter, or has digits, stays
    good, film, go = ids_of(["good", "film", "go"])
    # Both letters o are the same loss.
    assert set(table[good][table[good] > 0]) == set(ids_of(["god", "goo"]))
    assert set(table[film][table[film] > 0]) == set(ids_of(["flm", "fim", "fil"]))
    assert not table[go].any()
    assert not table[0].any()
    there = table > 0
    assert (there[:, 1:] <= there[:, :-1]).all()


def test_long_words_lose_letters_at_four_places_and_no_words_none():
    table, words = typos_of(["internationalisation"])
    assert words == 1
    assert (table > 0).sum() == 4
    table, words = typos_of([])
    assert (words, table.any()) == (0, np.False_)
