"""A text encoder that is trained further starts where the encoder stands, and computes what does not change once."""

import numpy as np
import pytest
import torch

from assay.data.encoding.encode import Layout
from assay.data.inputs import Input, View
from assay.data.schema import Kind
from assay.data.texts.frozen import TextFeatures
from assay.models.linear_head import LinearHead
from assay.models.text_tuned import SplitEncoder, TunedText
from assay.models.weights import open_text_encoder

TEXTS = ["The film is good!", "a dull plot", "", "not very good . " * 12]
ROOM = 10**7


@pytest.fixture(scope="module")
def opened(small_encoder):
    return open_text_encoder(str(small_encoder))


@pytest.fixture
def ids(opened):
    return torch.from_numpy(opened.tokenizer.windows(TEXTS, 16).ids)


def tuned(opened, *, cut=1, room=ROOM, vocabularies=(), extras=3):
    split = SplitEncoder(opened.encoder, cut, room)
    width = opened.encoder.width
    features = TextFeatures(split, np.full((1, width), 0.1, np.float32), np.full((1, width), 2.0, np.float32))
    views = (View((Input(name="text", kind=Kind.TEXT, window=16),), "windows"),)
    network = TunedText(split, features, Layout(2, extras + width, vocabularies, views), 2)
    network.reset([3], torch.tensor([-0.5, -1.0]))
    return network, features


@pytest.mark.parametrize("room", [ROOM, 2000, 0])
def test_the_split_encoder_is_the_encoder_whatever_it_remembers(opened, ids, room):
    split = SplitEncoder(opened.encoder, 1, room)
    expected = opened.encoder(ids)
    for rows in (ids, ids[2:], ids.flip(0)):
        torch.testing.assert_close(split(rows), opened.encoder(rows), atol=1e-6, rtol=0)
    torch.testing.assert_close(split(torch.nn.functional.pad(ids, (0, 4))), expected, atol=1e-6, rtol=0)
    remembered = sum(states.nbytes for states in split._known.values())
    assert remembered <= room
    assert (remembered > 0) == (room > 0)


def test_what_is_remembered_is_not_computed_again(opened, ids):
    split = SplitEncoder(opened.encoder, 1, ROOM)
    expected = split(ids)
    split._computed = None
    torch.testing.assert_close(split(ids), expected, atol=1e-6, rtol=0)


def test_it_starts_as_the_linear_model_of_the_encoders_features(opened, ids):
    network, features = tuned(opened)
    numbers, plain = torch.randn(4, 2), torch.randn(4, 3)
    extras = torch.cat([plain, features((ids,))], 1)
    torch.testing.assert_close(network(numbers, extras, torch.zeros(4, 0), ids)[0, 0], torch.tensor([-0.5, -1.0]))
    weight = torch.randn(2 + extras.shape[1], 2)
    network.start_from(LinearHead(weight, torch.tensor([0.3, -0.3])))
    expected = torch.cat([numbers, extras], 1) @ weight + torch.tensor([0.3, -0.3])
    torch.testing.assert_close(network(numbers, extras, torch.zeros(4, 0), ids)[0], expected, atol=1e-5, rtol=0)


def test_only_the_last_layers_and_the_head_learn_and_the_encoder_stays(opened, ids):
    network, features = tuned(opened, vocabularies=(4,))
    before = {name: tensor.clone() for name, tensor in opened.encoder.state_dict().items()}
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in learning} == {"upper", "embedding", "head"}
    network.start_from(LinearHead(torch.randn(2 + 3 + features.width, 2), torch.zeros(2)))
    codes = torch.tensor([[0], [1], [2], [3]])
    network(torch.randn(4, 2), torch.randn(4, 3 + features.width), codes, ids).square().sum().backward()
    graded = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert graded == learning
    assert float(network.upper[0].mixing.weight.grad.abs().sum()) > 0
    with torch.no_grad():
        network.upper[0].mixing.weight.add_(1.0)
    after = opened.encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_lower_layers_learn_slower_and_the_head_faster(opened):
    network, _ = tuned(opened, cut=0)
    factors = network.factors()
    assert factors["upper.1.wide.weight"] == (1.0, 0.0)
    assert factors["upper.0.wide.weight"] == (0.8, 0.0)
    assert factors["head.weight"] == (10.0, 1.0)
    assert factors["head.bias"] == (10.0, 0.0)
    assert set(factors) == {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_company_and_order_change_no_answer(opened, ids):
    network, features = tuned(opened)
    network.start_from(LinearHead(torch.randn(2 + 3 + features.width, 2), torch.zeros(2)))
    numbers, extras, codes = torch.randn(4, 2), torch.randn(4, 3 + features.width), torch.zeros(4, 0)
    with torch.no_grad():
        together = network(numbers, extras, codes, ids)[0]
        for place in range(4):
            one = slice(place, place + 1)
            alone = network(numbers[one], extras[one], codes[one], ids[one])[0]
            torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)
