"""Networks of trials, kept beside what they answered: a study can make its model of them without another training.

`<number>.safetensors` has what the members of a trial learned, variant by variant and within a variant fold by fold,
and how they were trained as JSON in its header. They are worth keeping for the best trials only; see `keep_best`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from assay.data.encoding.batches import Batch
from assay.errors import BundleError
from assay.models.network import Network
from assay.records import Record
from assay.search.planning.jobs import Job
from assay.search.study.answered import whole_file
from assay.search.study.trial import Trial
from assay.train.batch_size import scaled_rate
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.loop import Trained, predict
from assay.train.losses import member_losses, selection_losses
from assay.train.model import TrainedNetwork, network_of
from assay.train.part import Part
from assay.train.together import Learned
from assay.train.watch import Epoch

_SUFFIX, _TRAINED = ".safetensors", "trained"
#: How far the mean loss of a network may be from that of its trial, as a share of it or of the least loss that is told
#: apart: members were in other batches, and validation in 16 bits (of sure answers above all) is not what the float32
#: of a model gives. Numbers of another network are further off.
_ALIKE, _ALIKE_16, _LEAST_LOSS = 1e-3, 0.25, 0.1


class _Header(Record):
    """The trial, and a `Trained` without what is known of all: it lost no member, and nobody interrupted it."""

    number: int
    epochs: tuple[Epoch, ...]
    best_epochs: tuple[int, ...]
    best_losses: tuple[float, ...]
    steps: int
    horizon: int
    batch: int
    threads: int
    precision: str
    stopped: str
    clipped: float
    skipped: int
    limited_by_budget: bool
    unused: tuple[str, ...]


def keep_network(folder: Path, number: int, learned: Sequence[Learned]) -> None:
    """Write what the members of a trial learned, in their order; a crash leaves the whole file or none.

    Raises:
        OSError: there is no room on the disk.
    """
    names = learned[0].numbers
    tensors = {name: torch.cat([each.numbers[name] for each in learned]) for name in names}
    body = save(tensors, metadata={_TRAINED: _together(number, [each.trained for each in learned]).model_dump_json()})
    with whole_file(_path(folder, number)) as stream:
        stream.write(body)


def has_network(folder: Path, number: int) -> bool:
    """Whether the network of a trial was kept."""
    return _path(folder, number).is_file()


def any_network(folder: Path) -> bool:
    """Whether the network of any trial was kept."""
    return any(folder.glob(f"*{_SUFFIX}"))


def keep_best(folder: Path, numbers: Collection[int]) -> None:
    """Remove the networks of all trials but these."""
    kept = {_path(folder, number).name for number in numbers}
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def read_network(folder: Path, number: int, seconds: float) -> tuple[dict[str, Tensor], Trained]:
    """What the members of a trial learned, by name, and how they were trained, in so many seconds.

    Raises:
        BundleError: the file is missing or damaged.
    """
    path = _path(folder, number)
    try:
        with safe_open(path, framework="pt") as file:
            header = _Header.from_json((file.metadata() or {}).get(_TRAINED, ""), str(path))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise BundleError("the network of a trial must be readable", f"{path.name} is not ({error}; {path})",
                          "Remove it: the best setting is then trained anew.") from None  # fmt: skip
    if header.number != number:
        raise BundleError("the network of a trial must be its own", f"{path.name} is that of trial {header.number}",
                          "Remove it: the best setting is then trained anew.")  # fmt: skip
    said = {name: getattr(header, name) for name in _Header.model_fields if name != "number"}
    return tensors, Trained(**said, lost=(), seconds=seconds, interrupted=False)


def assembled(folder: Path, trial: Trial, job: Job, seconds: float, found: Examples) -> TrainedNetwork:
    """The network of a trial as it was judged, with a member for each variant and fold.

    Args:
        folder: of the networks and the answers. trial: that has a network there. job: what it asks for.
        seconds: that it took.
        found: what it learned from and was judged by.

    Raises:
        BundleError: the network is missing or damaged, or is not judged as the trial was.
    """
    numbers, trained = read_network(folder, trial.number, seconds)
    seeds = [trial.seed + place for place in range(len(trained.best_epochs))]
    make = partial(network_of, found, job.model)
    network = make(seeds)
    rows = found.judged(job.model.members)
    first = float(member_losses(predict(network, rows.inputs), rows, heads=network.heads).mean())
    _filled(network, numbers)
    _check(folder, trial.number, network, rows, job.train, trained)
    config = job.train.model_copy(update={"lr": job.train.lr * scaled_rate(job.train, trained.batch)})
    part = Part(
        f"{job.name} (trial {trial.number})", job.model, config, trained, len(seeds), network.parameter_count,
        shown=network.shown, origin=f"trial {trial.number} of the search", seed=trial.seed,
    )  # fmt: skip
    return TrainedNetwork(network, part, first, make)


def _check(folder: Path, number: int, network: Network, rows: Batch, config: TrainConfig, trained: Trained) -> None:
    """See that members are judged as they were when they were kept, for what is shipped must be what was judged.

    Raises:
        BundleError: they are not.
    """
    outputs = predict(network, rows.inputs)
    judged = selection_losses(config.select, outputs, rows, network.heads)
    then = sum(trained.best_losses) / len(trained.best_losses)
    far = abs(float(judged.mean()) - then) / max(abs(then), _LEAST_LOSS)
    if not far <= (_ALIKE if trained.precision == "float32" else _ALIKE_16):
        raise BundleError(
            "the network of a trial must be judged as the trial was", f"its loss differs by {far:.1%}",
            f"Remove {_path(folder, number)}: the best setting is then trained anew.",
        )  # fmt: skip


def _filled(network: Network, numbers: Mapping[str, Tensor]) -> Network:
    """The network with these numbers, ready to answer.

    Raises:
        BundleError: they are of another network.
    """
    own = network.state_dict()
    learned = {name for name, _ in network.lasting_parameters()} | set(network.statistics())
    for name in learned | set(numbers):
        here, there = own.get(name), numbers.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise BundleError("the network of a trial must be the one that its setting asks for",
                              f"{name!r} is not of its shape", "Begin a new study with this version.")  # fmt: skip
        here.copy_(there)
    return network.eval()


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number}{_SUFFIX}"


def _together(number: int, each: Sequence[Trained]) -> _Header:
    """How the members were trained, as one: losses are the means over them."""
    first = each[0]
    passes = zip(*(one.epochs for one in each), strict=False)  # folds may end an epoch apart when time is over
    epochs = [
        some[0].model_copy(
            update={
                "train_loss": sum(epoch.train_loss for epoch in some) / len(some),
                "valid_loss": sum(epoch.valid_loss for epoch in some) / len(some),
            }
        )
        for some in passes
    ]
    whole = replace(
        first, epochs=tuple(epochs), best_epochs=tuple(one.best_epochs[0] for one in each),
        best_losses=tuple(one.best_losses[0] for one in each), skipped=sum(one.skipped for one in each),
        clipped=sum(one.clipped for one in each) / len(each),
        limited_by_budget=any(one.limited_by_budget for one in each),
    )  # fmt: skip
    return _Header(number=number, **{name: getattr(whole, name) for name in _Header.model_fields if name != "number"})
