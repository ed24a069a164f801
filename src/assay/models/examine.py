"""What a module of the user's own must be before it is trained: asked on real rows, and refused with the reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from assay.data.encoding.encode import Encoded
from assay.errors import ConfigError
from assay.models.foreign import ForeignNetwork, buffer_places
from assay.models.quoting import quoted

#: Rows a module is asked about, and how many of them alone.
ROWS, _ALONE = 64, 3
#: Rows are also asked about this many times further out: only a bounded answer stays within 0 and 1 there.
_FAR = 1000.0
#: Largest difference between a row's answers in company and alone, relative to 1 + its size.
_SAME = 1e-4
_BOUNDED = (nn.Sigmoid, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.LogSigmoid)
_HALF = (*_BOUNDED, nn.ReLU, nn.Softplus, nn.Tanh, nn.ReLU6, nn.Hardtanh, nn.Hardsigmoid)


@dataclass(frozen=True)
class Examined:
    """What was found.

    fewest_rows: of a training batch, 1 or 2. is_constant: whether it answers all rows alike so far. seconds: what
    reading it for the export took.
    """

    fewest_rows: int
    is_constant: bool
    seconds: float


def examine(network: ForeignNetwork, rows: Encoded) -> Examined:
    """Ask the module about training rows, and leave it as it was; lazy layers get their sizes.

    Raises:
        ConfigError: it cannot be trained, tested or exported as it is; the error says why.
    """
    rows = rows[torch.arange(max(2, min(ROWS, len(rows)))) % len(rows)].reading(network.reads)
    network.eval()
    _check_made(network.module)
    with torch.no_grad(), _unchanged(network.module):
        _ask(network, rows)  # lazy layers learn their sizes here
    _check_made(network.module)
    _check_learning(network.module)
    _check_last_layer(network)
    with torch.no_grad(), _unchanged(network.module):
        answers = _ask(network, rows)
        _check_finite(answers)
        _check_alone(network, rows, answers)
        refuse_probabilities(network, rows)
    fewest = _try_training(network, rows)
    began = time.monotonic()
    _check_export(network, rows)
    return Examined(fewest, bool((answers == answers[:, :1]).all()), time.monotonic() - began)


def refuse_probabilities(network: ForeignNetwork, rows: Encoded) -> None:
    """Refuse a classifier whose answers are probabilities, or their logarithms, where logits are meant.

    A model that answers all rows alike is not judged: that may be a start at the prior.

    Raises:
        ConfigError: they are.
    """
    rows = rows[:ROWS]
    given = network.inputs(rows.numbers, rows.extras, rows.codes, *rows.media)
    answers = network.ask(given).reshape(len(rows), -1)
    if network.outputs == 1 or bool((answers == answers[:1]).all()):
        return
    if network.single or network.has_labels:
        further = _further(given)
        is_share = _within(answers) and further is not None and _within(network.ask(further))
    else:
        is_share = _within(answers) and _are_zero(answers.sum(1) - 1.0)
    is_logarithm = not (network.single or network.has_labels) and _are_zero(answers.logsumexp(1))
    if is_share or is_logarithm:
        came = f"its answers on the first rows are {'' if is_share else 'logarithms of '}probabilities"
        raise _is_probability(network, came)


def _within(answers: Tensor) -> bool:
    return bool(((answers >= 0.0) & (answers <= 1.0)).all())


def _are_zero(numbers: Tensor) -> bool:
    return bool((numbers.abs() < _SAME).all())


def _further(given: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor] | None:
    """The same inputs far out, or None where only codes are given."""
    if isinstance(given, Tensor):
        return given * _FAR
    moved = {name: part * _FAR if part.is_floating_point() else part for name, part in given.items()}
    return moved if any(part.is_floating_point() and part.numel() for part in given.values()) else None


def _is_probability(network: ForeignNetwork, came: str) -> ConfigError:
    taken = "sigmoid of each label" if network.has_labels else "softmax"
    return ConfigError(
        f"a classifier must return logits: assay takes the {taken} itself, in training as in the saved model",
        came,
        "Remove the last softmax or sigmoid.",
    )


def _ask(network: ForeignNetwork, rows: Encoded) -> Tensor:
    answers: Tensor = network(rows.numbers, rows.extras, rows.codes, *rows.media)
    return answers


def _check_made(module: nn.Module) -> None:
    """Type and place of the parameters that are there already."""
    made = [p for p in module.parameters() if _is_made(p)]
    types = sorted({str(p.dtype).removeprefix("torch.") for p in made if p.requires_grad})
    if types not in ([], ["float32"]):
        raise ConfigError(
            "all parameters that learn must be float32, as the rows are",
            f"they are {', '.join(types)}",
            "Convert the model with .float().",
        )
    devices = sorted({str(p.device) for p in made})
    if devices not in ([], ["cpu"]):
        raise ConfigError(
            "a model must be on the CPU when it is passed: assay moves it to where it trains",
            f"its parameters are on {', '.join(devices)}",
            "Move it with .to('cpu'), and choose the device with train.device.",
        )


def _check_learning(module: nn.Module) -> None:
    named = list(module.named_parameters())
    learning = [(name, p) for name, p in named if p.requires_grad]
    if not learning:
        raise ConfigError(
            "a model must have parameters that learn",
            f"it has {len(named)} parameters, none of them with requires_grad" if named else "it has no parameters",
            "Give it layers, or set requires_grad on some parameters.",
        )
    sparse = [name for name, part in module.named_modules() if getattr(part, "sparse", False) is True]
    if sparse:
        raise ConfigError(
            "the gradients of a model must be dense", f"{sparse[0]} makes sparse ones", "Give it sparse=False."
        )
    _check_memory(learning)


def _check_memory(learning: list[tuple[str, nn.Parameter]]) -> None:
    """Two parameters must not share memory; weights tied the usual way are one parameter with two names."""
    owners: dict[int, str] = {}
    for name, parameter in learning:
        first = owners.setdefault(parameter.untyped_storage().data_ptr(), name)
        if first != name and parameter.numel():
            raise ConfigError(
                "parameters must have memory of their own",
                f"{first} and {name} are two parameters in one memory",
                "Tie weights by assigning the parameter itself, as in `self.last.weight = self.first.weight`.",
            )


def _check_last_layer(network: ForeignNetwork) -> None:
    """Refuse what a Sequential ends in where it cannot be right."""
    last: nn.Module = network.module
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    name = type(last).__name__
    if network.outputs == 1 and isinstance(last, _HALF):
        raise ConfigError(
            "a model for values must be able to give any number: the target is standardised",
            f"the module ends in {name}",
            f"Remove the last {name}.",
        )
    if network.outputs > 1 and isinstance(last, _BOUNDED):
        raise _is_probability(network, f"the module ends in {name}")


def _check_finite(answers: Tensor) -> None:
    bad = int((~answers.isfinite()).any(dim=2).sum())
    if bad:
        raise ConfigError(
            "a model must answer with finite numbers",
            f"before any training it returns NaN or infinity for {bad} of {answers.shape[1]} rows",
            "The features are finite and scaled; look at its initial weights, logarithms, roots and divisions.",
        )


def _check_alone(network: ForeignNetwork, rows: Encoded, answers: Tensor) -> None:
    """In eval mode a row's answer must depend on the row alone, or scores and saved model would differ by chance."""
    for place in range(min(_ALONE, len(rows))):
        alone = _ask(network, rows[place : place + 1])[:, 0]
        together = answers[:, place]
        if not bool(((alone - together).abs() <= _SAME * (1.0 + together.abs())).all()):
            raise ConfigError(
                "in eval mode a model's answer must depend on the row alone",
                f"row {place + 1} gets another answer when it is asked about alone, or a second time",
                "Use nn.Dropout and nn.BatchNorm1d, which eval mode switches off; functional.dropout needs "
                "training=self.training.",
            )


def _try_training(network: ForeignNetwork, rows: Encoded) -> int:
    """A forward pass in training mode; the fewest rows it can take: batch norm needs two."""
    network.train()
    with _unchanged(network.module):
        if not _ask(network, rows).requires_grad:
            raise ConfigError(
                "a model's answer must depend on its parameters",
                "no gradient leads from its answer to any of them",
                "Look for .detach(), .data, torch.no_grad() or argmax in its forward.",
            )
        try:
            _ask(network, rows[:1])
            fewest = 1
        except ConfigError:
            _ask(network, rows[:2])
            fewest = 2
    network.eval()
    return fewest


def _check_export(network: ForeignNetwork, rows: Encoded) -> None:
    """The saved model is a graph: what cannot become one is refused before it is trained."""
    free = {0: torch.export.Dim("rows", min=1, max=1 << 24)}
    given = (rows.numbers, rows.extras, rows.codes.long(), *rows.media)
    shapes = (free, free, free, *([(free,) * len(rows.media)] if rows.media else []))
    try:
        with torch.no_grad(), _unchanged(network.module):
            torch.export.export(network, given, dynamic_shapes=shapes, strict=False)
    except Exception as error:
        raise ConfigError(
            "a model must be one graph of tensor operations, so that it can be saved without its code",
            f"torch.export raised {type(error).__name__}: {quoted(error)}",
            "Avoid Python conditions on the values of tensors, .item(), NumPy, and sizes that are written down instead "
            "of taken from the rows; torch.where chooses by value.",
        ) from error


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Buffers and parameters without gradients are put back at the end as they were; random draws too."""
    places = [
        (owner, name, buffer, buffer.clone()) for owner, name, buffer in buffer_places(module) if _is_made(buffer)
    ]
    frozen = [(p, p.detach().clone()) for p in module.parameters() if not p.requires_grad and _is_made(p)]
    with torch.random.fork_rng(devices=[]):
        yield
    with torch.no_grad():
        for owner, name, buffer, before in places:
            buffer.copy_(before)
            owner._buffers[name] = buffer
        for parameter, before in frozen:
            parameter.copy_(before)


def _is_made(tensor: Tensor) -> bool:
    return not isinstance(tensor, (UninitializedParameter, UninitializedBuffer))
