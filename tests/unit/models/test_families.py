"""What holds for every family of networks."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from assay.data.encoding.encode import Encoded, Layout
from assay.models.build import build
from assay.models.config import FORECASTING, PICTURES, SERIES, TABULAR, TEXTS, ModelConfig
from assay.models.families import DEFAULTS, unused_options
from assay.models.numbers import frequency_scales
from assay.train.loop import predict

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = list(TABULAR)
LAYOUTS = {
    "mixed": Layout(3, 2, (4, 15)),
    "numbers": Layout(3, 0, ()),
    "categories": Layout(0, 0, (3, 4)),
    "extras": Layout(0, 2, ()),
}
SMALL = {"width": 16, "number_bins": 6, "heads": 2, "attention_heads": 2, "frequencies": 4}


def test_every_family_has_its_options_and_reads_tables_series_texts_or_pictures():
    assert set(DEFAULTS) == {*TABULAR, *SERIES, *FORECASTING, *PICTURES, *TEXTS}


def small(family, **options) -> ModelConfig:
    useless = unused_options(family)
    sizes = {name: value for name, value in (SMALL | options).items() if name not in useless}
    return DEFAULTS[family].model_copy(update=sizes)


def rows_of(layout, rows, seed=0) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(0, size, (rows, 1), generator=generator) for size in layout.vocabularies]
    return Encoded(
        torch.randn(rows, layout.numbers, generator=generator),
        torch.randn(rows, layout.extras, generator=generator),
        torch.cat(codes, 1).int() if codes else torch.zeros(rows, 0, dtype=torch.int32),
    )


def made(family, seeds, *, layout="mixed", outputs=3, **options):
    rows = rows_of(LAYOUTS[layout], 40)
    return build(
        small(family, **options), LAYOUTS[layout], rows.numbers, outputs=outputs, prior=torch.zeros(outputs),
        seeds=seeds, targets=None, rows=rows,
    )  # fmt: skip


def answers(network, rows):
    return network(rows.numbers, rows.extras, rows.codes)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_members_times_heads_rows_outputs(family, layout):
    network = made(family, (3, 4), layout=layout)
    found = answers(network, rows_of(LAYOUTS[layout], 7, seed=1))
    assert found.shape == (2 * network.heads, 7, 3)
    assert found.isfinite().all()
    assert network.heads == (2 if family.startswith("tabm") else 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_members_are_networks_of_their_own(family):
    together = made(family, (3, 9, 5), dropout=0.3)
    together.train().noise.seed((1, 2, 3))
    rows = rows_of(LAYOUTS["mixed"], 21, seed=1)
    outputs = answers(together, rows)
    outputs.square().mean((1, 2)).sum().backward()
    for place, seed in enumerate((3, 9, 5)):
        alone = made(family, (seed,), dropout=0.3)
        alone.train().noise.seed((place + 1,))
        own = answers(alone, rows)
        own.square().mean((1, 2)).sum().backward()
        heads = slice(place * together.heads, (place + 1) * together.heads)
        assert torch.equal(outputs[heads], own)
        for (name, whole), one in zip(together.named_parameters(), alone.parameters(), strict=True):
            assert torch.equal(whole[place], one[0]), name
            assert whole.grad is not None, name
            # On some processors a product of one member takes another kernel, which adds in another order.
            torch.testing.assert_close(whole.grad[place], one.grad[0], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_that_is_cut_is_that_of_the_members_that_stay(family):
    network, rows = made(family, (3, 9, 5), dropout=0.3), rows_of(LAYOUTS["mixed"], 21, seed=1)
    network.set_dropout([0.1, 0.2, 0.4])
    network.train().noise.seed((1, 2, 3))
    network.cut([2, 0])
    other = made(family, (5, 3), dropout=0.3)
    other.set_dropout([0.4, 0.1])
    other.train().noise.seed((3, 1))
    assert torch.equal(answers(network, rows), answers(other, rows))
    assert torch.equal(answers(network.eval(), rows), answers(other.eval(), rows))
    assert network.members == 2
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == {
        name: tensor.shape for name, tensor in other.state_dict().items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_factors_name_every_parameter(family):
    network = made(family, (0,))
    factors = network.factors()
    assert set(factors) == {name for name, _ in network.named_parameters()}
    assert all(rate > 0.0 and decay in (0.0, 1.0) for rate, decay in factors.values())
    biases = [name for name in factors if name.endswith("bias") and not name.startswith("features.vectors")]
    assert not any(factors[name][1] for name in biases)  # the paper of realmlp decays its vectors whole


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reset_starts_from_the_seeds_again(family):
    network = made(family, (3, 4))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    network.reset((3, 4), torch.zeros(3))
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_exports_with_any_number_of_rows(family):
    network, rows = made(family, (1, 2)).eval(), rows_of(LAYOUTS["mixed"], 9, seed=2)
    count = torch.export.Dim("rows", min=1, max=1 << 20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        program = torch.onnx.export(
            network, (rows.numbers, rows.extras, rows.codes.long()), dynamo=True, opset_version=20, verbose=False,
            dynamic_shapes=({0: count}, {0: count}, {0: count}),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (1, 9):
        part = rows[:size]
        fed = [part.numbers.numpy(), part.extras.numpy(), part.codes.long().numpy()]
        found = session.run(None, dict(zip([i.name for i in session.get_inputs()], fed, strict=True)))[0]
        with torch.inference_mode():
            np.testing.assert_allclose(found, answers(network, part).numpy(), atol=1e-5)


@pytest.mark.parametrize("family", ["realmlp", "tabm"])
def test_frequencies_of_a_number_are_spread(family):
    options = {"numbers": "periodic"} if family == "tabm" else {}
    options |= {"frequency_scale": 0.1, "frequency_spread": 100.0, "frequencies": 3}
    network = made(family, range(400), members=400, **options)
    spread = network.features.vectors.frequency.detach().std((0, 1)).flatten()
    assert spread.tolist() == pytest.approx([0.1, 1.0, 10.0], rel=0.1)


def test_a_single_frequency_has_the_scale():
    assert frequency_scales(ModelConfig(frequencies=1, frequency_scale=0.2, frequency_spread=50.0)) == [0.2]


def test_auto_is_no_family():
    with pytest.raises(ValueError, match="still 'auto'"):
        build(ModelConfig(), LAYOUTS["numbers"], torch.randn(5, 3), outputs=1, prior=torch.zeros(1), seeds=(0,))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rows_asked_at_once_go_by_one_member_or_shrink_with_more(family):
    alone, beside = made(family, [1]), made(family, range(40))
    assert 1 <= beside.rows_at_once <= alone.rows_at_once <= 8192
    if family != "ft_transformer":  # whose attention grows with members: it is bounded for all together
        assert beside.rows_at_once == alone.rows_at_once


def test_a_layer_of_a_network_that_is_asked_has_a_bounded_work_space():
    network = made("tabm", [1], width=512, heads=32)
    assert network.rows_at_once * 32 * 512 == 1 << 17
    wide = made("resnet", [1], width=512, expansion=4.0)
    assert wide.rows_at_once * 512 * 4 == 1 << 17


def test_answers_do_not_depend_on_how_many_rows_are_asked_at_once():
    network = made("tabm", [1, 2])
    rows = rows_of(LAYOUTS["mixed"], 1000)
    whole = answers(network.eval(), rows)
    network.rows_at_once = 96
    np.testing.assert_allclose(predict(network, rows).numpy(), whole.detach().numpy(), rtol=1e-5, atol=1e-6)
