"""Encoders of every family say what transformers' own say of them, from folders that transformers wrote."""

import io
import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch

from assay.data.texts.frozen import FrozenText
from assay.models.text_families import FAMILIES, _nearness
from assay.models.weights import open_text_encoder

transformers = pytest.importorskip("transformers")

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
DISTIL = {"vocab_size": 40, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40}
MADE = {
    "bert": ("Bert", SIZES | {"max_position_embeddings": 40}),
    "roberta": ("Roberta", SIZES | {"max_position_embeddings": 42, "pad_token_id": 1}),
    "xlm-roberta": ("XLMRoberta", SIZES | {"max_position_embeddings": 41, "pad_token_id": 0, "hidden_act": "relu"}),
    "camembert": ("Camembert", SIZES | {"max_position_embeddings": 42, "hidden_act": "gelu_new"}),
    "distilbert": ("DistilBert", DISTIL),
    "mpnet": ("MPNet", SIZES | {"max_position_embeddings": 42}),
}
TEXTS = ["The film is good!", "a dull plot", "not very good . " * 8]


@pytest.fixture(scope="module", params=sorted(MADE))
def both(request, small_encoder, tmp_path_factory):
    """transformers' model with random weights, and what assay opens of the folder that it wrote."""
    named, options = MADE[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, f"{named}Model")(getattr(transformers, f"{named}Config")(**options)).eval()
        for parameter in model.parameters():  # they begin near 0 and at 1, which would hide much
            torch.nn.init.normal_(parameter, std=0.4)
    model.save_pretrained(folder)
    shutil.copy(small_encoder / "tokenizer.json", folder)
    return model, open_text_encoder(str(folder))


def test_every_family_is_made():
    assert sorted(MADE) == sorted(FAMILIES)


def test_states_are_those_of_transformers(both):
    model, opened = both
    ids = opened.tokenizer.windows(TEXTS, 36).ids[:, 0]
    assert opened.encoder.sizes.positions == 40
    for row in ids:
        tokens = torch.from_numpy(row[row > 0]).long()[None]
        with torch.no_grad():
            expected = model(tokens - 1).last_hidden_state
            found = opened.encoder.states(tokens)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=2e-5)


def test_padding_changes_nothing(both):
    _, opened = both
    frozen = FrozenText(opened.encoder, opened.encoder.width, opened.tokenizer, window=20, threads=1)
    ids = opened.tokenizer.windows(TEXTS, 20).ids
    wide = np.pad(ids, ((0, 0), (0, 2), (0, 7)))
    np.testing.assert_allclose(frozen.vectors(ids), opened.encoder(torch.from_numpy(wide)).numpy(), atol=1e-6)


def test_the_onnx_file_gives_the_vectors(both):
    _, opened = both
    ids = torch.from_numpy(opened.tokenizer.windows(TEXTS, 20).ids)
    sizes = {place: torch.export.Dim(name, min=1, max=512) for place, name in enumerate(("rows", "windows", "tokens"))}
    file = io.BytesIO()
    torch.onnx.export(
        opened.encoder, (ids,), dynamo=True, opset_version=20, dynamic_shapes=(sizes,), verbose=False
    ).save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    for some in (ids, ids[:2, :1, :9]):
        got = session.run(None, {session.get_inputs()[0].name: some.numpy()})[0]
        np.testing.assert_allclose(got, opened.encoder(some).numpy(), atol=1e-5)


def test_weights_that_were_saved_within_a_larger_model_are_found(small_encoder, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    folder = shutil.copytree(small_encoder, tmp_path / "larger")
    tensors = safetensors.load_file(folder / "model.safetensors")
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in tensors.items()
    }
    safetensors.save_file(old | {"cls.predictions.bias": torch.zeros(3)}, folder / "model.safetensors")
    one, other = (open_text_encoder(str(each)).encoder.state_dict() for each in (small_encoder, folder))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "bert"


def test_near_tokens_have_a_bucket_each_and_far_ones_share():
    found = _nearness(torch.arange(32.0)[:, None], 200)[0]
    back = found[:200].flip(0)  # distances 0, -1, ...
    assert back[:8].tolist() == list(range(8))
    assert back[8] == back[9] == 8.0
    assert back[128] == back[199] == 15.0
    assert found[200:208].tolist() == [17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0]
