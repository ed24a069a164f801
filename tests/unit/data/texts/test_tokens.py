"""Texts become windows of tokens: whole, evenly cut where they are long, and counted where they are not read whole."""

import numpy as np
import pytest

from assay.data.texts.tokens import MOST_WINDOWS, Tokenizer, joined
from assay.errors import ConfigError

FIRST, LAST = 3, 4  # [CLS] and [SEP], one more than their ids


@pytest.fixture(scope="module")
def tokenizer(small_encoder):
    return Tokenizer(small_encoder / "tokenizer.json")


def test_a_text_stands_between_its_two_tokens(tokenizer):
    ids = tokenizer.windows(["good film", ""], 16).ids
    assert ids.shape == (2, 1, 4)
    assert ids.dtype == np.int32
    assert ids[0, 0].tolist() == [FIRST, 4 + 5 + 1, 4 + 2 + 1, LAST]
    assert ids[1, 0].tolist() == [FIRST, LAST, 0, 0]


def test_a_long_text_has_even_windows_and_no_token_is_lost(tokenizer):
    ids = tokenizer.windows(["good " * 15], 16).ids  # 14 tokens fit beside the two
    assert ids.shape == (1, 2, 10)
    assert [(window > 0).sum() for window in ids[0]] == [10, 9]
    assert (ids == 10).sum() == 15


def test_what_lies_beyond_the_last_window_is_counted(tokenizer):
    most = 14 * MOST_WINDOWS
    windows = tokenizer.windows(["good " * most, "good " * (most + 1), "bad"], 16)
    assert windows.cut == 1
    assert [(row == 10).sum() for row in windows.ids] == [most, most, 0]


def test_of_a_long_text_both_ends_are_read(tokenizer):
    inner = 14
    text = "good " * (2 * inner) + "bad " * (5 * inner) + "film " * inner
    windows = tokenizer.windows([text, "good film"], 16, most=3)
    good, film, bad = (tokenizer.windows([word], 16).ids[0, 0, 1] for word in ("good", "film", "bad"))
    assert windows.cut == 1
    assert windows.ids.shape == (2, 3, 16)
    assert [set(window[1:-1]) for window in windows.ids[0]] == [{good}, {good}, {film}]
    assert bad not in windows.ids[0]
    assert (windows.ids[1] > 0).sum() == 4


def test_a_megabyte_in_a_cell_is_counted_once(tokenizer):
    assert tokenizer.windows(["good " * 200_000], 16).cut == 1


def test_blocks_are_joined_with_zeros(tokenizer):
    parts = [tokenizer.windows([text], 16).ids for text in ("good", "film " * 20)]
    whole = joined(parts)
    assert whole.shape == (2, 2, 12)
    assert (whole[0] > 0).sum() == 3


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text('{"version": "1.0"}')
    with pytest.raises(ConfigError, match=r"tokenizer\.json must be a tokenizer"):
        Tokenizer(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        Tokenizer(tmp_path / "none.json")


def test_a_tokenizer_without_tokens_around_a_text_is_refused(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    splitter = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    splitter.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="puts 0 around an empty text"):
        Tokenizer(tmp_path / "tokenizer.json")
