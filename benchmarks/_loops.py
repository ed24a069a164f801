"""One candidate of `loop.py` in a process of its own: trains once for each line on its standard input.

Run by the project's interpreter for the loops written by hand and for assay, and by that of the rivals for the others;
it imports what its candidate needs and nothing else. Each loop is written as the framework's documentation writes it,
with logging, progress bars, checkpoints and validation off. The first turn, a short one, warms up and is not told.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

os.environ["KERAS_BACKEND"] = "torch"

import torch
from torch import Tensor, nn

WIDTH, RATE, DECAY = 128, 1e-3, 1e-2


@dataclass(frozen=True)
class Work:
    """What every candidate trains on: rows in memory, so many epochs of batches, for `members` networks at once.

    inputs: float32 (n, 32), or images (n, 1, 28, 28). target: int64 (n,). valid, valid_target: rows for the check.
    """

    inputs: Tensor
    target: Tensor
    valid: Tensor
    valid_target: Tensor
    epochs: int
    batch: int
    members: int

    @property
    def is_images(self) -> bool:
        return self.inputs.dim() == 4

    def short(self) -> "Work":
        return replace(self, inputs=self.inputs[: 4 * self.batch], target=self.target[: 4 * self.batch], epochs=1)


#: What a loop gives back: a function from rows to scores of the classes, (n, classes).
Answer = Callable[[Tensor], Tensor]


def make_work(chosen: argparse.Namespace) -> Work:
    """Two classes of 32 numbers, or four classes of noisy images with a bright quarter; the same for everybody."""
    generator = torch.Generator().manual_seed(0)
    rows = chosen.rows + max(256, chosen.rows // 20)
    if chosen.images:
        target = torch.randint(0, 4, (rows,), generator=generator)
        inputs = torch.randn((rows, 1, 28, 28), generator=generator)
        for quarter in range(4):
            top, left = 14 * (quarter // 2), 14 * (quarter % 2)
            inputs[target == quarter, :, top : top + 14, left : left + 14] += 0.3
    else:
        inputs = torch.randn((rows, 32), generator=generator)
        target = (inputs[:, :6].sin().sum(1) + 0.3 * torch.randn(rows, generator=generator) > 0).long()
    n = chosen.rows
    return Work(inputs[:n], target[:n], inputs[n:], target[n:], chosen.epochs, chosen.batch, chosen.members)


def network(work: Work) -> nn.Sequential:
    torch.manual_seed(0)
    if work.is_images:
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1)]
        return nn.Sequential(*layers, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 4))
    layers = [nn.Linear(32, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2)]
    return nn.Sequential(*layers)


def gathered(work: Work) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch, gathered one by one from shuffled positions."""
    for places in torch.randperm(len(work.inputs)).split(work.batch):
        yield work.inputs[places], work.target[places]


def sliced(work: Work) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch, slices of rows that were shuffled once."""
    order = torch.randperm(len(work.inputs))
    yield from zip(work.inputs[order].split(work.batch), work.target[order].split(work.batch), strict=True)


def by_hand(work: Work, batches: Callable[[Work], Iterator[tuple[Tensor, Tensor]]], layout=torch.contiguous_format):
    model = network(work).to(memory_format=layout) if work.is_images else network(work)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(work.epochs):
        for rows, labels in batches(work):
            optimiser.zero_grad()
            loss_of(model(rows), labels).backward()
            optimiser.step()
    return model


def hand(work: Work) -> Answer:
    return by_hand(work, gathered)


def hand_sliced(work: Work) -> Answer:
    return by_hand(work, sliced)


def hand_channels_last(work: Work) -> Answer:
    inputs = work.inputs.contiguous(memory_format=torch.channels_last)
    return by_hand(replace(work, inputs=inputs), sliced, torch.channels_last)


def assay_fit(work: Work, make) -> nn.Module:
    """assay's engine: with validation, metrics, clipping, early stopping, best weights and a cosine rate.

    make: from the options of training and the sizes of the inputs to a network.
    """
    from assay.data.encoding.batches import Batch, Resident
    from assay.data.encoding.encode import Encoded, Layout
    from assay.train.budget import Budget
    from assay.train.config import TrainConfig
    from assay.train.loop import fit
    from assay.train.members import alike
    from assay.train.watch import Unwatched

    def rows(numbers: Tensor, labels: Tensor) -> Resident:
        empty = torch.zeros((len(numbers), 0))
        return Resident(Batch(Encoded(numbers.flatten(1), empty, empty.int()), labels, None))

    config = TrainConfig(
        epochs=work.epochs, batch=work.batch, lr=RATE, weight_decay=DECAY, schedule="cosine", warmup=0.0,
        patience=work.epochs, threads=torch.get_num_threads(),
    )  # fmt: skip
    made = make(Layout(work.inputs[0].numel(), 0, ()))
    fit(
        made, rows(work.inputs, work.target), rows(work.valid, work.valid_target), config,
        alike(work.members, config, dropout=0.0, seed=0), seed=0, budget=Budget(None), watch=Unwatched(),
    )  # fmt: skip
    return made


def averaged(made: nn.Module) -> Answer:
    def answer(rows: Tensor) -> Tensor:
        none = torch.zeros((len(rows), 0))
        return made(rows.flatten(1), none, none.int()).softmax(-1).mean(0)

    return answer


def assay_table(work: Work) -> Answer:
    from assay.models.build import build
    from assay.models.config import ModelConfig

    config = ModelConfig(name="mlp", layers=2, width=WIDTH, dropout=0.0, number_bins=0)
    seeds, prior = range(work.members), torch.zeros(2)
    return averaged(
        assay_fit(work, lambda layout: build(config, layout, work.inputs, outputs=2, prior=prior, seeds=seeds))
    )


def assay_module(work: Work) -> Answer:
    """The same for a module of the user's own."""
    from assay.models.foreign import ForeignNetwork

    def make(layout) -> nn.Module:
        made = ForeignNetwork(nn.Sequential(nn.Unflatten(1, (1, 28, 28)), network(work)), layout, outputs=4)
        made.reset([0], torch.zeros(4))
        return made

    return averaged(assay_fit(work, make))


def loader(work: Work):
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(work.inputs, work.target), batch_size=work.batch, shuffle=True)


def sliced_loader(work: Work):
    """A DataLoader that asks for whole batches of positions at once; the fastest way that its documentation names."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

    rows = TensorDataset(work.inputs, work.target)
    return DataLoader(rows, sampler=BatchSampler(RandomSampler(rows), work.batch, drop_last=False), batch_size=None)


def lightning_with(work: Work, load) -> Answer:
    import lightning

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss_of = network(work), nn.CrossEntropyLoss()

        def training_step(self, batch, index):
            return self.loss_of(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=RATE, weight_decay=DECAY)

    task = Task()
    trainer = lightning.Trainer(
        max_epochs=work.epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, load(work))
    return task.model


def lightning(work: Work) -> Answer:
    return lightning_with(work, loader)


def lightning_sliced(work: Work) -> Answer:
    return lightning_with(work, sliced_loader)


def fabric(work: Work) -> Answer:
    from lightning.fabric import Fabric

    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    model = network(work)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    model, optimiser = made.setup(model, optimiser)
    rows, loss_of = made.setup_dataloaders(loader(work)), nn.CrossEntropyLoss()
    model.train()
    for _ in range(work.epochs):
        for inputs, labels in rows:
            optimiser.zero_grad()
            made.backward(loss_of(model(inputs), labels))
            optimiser.step()
    return model


def skorch(work: Work) -> Answer:
    from skorch import NeuralNetClassifier

    made = NeuralNetClassifier(
        network(work), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, optimizer__weight_decay=DECAY,
        lr=RATE, batch_size=work.batch, max_epochs=work.epochs, iterator_train__shuffle=True, train_split=None,
        verbose=0,
    )  # fmt: skip
    made.fit(work.inputs, work.target)
    return made.module_


def keras(work: Work) -> Answer:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32,)),
            keras.layers.Dense(WIDTH, activation="relu"),
            keras.layers.Dense(WIDTH, activation="relu"),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=RATE, weight_decay=DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rows, labels = work.inputs.numpy(), work.target.numpy()
    model.fit(rows, labels, batch_size=work.batch, epochs=work.epochs, verbose=0)
    return lambda numbers: torch.as_tensor(model(numbers))


def fastai(work: Work) -> Answer:
    import fastai.callback.all  # noqa: F401  # adds no_bar and no_logging to Learner
    from fastai.basics import CrossEntropyLossFlat, DataLoaders, Learner
    from torch.utils.data import TensorDataset

    rows = TensorDataset(work.inputs, work.target)
    check = TensorDataset(work.valid[:1], work.valid_target[:1])  # it insists on validation: a single row
    loaders = DataLoaders.from_dsets(rows, check, bs=work.batch, num_workers=0, device=torch.device("cpu"))
    learner = Learner(loaders, network(work), loss_func=CrossEntropyLossFlat(), wd=DECAY)  # Adam, decoupled decay
    with learner.no_bar(), learner.no_logging():
        learner.fit(work.epochs, RATE)
    return learner.model


CANDIDATES: dict[str, Callable[[Work], Answer]] = {
    made.__name__: made
    for made in (
        hand, hand_sliced, hand_channels_last, assay_table, assay_module, lightning, lightning_sliced, fabric, skorch,
        keras, fastai,
    )
}  # fmt: skip


def accuracy(answer: Answer, work: Work) -> float:
    """On rows that were not trained on: that all candidates did the same work."""
    if isinstance(answer, nn.Module):
        answer.eval()
    with torch.no_grad():
        return float((answer(work.valid).argmax(1) == work.valid_target).float().mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("candidate", choices=CANDIDATES)
    arguments.add_argument("--images", action="store_true")
    for name, default in (("rows", 51_200), ("epochs", 5), ("batch", 256), ("members", 1), ("threads", 1)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    chosen = arguments.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(chosen.threads)
    work, train = make_work(chosen), CANDIDATES[chosen.candidate]
    answers = os.fdopen(os.dup(1), "w")  # frameworks may print: what they print goes to standard error
    os.dup2(2, 1)
    try:
        train(work.short())
    except (ImportError, NotImplementedError) as error:
        print(json.dumps({"absent": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        answer = train(work)
        spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps(spent | {"accuracy": accuracy(answer, work)}), file=answers, flush=True)


if __name__ == "__main__":
    main()
