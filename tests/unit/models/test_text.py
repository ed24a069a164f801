"""What holds for every network of texts."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.schema import Kind
from assay.data.texts.words import BUCKETS, FIRST_WORD, MASK
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.families import DEFAULTS
from assay.models.text import TEXT_NETWORKS, known_words, waves

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = list(TEXT_NETWORKS)
TABLE = Layout(2, 3, (4, 5), texts=2)
MOST = 12


def words_of(rows, longest=9, *, seed=0):
    """Ids of words, every row of another length, from none to `longest`."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(FIRST_WORD, FIRST_WORD + 30, (rows, longest), generator=generator, dtype=torch.int32)
    lengths = torch.arange(rows) % (longest + 1)
    return torch.where(torch.arange(longest) < lengths.unsqueeze(1), ids, 0)


def table_of(rows, layout=TABLE):
    generator = torch.Generator().manual_seed(5)
    codes = [torch.randint(0, size, (rows, 1), generator=generator) for size in layout.vocabularies]
    return (
        torch.randn(rows, layout.numbers, generator=generator),
        torch.randn(rows, layout.extras, generator=generator),
        torch.cat(codes or [torch.zeros(rows, 0, dtype=torch.int64)], dim=1),
    )


def made(name, seeds, *, layout=TABLE, dropout=0.0, outputs=3):
    config = DEFAULTS[name].model_copy(update={"width": 8, "embedding": 8, "layers": 1, "dropout": dropout})
    network = TEXT_NETWORKS[name](len(seeds), known_words(words_of(60)), layout, outputs, config, MOST)
    network.reset(seeds, torch.zeros(outputs))
    with torch.no_grad():  # a head of zeros would hide everything before it
        for weight, seed in zip(network.head.weight, seeds, strict=True):
            weight.normal_(std=0.5, generator=torch.Generator().manual_seed(seed))
    return network


def test_known_words_are_those_of_two_rows():
    ids = torch.tensor([[20, 20, 4], [21, 30, 0], [30, 4, 0]], dtype=torch.int32)
    slots = known_words(ids)
    assert slots.shape == (BUCKETS,)
    # 20 stands twice in one row and 21 once: both are hidden. 30 stands in two rows and is the first known word.
    assert slots[[0, 1, 4, 20, 21, 30, 99]].tolist() == [0, 1, 4, MASK, MASK, FIRST_WORD, MASK]


@pytest.mark.parametrize("name", NAMES)
def test_what_follows_the_last_word_changes_nothing(name):
    network, words = made(name, (1, 2)).eval(), words_of(20)
    found = network(*table_of(20), words)
    longer = network(*table_of(20), nn.functional.pad(words, (0, 3)))
    assert torch.equal(found, longer)
    for row in range(12):
        alone = network(*(each[row : row + 1] for each in (*table_of(20), words)))
        torch.testing.assert_close(alone[:, 0], found[:, row], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_members_are_networks_of_their_own(name):
    together, words = made(name, (3, 9), dropout=0.3).train(), words_of(16)
    together.noise.seed((1, 2))
    outputs = together(*table_of(16), words)
    outputs.square().mean((1, 2)).sum().backward()
    for place, seed in enumerate((3, 9)):
        alone = made(name, (seed,), dropout=0.3).train()
        alone.noise.seed((place + 1,))
        own = alone(*table_of(16), words)
        own.square().mean((1, 2)).sum().backward()
        assert torch.equal(outputs[place], own[0])
        for (called, whole), one in zip(together.named_parameters(), alone.parameters(), strict=True):
            assert torch.equal(whole[place], one[0]), called
            assert torch.equal(whole.grad[place], one.grad[0]), called


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_is_cut_is_that_of_the_members_that_stay(name):
    rows = words_of(20)
    network, other = (made(name, seeds).eval() for seeds in ([7, 8, 9], [9, 7]))
    network.cut([2, 0])
    found, expected = (each(*table_of(20), rows) for each in (network, other))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_extras_of_texts_are_left_to_others(name):
    network = made(name, (1,)).eval()
    numbers, extras, codes = table_of(5)
    other = extras.clone()
    other[:, 1:] += 1.0
    assert torch.equal(network(numbers, extras, codes, words_of(5)), network(numbers, other, codes, words_of(5)))
    other[:, 0] += 1.0
    assert not torch.equal(network(numbers, extras, codes, words_of(5)), network(numbers, other, codes, words_of(5)))


@pytest.mark.parametrize("name", NAMES)
def test_a_network_exports_with_any_number_of_rows_and_words(name):
    network = made(name, (1,) if name == "text_transformer" else (1, 2)).eval()  # exporting takes a while
    rows, places = torch.export.Dim("rows", min=1, max=1 << 20), torch.export.Dim("words", min=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        program = torch.onnx.export(
            network, (*table_of(3), words_of(3, 4)), dynamo=True, opset_version=20, verbose=False,
            dynamic_shapes=({0: rows}, {0: rows}, {0: rows}, ({0: rows, 1: places},)),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for size, longest in ((1, 1), (9, 9), (3, MOST)):
        given = (*table_of(size), words_of(size, longest))
        fed = [each.numpy() for each in given]
        found = session.run(None, dict(zip([i.name for i in session.get_inputs()], fed, strict=True)))[0]
        with torch.inference_mode():
            np.testing.assert_allclose(found, network(*given).numpy(), atol=1e-5)


def test_a_text_cnn_is_that_of_kim():
    """Against plain layers of torch: embedding, convolutions, ReLU, the largest, linear."""
    network, words = made("text_cnn", (4,), layout=Layout(0, 0, ())).eval(), words_of(8)[3:]
    vectors = network.words.table[0][network.words.slots[words.long()].long()]
    vectors = vectors * (words > 0).unsqueeze(2)
    pooled = []
    for filters, width in zip(network.convolutions, (3, 4, 5), strict=True):
        plain, before = nn.Conv1d(8, 8, width), (width - 1) // 2
        with torch.no_grad():
            plain.weight.copy_(filters.convolution.weight[0])
            plain.bias.copy_(filters.shift.bias[0, 0, :, 0])
            maps = plain(nn.functional.pad(vectors.transpose(1, 2), (before, width - 1 - before))).relu()
        pooled.append(
            torch.stack([row[:, :count].amax(1) for row, count in zip(maps, (words > 0).sum(1), strict=True)])
        )
    expected = torch.cat(pooled, 1) @ network.head.weight[0] + network.head.bias[0]
    found = network(*table_of(5, Layout(0, 0, ())), words)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_recurrent_states_are_those_of_packed_sequences():
    network, words = made("text_gru", (4,)).eval(), words_of(8)[3:]
    vectors, there = network.words(words)
    plain = nn.GRU(8, 8, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for units, end in ((network.forwards, ""), (network.backwards, "_reverse")):
            getattr(plain, f"weight_ih_l0{end}").copy_(units.input_weights[0][0])
            getattr(plain, f"weight_hh_l0{end}").copy_(units.state_weights[0][0])
            getattr(plain, f"bias_ih_l0{end}").copy_(units.input_biases[0][0])
            getattr(plain, f"bias_hh_l0{end}").copy_(units.state_biases[0][0])
        lengths = (words > 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(vectors[0], lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(plain(packed)[0], batch_first=True)
        found = network.read(vectors, there)[0]
    for row, count in enumerate(lengths):
        own = states[row, :count]
        torch.testing.assert_close(found[row], torch.cat([own.mean(0), own.amax(0)]), atol=1e-5, rtol=1e-5)


def test_waves_tell_places_apart():
    found = waves(50, 8)
    assert found.shape == (50, 8)
    assert found[0].tolist() == pytest.approx([0.0, 8**-0.5] * 4)
    assert torch.cdist(found, found).fill_diagonal_(1.0).min() > 0.01


def test_a_network_of_words_needs_rows_with_words():
    config = DEFAULTS["text_cnn"]
    with pytest.raises(ValueError, match="word by word"):
        build(config, TABLE, torch.zeros(3, 2), outputs=2, prior=torch.zeros(2), seeds=[0], rows=None)


def test_heads_must_divide_the_width():
    view = View((Input(name="a", kind=Kind.TEXT, words=4),), "words")
    rows = Encoded(torch.zeros(3, 0), torch.zeros(3, 0), torch.zeros(3, 0), (words_of(3, 4),))
    config = ModelConfig(name="text_transformer", width=10, attention_heads=4)
    with pytest.raises(ValueError, match="must divide"):
        build(
            config, Layout(0, 0, (), (view,)), torch.zeros(3, 0), outputs=2, prior=torch.zeros(2), seeds=[0], rows=rows
        )
