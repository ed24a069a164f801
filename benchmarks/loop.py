"""CPU time of a training step: `assay.train.loop.fit` against a loop written by hand for the same network.

The network: 350 numbers, two hidden layers of 128 with ReLU and dropout 0.1, two classes; batches of 256. Both loops
shuffle once an epoch, take slices, step fused AdamW under a cosine rate, clip the gradient's norm and look at 256
validation rows an epoch; ours also keeps the best weights, checks every loss and norm, and writes the epochs down. With
four members ours trains four networks at once; the figure a member is what one of them costs. One thread, in turn.
"""

import math
import time

from _measure import Times, heading, median_times, one_thread, parser, table

INPUTS, WIDTH, CLASSES, BATCH, DROPOUT, RATE, DECAY, CLIP = 350, 128, 2, 256, 0.1, 2e-3, 1e-2, 1.0


def by_hand(inputs, target, valid, valid_target, epochs: int) -> int:
    """A plain loop in torch; the number of its steps."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.Linear(INPUTS, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT)]
    layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, CLASSES)]
    network = nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    steps = epochs * math.ceil(len(inputs) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(epochs):
        network.train()
        order = torch.randperm(len(inputs))
        rows, labels = inputs[order], target[order]
        for start in range(0, len(rows), BATCH):
            optimiser.zero_grad(set_to_none=True)
            loss_of(network(rows[start : start + BATCH]), labels[start : start + BATCH]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss_of(network(valid), valid_target)
    return steps


def ours(inputs, target, valid, valid_target, epochs: int, members: int) -> int:
    """The same with assay; the number of its steps."""
    import torch

    from assay.data.encode import Encoded, Layout
    from assay.models.build import build
    from assay.models.config import ModelConfig
    from assay.train.budget import Budget
    from assay.train.config import TrainConfig
    from assay.train.loop import Batch, fit
    from assay.train.watch import Unwatched

    def batch(numbers, labels) -> Batch:
        empty = torch.zeros((len(numbers), 0))
        return Batch(Encoded(numbers, empty, empty.int()), labels, None)

    model = ModelConfig(layers=2, width=WIDTH, dropout=DROPOUT, number_bins=0, members=members)
    config = TrainConfig(
        epochs=epochs, batch=BATCH, lr=RATE, weight_decay=DECAY, clip_norm=CLIP, warmup=0.0, patience=epochs
    )
    network = build(
        model, Layout(INPUTS, 0, ()), inputs, outputs=CLASSES, prior=torch.zeros(CLASSES), seeds=range(members)
    )
    train, held = batch(inputs, target), batch(valid, valid_target)
    return fit(network, train, held, config, seed=0, budget=Budget(None), watch=Unwatched()).steps


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--turns", type=int, default=9, help="turns of each loop")
    chosen = arguments.parse_args()
    one_thread()
    import torch

    torch.set_num_threads(1)
    heading("Training step, one thread", small=chosen.small)
    generator = torch.Generator().manual_seed(0)
    rows, epochs, turns = (2_560, 2, 3) if chosen.small else (25_600, 4, chosen.turns)
    inputs, valid = (torch.randn((size, INPUTS), generator=generator) for size in (rows, BATCH))
    target, valid_target = ((part[:, 0] + part[:, 1] > 0).long() for part in (inputs, valid))
    data = (inputs, target, valid, valid_target)
    loops = {
        "by hand": (1, lambda: by_hand(*data, epochs)),
        "assay, 1 member": (1, lambda: ours(*data, epochs, 1)),
        "assay, 4 members": (4, lambda: ours(*data, epochs, 4)),
    }
    for _, loop in loops.values():
        loop()
    times: dict[str, list[Times]] = {name: [] for name in loops}
    for _ in range(turns):
        for name, (_, loop) in loops.items():
            wall, cpu = time.perf_counter(), time.process_time()
            steps = loop()
            times[name].append(Times((time.process_time() - cpu) / steps, (time.perf_counter() - wall) / steps))
    found = {name: median_times(each) for name, each in times.items()}
    base = found["by hand"].cpu
    table(
        ["loop", "ms CPU a step", "ms wall a step", "times by hand", "a member, times by hand"],
        [
            (name, f"{1e3 * each.cpu:.3f}", f"{1e3 * each.wall:.3f}", f"{each.cpu / base:.2f}",
             f"{each.cpu / base / loops[name][0]:.2f}")
            for name, each in found.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
