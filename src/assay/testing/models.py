"""The contract of networks: what training, saving and averaging take for granted of every one of them.

A network of your own is done when both checks pass:

    def test_my_network(tmp_path):
        layout = Layout(numbers=3, extras=2, vocabularies=(4, 12))
        network = MyNetwork(3, layout, ...)
        network.reset([1, 2, 3], torch.zeros(2))
        check_network(network, layout)
        check_export(network, layout, tmp_path)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Encoded, Layout
from assay.models.network import Network

#: Largest difference of outputs that should be the same but need not be to the last bit.
_CLOSE = 1e-4


def random_inputs(layout: Layout, rows: int, seed: int = 0) -> Encoded:
    """Inputs of `rows` rows that a network of `layout` can be given: normal numbers and extras, any codes."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.zeros((rows, len(layout.vocabularies)), dtype=torch.int32)
    for place, size in enumerate(layout.vocabularies):
        codes[:, place] = torch.randint(size, (rows,), generator=generator, dtype=torch.int32)
    numbers, extras = (torch.randn(rows, size, generator=generator) for size in (layout.numbers, layout.extras))
    return Encoded(numbers, extras, codes)


def check_network(network: Network, layout: Layout) -> None:
    """Check all of the contract but the export; `network` is left as it was.

    It should have several members, and dropout where it can have any, or what concerns these is not seen.

    Raises:
        AssertionError: a rule is broken; the message says which.
    """
    made = deepcopy(network)
    _check_axes(made)
    _check_factors(made)
    _check_outputs(made, layout)
    _check_reset(made, layout)
    _check_prior(made, layout)
    _check_members(made, layout)
    _check_noise(made, layout)
    _check_gradients(made, layout)
    _check_copies(made, layout)


def check_export(network: Network, layout: Layout, directory: Path) -> None:
    """Check that the network can be written as ONNX with any number of rows, and that the file answers alike.

    Raises:
        AssertionError: the file's answers differ by more than 1e-5.
    """
    import onnxruntime

    made = deepcopy(network).eval()
    _disturb(made)
    present = [name for name, size in _sizes(layout).items() if size]
    if not present:
        return
    path = directory / "network.onnx"
    _write_onnx(made, layout, present, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (1, 2, 33):
        inputs = random_inputs(layout, rows, seed=rows)
        given = {name: getattr(inputs, name).numpy() for name in present}
        given = {name: array.astype(np.int64) if name == "codes" else array for name, array in given.items()}
        (found,) = session.run(None, given)
        expected = _answers(made, inputs)
        _must(found.shape == tuple(expected.shape), f"be exported with any number of rows; {rows} gave {found.shape}")
        distance = float(np.abs(found - expected.numpy()).max())
        _must(distance < 1e-5, f"answer in ONNX as in torch; {rows} rows differed by {distance:.3g}")


def _must(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"a network must {rule}")


def _call(network: nn.Module, inputs: Encoded) -> Tensor:
    found: Tensor = network(inputs.numbers, inputs.extras, inputs.codes)
    return found


def _answers(network: Network, inputs: Encoded) -> Tensor:
    network.eval()
    with torch.inference_mode():
        return _call(network, inputs)


def _outputs_of(network: Network, layout: Layout) -> int:
    return _answers(network, random_inputs(layout, 3)).shape[2]


def _seeds(network: Network, first: int = 11) -> list[int]:
    return list(range(first, first + network.members))


def _disturb(network: Network) -> None:
    """Move all parameters a little, so that nothing is zero because it starts so."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def _state(network: Network) -> dict[str, Tensor]:
    found = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    return found | {name: tensor.clone() for name, tensor in network.statistics().items()}


def _check_axes(network: Network) -> None:
    _must(network.members >= 1 and network.heads >= 1, "have at least one member with one head")
    for name, tensor in _state(network).items():
        _must(
            tensor.shape[:1] == (network.members,),
            f"give {name} a leading axis of members; it is {tuple(tensor.shape)}",
        )


def _check_factors(network: Network) -> None:
    factors, names = network.factors(), {name for name, _ in network.named_parameters()}
    _must(set(factors) == names, f"name each parameter in factors(); {sorted(set(factors) ^ names)} differ")
    _must(all(min(pair) >= 0 for pair in factors.values()), "have factors of at least 0")


def _check_outputs(network: Network, layout: Layout) -> None:
    for rows in (0, 1, 7):
        inputs = random_inputs(layout, rows)
        found = _answers(network, inputs)
        expected = (network.members * network.heads, rows)
        _must(found.shape[:2] == expected, f"answer {rows} rows with {expected}, not {tuple(found.shape)}")
        _must(bool(found.isfinite().all()), "give finite outputs")
        wide = Encoded(inputs.numbers, inputs.extras, inputs.codes.long())
        _must(torch.equal(found, _answers(network, wide)), "take codes as int32 and as int64")
    inputs = random_inputs(layout, 9)
    alone = torch.cat([_answers(network, inputs[place : place + 1]) for place in range(9)], dim=1)
    distance = float((alone - _answers(network, inputs)).abs().max())
    _must(distance < _CLOSE, f"answer a row alike whatever other rows are asked about; it differed by {distance:.3g}")


def _check_reset(network: Network, layout: Layout) -> None:
    prior = torch.zeros(_outputs_of(network, layout))
    states = []
    for first in (11, 11, 12_345):
        network.reset(_seeds(network, first), prior)
        states.append((_state(network), network.noise.state()))
        _disturb(network)
        _call(network.train(), random_inputs(layout, 8))
    _must(_same(states[0][0], states[1][0]), "be the same after reset with the same seeds")
    _must(torch.equal(states[0][1], states[1][1]), "have the same noise after reset with the same seeds")
    _must(not torch.equal(states[0][1], states[2][1]), "have other noise after reset with other seeds")
    try:
        network.reset([*_seeds(network), 0], prior)
    except ValueError:
        return
    _must(False, "refuse more seeds than members with a ValueError")


def _check_prior(network: Network, layout: Layout) -> None:
    inputs, outputs = random_inputs(layout, 8), _outputs_of(network, layout)
    prior = torch.linspace(-0.5, 0.5, outputs) if outputs > 1 else torch.tensor([0.2])
    network.reset(_seeds(network), prior)
    if network.starts_at_prior:
        distance = float((_answers(network, inputs) - prior).abs().max())
        _must(distance < _CLOSE, f"start at the prior, or say starts_at_prior = False; it is {distance:.3g} away")
    each = torch.stack([prior + 0.1 * member for member in range(network.members)])
    network.reset(_seeds(network), each)
    shifted = _call(network.train(), inputs).detach()
    network.reset(_seeds(network), torch.zeros_like(prior))
    change = shifted - _call(network.train(), inputs).detach()
    expected = each.repeat_interleave(network.heads, 0).unsqueeze(1)
    _must(bool((change - expected).abs().max() < _CLOSE), "add the prior to its outputs, (outputs,) or (M, outputs)")


def _check_members(network: Network, layout: Layout) -> None:
    """Members only depend on their seeds: in another order, they are the same to the last bit."""
    prior, inputs = torch.zeros(_outputs_of(network, layout)), random_inputs(layout, 32)
    seeds = _seeds(network)
    found = []
    for order in (seeds, seeds[::-1]):
        network.reset(order, prior)
        weights = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        outputs = _call(network.train(), inputs)
        found.append((weights, outputs.detach().unflatten(0, (network.members, network.heads))))
    for name, parameter in found[0][0].items():
        _must(torch.equal(parameter, found[1][0][name].flip(0)), f"draw {name} of a member from its own seed only")
    _must(torch.equal(found[0][1], found[1][1].flip(0)), "compute a member, with dropout, as if it were alone")


def _check_noise(network: Network, layout: Layout) -> None:
    inputs = random_inputs(layout, 16)
    network.reset(_seeds(network), torch.zeros(_outputs_of(network, layout)))
    _disturb(network)
    state = network.noise.state()
    torch.manual_seed(0)
    first = _call(network.train(), inputs)
    network.noise.restore(state)
    torch.manual_seed(1)
    _must(torch.equal(first, _call(network, inputs)), "take all random bits of training from its noise")
    network.set_dropout([0.0] * network.members)
    _must(torch.equal(_call(network, inputs), _call(network, inputs)), "drop nothing once set_dropout gave 0 to all")


def _check_gradients(network: Network, layout: Layout) -> None:
    network.reset(_seeds(network), torch.zeros(_outputs_of(network, layout)))
    _disturb(network)
    named = dict(network.named_parameters())
    _call(network.train(), random_inputs(layout, 16))[: network.heads].square().sum().backward()
    for name, parameter in named.items():
        if parameter.grad is None:
            _must(parameter.numel() == 0, f"use all its parameters; {name} had no gradient")
            continue
        _must(not bool(parameter.grad[1:].any()), f"keep members apart; {name} of another member had a gradient")
        _must(bool(parameter.grad.isfinite().all()), f"have finite gradients; {name} had others")
        parameter.grad = None


def _check_copies(network: Network, layout: Layout) -> None:
    """Copies, other types and saved states answer alike."""
    inputs = random_inputs(layout, 5)
    expected = _answers(network, inputs)
    double = deepcopy(network).double()
    found = _answers(double, Encoded(inputs.numbers.double(), inputs.extras.double(), inputs.codes))
    _must(found.dtype == torch.float64, "compute in float64 after .double()")
    _must(bool((found - expected).abs().max() < _CLOSE), "answer in float64 as in float32")
    saved = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.reset(_seeds(network, 99), torch.zeros(expected.shape[2]))
    network.load_state_dict(saved)
    _must(torch.equal(_answers(network, inputs), expected), "answer as before once its state_dict is loaded again")


def _sizes(layout: Layout) -> dict[str, int]:
    return {"numbers": layout.numbers, "extras": layout.extras, "codes": len(layout.vocabularies)}


class _Present(nn.Module):
    """The network with only the inputs that have columns; the others are empty."""

    def __init__(self, network: Network, present: list[str]) -> None:
        super().__init__()
        self.network, self.present = network, present

    def forward(self, *given: Tensor) -> Tensor:
        found = dict(zip(self.present, given, strict=True))
        rows = given[0].shape[0]
        out: Tensor = self.network(
            found.get("numbers", torch.zeros((rows, 0))),
            found.get("extras", torch.zeros((rows, 0))),
            found.get("codes", torch.zeros((rows, 0), dtype=torch.int64)),
        )
        return out


def _write_onnx(network: Network, layout: Layout, present: list[str], path: Path) -> None:
    sizes = _sizes(layout)
    example = tuple(
        torch.zeros((3, sizes[name]), dtype=torch.int64 if name == "codes" else torch.float32) for name in present
    )
    rows = torch.export.Dim("rows", min=1, max=1 << 24)
    with warnings.catch_warnings():
        # One name for the rows of all inputs is what is meant.
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        program = torch.onnx.export(
            _Present(network, present).eval(),
            example,
            dynamo=True,
            opset_version=20,
            dynamic_shapes=(tuple({0: rows} for _ in present),),
            input_names=present,
            verbose=False,
        )
    _must(program is not None, "be exported by torch.onnx.export(dynamo=True)")
    if program is not None:
        program.save(path)
