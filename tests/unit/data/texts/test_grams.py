"""Bags of n-grams count what scikit-learn counts, whatever else is in the block, and never depend on chance."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from assay.data.texts.grams import MOST_GRAMS, hashed_grams, joined, normalised

BUCKETS = 1 << 18


def bag(text: str, buckets: int = BUCKETS) -> dict[int, int]:
    packed = hashed_grams([text], buckets).packed[0]
    return {int(each) % buckets: int(each) // buckets for each in packed if each}


def test_words_pairs_and_letters_are_counted_as_by_scikit_learn():
    texts = ["It was good , very good .", "Bad ! bad", "so-so", "日本語 の テキスト"]
    clean = [normalised(text) for text in texts]
    words = CountVectorizer(analyzer="word", token_pattern=r"\S+", ngram_range=(1, 2), lowercase=False)
    letters = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5), lowercase=False)
    for vectoriser, low, high in ((words, 0, BUCKETS // 2), (letters, BUCKETS // 2, BUCKETS)):
        expected = vectoriser.fit_transform(clean).toarray()
        for text, counts in zip(texts, expected, strict=True):
            own = sorted(count for bucket, count in bag(text).items() if low <= bucket < high)
            assert own == sorted(counts[counts > 0].tolist())


def test_equal_words_share_a_bucket_and_others_do_not():
    assert bag("good film").keys() & bag("film good").keys() > bag("good").keys()
    assert len(bag("good").keys() & bag("evil").keys()) == 0


def test_case_and_unicode_form_do_not_matter():
    composed = "Café Über"
    assert bag(composed) == bag(unicodedata.normalize("NFD", composed).upper())


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_a_text_has_the_same_bag_in_any_company(texts):
    together = hashed_grams(texts, 4096).packed
    for row, text in zip(together, texts, strict=True):
        alone = hashed_grams([text], 4096).packed[0]
        assert sorted(row[row > 0].tolist()) == sorted(alone[alone > 0].tolist())


@pytest.mark.parametrize("text", ["", "   ", "\0\0", "\n\t"])
def test_a_text_without_words_is_an_empty_bag(text):
    assert bag(text) == {}


def test_a_lone_surrogate_is_read_as_a_sign():
    assert len(bag("good \ud800 film")) > 0


def test_no_texts_are_no_rows():
    assert hashed_grams([], BUCKETS).packed.shape == (0, 1)


def test_counts_stop_at_255():
    assert max(bag("good " * 1000).values()) == 255


def test_of_too_many_n_grams_the_same_sample_is_kept_and_the_text_is_counted():
    rng = np.random.default_rng(0)
    long = " ".join(str(number) for number in rng.integers(0, 10**9, 30_000))
    first, second = hashed_grams([long, "short"], BUCKETS), hashed_grams([long], BUCKETS)
    assert (first.cut, second.cut) == (1, 1)
    assert (second.packed[0] > 0).sum() == 2 * MOST_GRAMS
    assert set(first.packed[0]) - {0} == set(second.packed[0])
    kept = set((second.packed[0] % BUCKETS).tolist())
    whole = bag(long[: len(long) // 50]).keys()
    assert 0.01 < len(whole & kept) / len(whole) < 0.9  # a sample of all of the text, not its beginning


def test_blocks_of_rows_are_joined_with_zeros():
    parts = [hashed_grams(["a"], 64).packed, hashed_grams(["good film", "b"], 64).packed]
    whole = joined(parts)
    assert whole.shape == (3, parts[1].shape[1])
    assert (whole[0, parts[0].shape[1] :] == 0).all()
    assert (whole[1:] == parts[1]).all()
