"""Near copies of texts: by hand, and against all pairs."""

import numpy as np
import pytest

from assay.data.texts.minhash import BANDS, ROWS, jaccard, near_pairs, shingles, signatures


def runs(text):
    words = text.split()
    return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}


def similarity(one, other):
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def test_runs_of_three_words_are_counted_once_a_text():
    rows, hashes = shingles(["a b c d", "a b", "", "a b c a b c", "b c d"])
    # abc bcd | none | none | abc bca cab | bcd
    assert np.bincount(rows, minlength=5).tolist() == [2, 0, 0, 3, 1]
    assert len(np.unique(hashes)) == 4


def test_the_similarity_is_that_of_sets():
    texts = ["a b c d e f", "a b c d e g", "x y z"]
    rows, hashes = shingles(texts)
    found = jaccard(rows, hashes, np.array([[0, 1], [0, 2], [0, 0]]))
    assert found.tolist() == [3 / 5, 0.0, 1.0]


def test_a_signature_is_the_least_hash_under_each_permutation():
    rows, hashes = shingles(["a b c d e", "x", "c d e f g"])
    named, least = signatures(rows, hashes)
    assert named.tolist() == [0, 2]
    factors = np.random.default_rng(0).integers(1 << 63, size=BANDS * ROWS, dtype=np.uint64)
    for place, row in enumerate(named):
        own = [int(h) for h in hashes[rows == row]]
        by_hand = [min(h * (int(f) | 1) % (1 << 64) for h in own) for f in factors]
        assert least[place].tolist() == by_hand


def test_signatures_agree_as_often_as_sets_do():
    rng = np.random.default_rng(1)
    words = [f"w{place}" for place in range(400)]
    one, other = words[:300], words[100:]
    rows, hashes = shingles([" ".join(one), " ".join(other)])
    _, least = signatures(rows, hashes)
    expected = similarity(" ".join(one), " ".join(other))
    assert (least[0] == least[1]).mean() == pytest.approx(expected, abs=0.2)
    assert rng is not None


def test_planted_copies_are_found_and_no_others():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(5000, size=40)) for _ in range(200)]
    for place in range(0, 40, 2):  # a word changed near the end: 38 runs, of which 36 or 37 stay
        words = texts[place].split()
        words[-1 - place % 3] = "changed"
        texts.append(" ".join(words))
    pairs = near_pairs(texts)
    expected = {
        (i, j) for i in range(len(texts)) for j in range(i + 1, len(texts)) if similarity(texts[i], texts[j]) >= 0.8
    }
    assert len(expected) == 20
    assert {tuple(pair) for pair in pairs.tolist()} == expected


@pytest.mark.parametrize("texts", [[], [""], ["a b c"] * 3, ["?!", ""], ["one two"] * 2])
def test_short_texts_are_no_copies(texts):
    assert near_pairs(texts).shape == (0, 2)


def test_many_equal_texts_are_not_compared_in_pairs():
    pairs = near_pairs(["the same seven words in every row"] * 500)
    assert len(pairs) == 499
    assert (pairs[:, 0] == 0).all()
