"""Trainings with one known bug each, and as many without: what `doctor.py` judges the rules by.

A `Training` is drawn for a data set and a seed: rows, network, optimiser and batch size differ from seed to seed. A bug
changes one thing of it and names the rules that should notice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_classification, make_friedman1
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import Subject

TABLES, PICTURES, SERIES, VALUES = "table", "pictures", "series", "values"
CLASSES = (TABLES, PICTURES, SERIES)


@dataclass
class Training:
    """One training; bugs change its fields. `style` is how a step is done: which of its parts are left out."""

    data: str
    seed: int
    x: Tensor
    y: Tensor
    valid_x: Tensor
    valid_y: Tensor
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    rate: float
    batch: int
    optimiser: str = "adam"
    shuffle: bool = True
    drop_last: bool = False
    sampler: list[int] | None = None
    zeroes: bool = True
    steps: bool = True
    trains: bool = True
    evals: bool = True
    learns_in_evaluation: bool = False
    own_step: bool = False
    clip: float | None = None
    noise_source: np.random.Generator | None = None
    optimised: Callable[[nn.Module], list[nn.Parameter]] = lambda model: list(model.parameters())


def draw(data: str, seed: int) -> Training:
    """A healthy training."""
    rng = np.random.default_rng([seed, sum(map(ord, data))])
    torch.manual_seed(int(rng.integers(1 << 30)))
    x, y = ROWS[data](rng)
    order = rng.permutation(len(x))
    cut = int(len(x) * 0.7)
    first, rest = order[:cut], order[cut:]
    if x.ndim == 2:
        scaler = StandardScaler().fit(x[first])
        x = scaler.transform(x)
    if data == VALUES:
        y = (y - y[first].mean()) / y[first].std()
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    y = y.float() if data == VALUES else y.long()
    outputs = 1 if data == VALUES else int(y.max()) + 1
    network, dropout = NETWORKS[data](rng, x.shape, outputs), float(rng.choice([0.0, 0.2]))
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    # A recurrent network with plain SGD hardly moves in a few hundred steps, which would be a bug of its own.
    optimiser = str(rng.choice(["adam", "adamw"] if data == SERIES else ["adam", "adamw", "sgd"]))
    rate = {"adam": 3e-3, "adamw": 3e-3, "sgd": 5e-2}[optimiser] * float(rng.choice([0.7, 1.0]))
    loss = nn.MSELoss() if data == VALUES else nn.CrossEntropyLoss()
    return Training(
        data, seed, x[first], y[first], x[rest], y[rest], network, loss, rate, int(rng.choice([16, 32, 64])),
        optimiser, drop_last=True, own_step=bool(rng.random() < 0.5),
    )  # fmt: skip


def _table(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if rng.random() < 0.5:
        return load_breast_cancer(return_X_y=True)
    return make_classification(
        900, 12, n_informative=8, n_redundant=2, n_classes=3, class_sep=1.3, random_state=int(rng.integers(1 << 30))
    )


def _pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits()
    kept = rng.permutation(len(bunch.target))[:1400]
    return (bunch.images[kept, None] - 4.9) / 6.0, bunch.target[kept]


def _series(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy waves of three frequencies, two channels, 24 steps."""
    label = rng.integers(0, 3, 900)
    time = np.arange(24)[None, :]
    turns = 2 * np.pi * time * (label[:, None] + 1) / 24 + rng.uniform(0, 6.28, (900, 1))
    waves = np.stack([np.sin(turns), np.cos(turns)], axis=2)
    return waves + rng.normal(0, 0.4, waves.shape), label


def _values(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return make_friedman1(900, 8, noise=0.5, random_state=int(rng.integers(1 << 30)))


ROWS = {TABLES: _table, PICTURES: _pictures, SERIES: _series, VALUES: _values}


def perceptron(rng: np.random.Generator, shape: torch.Size, outputs: int) -> nn.Module:
    width, activation = int(rng.choice([32, 64])), (nn.ReLU, nn.Tanh)[rng.integers(2)]
    norm = bool(rng.random() < 0.5)
    layers: list[nn.Module] = []
    inputs = int(np.prod(shape[1:]))
    for _ in range(int(rng.integers(1, 4))):
        layers += [nn.Linear(inputs, width), *([nn.BatchNorm1d(width)] if norm else []), activation(), nn.Dropout(0.0)]
        inputs = width
    last = [nn.Flatten(0)] if outputs == 1 else []
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(inputs, outputs), *last)


def convolutions(rng: np.random.Generator, _shape: torch.Size, outputs: int) -> nn.Module:
    width, norm = int(rng.choice([8, 16])), bool(rng.random() < 0.5)
    layers: list[nn.Module] = []
    inputs = 1
    for at in range(2):
        layers += [nn.Conv2d(inputs, width * (at + 1), 3, padding=1)]
        layers += [nn.BatchNorm2d(width * (at + 1))] * norm + [nn.ReLU(), nn.MaxPool2d(2)]
        inputs = width * (at + 1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.0), nn.Linear(inputs * 4, outputs))


class Recurrent(nn.Module):
    def __init__(self, channels: int, width: int, outputs: int, *, batch_first: bool = True) -> None:
        super().__init__()
        self.inner = nn.GRU(channels, width, batch_first=batch_first)
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.inner(x)[0][:, -1]))


def recurrent(rng: np.random.Generator, shape: torch.Size, outputs: int) -> nn.Module:
    return Recurrent(shape[2], int(rng.choice([16, 32])), outputs)


NETWORKS = {TABLES: perceptron, PICTURES: convolutions, SERIES: recurrent, VALUES: perceptron}


def subject(made: Training) -> Subject:
    """The training as a subject of the doctor."""
    learning = made.optimised(made.model)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    more = {"momentum": 0.9} if made.optimiser == "sgd" else {}
    optimiser = kinds[made.optimiser](learning, lr=made.rate / (10 if more else 1), **more)
    rows = TensorDataset(made.x, made.y)
    generator = torch.Generator().manual_seed(made.seed)
    loader = DataLoader(
        rows, made.batch, shuffle=made.shuffle and made.sampler is None, sampler=made.sampler,
        drop_last=made.drop_last, generator=generator,
    )  # fmt: skip
    judging = DataLoader(TensorDataset(made.valid_x, made.valid_y), 128)
    own = made.own_step or not (made.zeroes and made.steps and made.trains) or made.clip or made.noise_source
    return Subject(
        made.model, made.loss, loader, judging, optimiser=optimiser,
        step=_step(made, optimiser) if own else None, evaluate=_evaluate(made, judging, optimiser) if own else None,
    )  # fmt: skip


def _step(made: Training, optimiser: torch.optim.Optimizer) -> Callable[[list[Tensor]], Tensor]:
    def step(batch: list[Tensor]) -> Tensor:
        x, y = batch
        if made.trains:
            made.model.train()
        if made.zeroes:
            optimiser.zero_grad()
        if made.noise_source is not None:
            x = x + torch.as_tensor(made.noise_source.normal(0, 0.1, x.shape), dtype=x.dtype)
        loss = made.loss(made.model(x), y)
        loss.backward()
        if made.clip:
            nn.utils.clip_grad_norm_(made.model.parameters(), made.clip)
        if made.steps:
            optimiser.step()
        return loss.detach()

    return step


def _evaluate(made: Training, judging: DataLoader, optimiser: torch.optim.Optimizer) -> Callable[[], float]:
    def evaluate() -> float:
        if made.evals:
            made.model.eval()
        if made.learns_in_evaluation:
            for x, y in judging:
                optimiser.zero_grad()
                made.loss(made.model(x), y).backward()
                optimiser.step()
        with torch.no_grad():
            return float(np.mean([float(made.loss(made.model(x), y)) for x, y in judging]))

    return evaluate


class Around(nn.Module):
    """A model with something done before or after it."""

    def __init__(
        self, inner: nn.Module, before: Callable | None = None, after: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x if self.before is None else self.before(x))
        return out if self.after is None else self.after(out)


@dataclass(frozen=True)
class Bug:
    """What is changed, where it can be, and the rules that should notice."""

    name: str
    change: Callable[[Training], None]
    notices: tuple[str, ...]
    data: tuple[str, ...] = CLASSES


def _set(**fields: object) -> Callable[[Training], None]:
    def change(made: Training) -> None:
        for name, value in fields.items():
            setattr(made, name, value)

    return change


def _add_norm(made: Training) -> None:
    """A training whose modes differ, for bugs that only then matter."""
    drop = nn.Dropout(0.3)
    made.model = nn.Sequential(drop, made.model)
    made.own_step = True


def _nan(made: Training) -> None:
    made.x.flatten(1)[3, 0] = float("nan")


def _unscaled(made: Training) -> None:
    made.x, made.valid_x = made.x * 300 + 800, made.valid_x * 300 + 800


def _one_outlier(made: Training) -> None:
    made.x[5] *= 1e5


def _shuffled_labels(made: Training) -> None:
    made.y = made.y[torch.randperm(len(made.y))]


def _noisy_labels(made: Training) -> None:
    wrong = torch.rand(len(made.y)) < 0.3
    made.y[wrong] = (made.y[wrong] + 1) % (int(made.y.max()) + 1)


def _sorted(made: Training) -> None:
    order = made.y.argsort()
    made.x, made.y, made.shuffle = made.x[order], made.y[order], False


def _overlap(made: Training) -> None:
    half = len(made.valid_x) // 2
    made.valid_x[:half], made.valid_y[:half] = made.x[:half], made.y[:half]


def _near_overlap(made: Training) -> None:
    half = len(made.valid_x) // 2
    made.valid_x[:half] = made.x[:half] + 0.01 * torch.randn_like(made.x[:half])
    made.valid_y[:half] = made.y[:half]


def _leak(made: Training) -> None:
    for x, y in ((made.x, made.y), (made.valid_x, made.valid_y)):
        flat = x.reshape(len(x), -1)
        flat[:, 0] = (y - y.float().mean()) / y.float().std()


def _imbalance(made: Training) -> None:
    for part in ("", "valid_"):
        x, y = getattr(made, f"{part}x"), getattr(made, f"{part}y")
        keep = (y != 0) | (torch.arange(len(y)) % 20 == 0)
        setattr(made, f"{part}x", x[keep])
        setattr(made, f"{part}y", y[keep])


def _other_scale(made: Training) -> None:
    made.valid_x = made.valid_x * 3.0 + 1.0


def _duplicates(made: Training) -> None:
    third = len(made.x) // 3
    made.x = torch.cat([made.x, made.x[:third]])
    made.y = torch.cat([made.y, made.y[:third]])


def _labels_from_one(made: Training) -> None:
    made.y, made.valid_y = made.y + 1, made.valid_y + 1


def _few_rows_of_it(made: Training) -> None:
    made.sampler = list(range(len(made.x) // 2))


def _softmax(made: Training) -> None:
    made.model = nn.Sequential(made.model, nn.Softmax(dim=1))


def _raw_nll(made: Training) -> None:
    made.loss = nn.NLLLoss()


def _broadcast(made: Training) -> None:
    made.model = Around(made.model, after=lambda out: out[:, None])
    made.loss = lambda out, y: ((out - y) ** 2).mean()


def _wrong_sign(made: Training) -> None:
    plain = made.loss
    made.loss = lambda out, y: -plain(out, y)


def _zeros_in(made: Training) -> None:
    made.model = Around(made.model, before=torch.zeros_like)


def _half_in(made: Training) -> None:
    def half(x: Tensor) -> Tensor:
        flat = x.flatten(1).clone()
        flat[:, flat.shape[1] // 2 :] = 0
        return flat.reshape(x.shape)

    made.model = Around(made.model, before=half)


def _softmax_over_batch(made: Training) -> None:
    made.model = Around(made.model, after=lambda out: out * out.softmax(dim=0) * len(out))


def _batch_mean(made: Training) -> None:
    made.model = Around(made.model, before=lambda x: x - x.mean(dim=0, keepdim=True) + 0.5 * x.flip(0))


def _always_dropping(made: Training) -> None:
    made.model = Around(made.model, before=lambda x: functional.dropout(x, 0.4))


def _detached(made: Training) -> None:
    made.model = nn.Sequential(Around(made.model, after=lambda out: out.detach()), _head(made))


def _head(made: Training) -> nn.Module:
    outputs = int(made.y.max()) + 1
    return nn.Linear(outputs, outputs)


def _unused(made: Training) -> None:
    made.model = Around(made.model)
    made.model.extra = nn.Linear(64, 64)


def _part_optimised(made: Training) -> None:
    made.optimised = lambda model: list(model.parameters())[-2:]


def _same_weights(made: Training) -> None:
    made.model = nn.Sequential(nn.Flatten(), nn.Linear(made.x[0].numel(), 32), nn.ReLU(), nn.Linear(32, _outputs(made)))
    nn.init.constant_(made.model[1].weight, 0.02)


def _outputs(made: Training) -> int:
    return int(made.y.max()) + 1


def _no_activation(made: Training) -> None:
    inputs = made.x[0].numel()
    made.model = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, _outputs(made)))


def _large_weights(made: Training) -> None:
    with torch.no_grad():
        for parameter in made.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)


def _deep_sigmoid(made: Training) -> None:
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(made.x[0].numel(), 32), nn.Sigmoid()]
    for _ in range(8):
        layers += [nn.Linear(32, 32), nn.Sigmoid()]
    made.model = nn.Sequential(*layers, nn.Linear(32, _outputs(made)))


def _dead(made: Training) -> None:
    made.model = nn.Sequential(
        nn.Flatten(), nn.Linear(made.x[0].numel(), 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
        nn.Linear(64, _outputs(made)),
    )  # fmt: skip
    nn.init.constant_(made.model[3].bias, -8.0)


def _saturated(made: Training) -> None:
    made.model = nn.Sequential(
        nn.Flatten(), nn.Linear(made.x[0].numel(), 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(),
        nn.Linear(64, _outputs(made)),
    )  # fmt: skip
    nn.init.normal_(made.model[1].weight, std=5.0)


def _tiny_norm_batches(made: Training) -> None:
    made.batch = 3
    made.model = nn.Sequential(
        nn.Flatten(), nn.Linear(made.x[0].numel(), 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, _outputs(made))
    )


def _frozen_statistics(made: Training) -> None:
    made.model = nn.Sequential(
        nn.Flatten(), nn.Linear(made.x[0].numel(), 32), nn.BatchNorm1d(32, momentum=0.0001), nn.ReLU(),
        nn.Linear(32, 32), nn.BatchNorm1d(32, momentum=0.0001), nn.ReLU(), nn.Linear(32, _outputs(made)),
    )  # fmt: skip
    with torch.no_grad():
        made.model[1].weight.mul_(6.0)
    made.x, made.valid_x = made.x + 1.5, made.valid_x + 1.5


def _overfitting(made: Training) -> None:
    made.x, made.y, made.batch, made.rate, made.optimiser = made.x[:60], made.y[:60], 16, 5e-3, "adam"
    wrong = torch.rand(60) < 0.25
    made.y[wrong] = (made.y[wrong] + 1) % _outputs(made)
    made.model = nn.Sequential(
        nn.Flatten(), nn.Linear(made.x[0].numel(), 256), nn.ReLU(), nn.Linear(256, int(made.valid_y.max()) + 1)
    )


def _unscaled_target(made: Training) -> None:
    made.y, made.valid_y = made.y * 2e3 + 5e4, made.valid_y * 2e3 + 5e4


def _own_clock(made: Training) -> None:
    made.noise_source = np.random.default_rng()


def _with_norm(more: Callable[[Training], None]) -> Callable[[Training], None]:
    def change(made: Training) -> None:
        _add_norm(made)
        more(made)

    return change


BUGS = (
    Bug("NaN in an input", _nan, ("data.finite",)),
    Bug("inputs not scaled", _unscaled, ("data.scale", "start.loss")),
    Bug("one corrupt row", _one_outlier, ("data.outliers", "run.spikes")),
    Bug("labels shuffled", _shuffled_labels, ("data.no-signal",)),
    Bug("30 % of labels wrong", _noisy_labels, ("data.label-noise",)),
    Bug("rows sorted by label", _sorted, ("loader.sorted",)),
    Bug("rows never shuffled", _set(shuffle=False), ("loader.same-order",)),
    Bug("validation rows copied from training", _overlap, ("data.overlap",)),
    Bug("validation rows nearly copied", _near_overlap, ("data.near-overlap",)),
    Bug("a column holds the target", _leak, ("data.leak",), (TABLES, PICTURES, VALUES)),
    Bug("rare class, plain loss", _imbalance, ("data.imbalance",)),
    Bug("validation rows scaled otherwise", _other_scale, ("data.drift",)),
    Bug("a third of the rows twice", _duplicates, ("data.duplicates",)),
    Bug("labels counted from 1", _labels_from_one, ("data.labels", "run.completes")),
    Bug("sampler of half the rows", _few_rows_of_it, ("loader.coverage",)),
    Bug("target not scaled", _unscaled_target, ("data.target-scale", "run.update-ratio"), (VALUES,)),
    Bug("softmax before the loss", _softmax, ("start.double-softmax",)),
    Bug("NLL of logits", _raw_nll, ("start.loss-mismatch",)),
    Bug("shapes broadcast in the loss", _broadcast, ("start.pairing",), (VALUES,)),
    Bug("loss of the wrong sign", _wrong_sign, ("start.loss-sign",), (*CLASSES, VALUES)),
    Bug("input replaced by zeros", _zeros_in, ("start.input-ignored",)),
    Bug("half of the input lost", _half_in, ("start.columns-ignored",)),
    Bug("softmax over the batch", _softmax_over_batch, ("start.batch-mixing",)),
    Bug("mean over the batch", _batch_mean, ("start.batch-mixing",)),
    Bug("dropout in eval mode", _always_dropping, ("start.random-answers",)),
    Bug("answers detached", _detached, ("start.no-gradient",)),
    Bug("a layer left out of forward", _unused, ("start.no-gradient",)),
    Bug("optimiser of the last layer only", _part_optimised, ("start.not-optimised",)),
    Bug("all weights alike", _same_weights, ("start.symmetry",)),
    Bug("no activations", _no_activation, ("start.linear",)),
    Bug("initial weights eight times too large", _large_weights, ("start.loss", "start.variance"), (TABLES, PICTURES)),
    Bug("nine layers of sigmoids", _deep_sigmoid, ("run.vanishing", "run.not-learning", "start.overfit-batch")),
    Bug("dead ReLU", _dead, ("run.dead-units",)),
    Bug("saturated tanh", _saturated, ("run.saturation",)),
    Bug("batch norm of 3 rows", _tiny_norm_batches, ("start.small-batch-norm",)),
    Bug("batch norm without statistics", _frozen_statistics, ("after.evaluation-gap",)),
    Bug("rate 100 times too high", lambda made: _set(rate=made.rate * 100)(made),
        ("run.rate-high", "run.update-ratio", "run.finite", "run.not-learning", "after.no-gain"), (*CLASSES, VALUES)),
    Bug("rate 300 times too low", lambda made: _set(rate=made.rate / 300)(made),
        ("run.rate-low", "run.update-ratio", "run.not-learning"), (*CLASSES, VALUES)),
    Bug("zero_grad forgotten", _set(zeroes=False), ("run.zero-grad",)),
    Bug("optimizer.step forgotten", _set(steps=False), ("run.no-step",)),
    Bug("trained in eval mode", _with_norm(_set(trains=False)), ("run.train-mode",)),
    Bug("evaluated in train mode", _with_norm(_set(evals=False)), ("run.evaluation-mode",)),
    Bug("steps on validation rows", _set(own_step=True, learns_in_evaluation=True), ("run.evaluation-learns",)),
    Bug("clipped to nothing", _set(own_step=True, clip=1e-3), ("run.always-clipped",)),
    Bug("noise without a seed", _own_clock, ("run.not-repeatable",)),
    Bug("small set learned by heart", _overfitting, ("after.overfit",), (PICTURES, SERIES)),
)  # fmt: skip
