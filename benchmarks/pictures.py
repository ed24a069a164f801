"""Pictures: through decoding, changing and training beside a loop of torchvision; features of a backbone; memory.

All pictures are made here, in a temporary folder that goes afterwards, and are the same for the same numbers.

1. Small PNGs in a folder for each class train the same network for a few epochs, in batches of the same size, once as a
   loop written by hand with ImageFolder, DataLoader and torchvision's v2 transforms, and once with assay, which decodes
   them once into a file. Both flip and shift, take AdamW and all cores, and turns go round. Goal: assay is not slower.
2. Features of the packaged backbone, computed once for each picture, beside a plain loop over the same network.
3. A whole `assay fit` on an archive of many small PNGs in a process of its own, one epoch. Goal: memory below 3 GB.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from _measure import heading, interleave, parser, peaks, table, verdict, watched
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded, Layout
from assay.data.inputs import Input, View
from assay.data.picture_sources.files import read_pictures
from assay.data.pictures.picture import PictureFormat
from assay.data.pictures.store import store_pictures
from assay.data.schema import Kind
from assay.models.backbone import Enlarged, features_of, load_backbone
from assay.models.families import DEFAULTS
from assay.models.image import build_cnn
from assay.train.augment.image_policy import ImagePolicy
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.watch import Unwatched

SIDE, CLASSES, BATCH, SHIFT, RATE, SMOOTHING = 32, 10, 256, 2, 2e-3, 0.1
MOST_GB = 3.0
#: Pictures that judge an epoch of assay's; the loop by hand judges none.
JUDGES = 64
#: The side that small pictures are brought to for the backbone, and pictures of one call.
BACKBONE_SIDE, AT_ONCE = 96, 64
FORM = PictureFormat(height=SIDE, width=SIDE, channels=3)


def drawn(number: int) -> bytes:
    """A PNG: a tilted wave whose direction is its class, in a random colour, with noise."""
    rng = np.random.default_rng([7, number])
    angle = np.pi * (number % CLASSES) / CLASSES
    down, across = np.mgrid[0:SIDE, 0:SIDE]
    wave = np.sin((np.cos(angle) * across + np.sin(angle) * down) * rng.uniform(0.5, 0.7) + rng.uniform(0, 6))
    pixels = 128 + 60 * wave[:, :, None] * rng.uniform(0.4, 1.0, 3) + rng.normal(0, 20, (SIDE, SIDE, 3))
    made = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(made, "PNG", compress_level=1)
    return made.getvalue()


def member(number: int) -> str:
    return f"{number % CLASSES}/{number:06}.png"


def folder_of(count: int, folder: Path) -> Path:
    for number in range(count):
        path = folder / member(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(number))
    return folder


def archive_of(count: int, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(member(number), drawn(number))
    return path


# 1. Through decoding, changing and training ---------------------------------------------------------------------------


def network_for(pixels: Tensor) -> nn.Module:
    view = View((Input(name="image", kind=Kind.IMAGE, picture=FORM),), "pictures")
    network = build_cnn(DEFAULTS["cnn"], Layout(0, 0, (), (view,)), CLASSES, 1, inputs(pixels))
    network.reset([0], torch.zeros(CLASSES))
    return network


def inputs(pixels: Tensor) -> Encoded:
    nothing = torch.zeros(len(pixels), 0)
    return Encoded(nothing, nothing, nothing.int(), (pixels,))


def assays(folder: Path, epochs: int, threads: int) -> None:
    """As a fit does it: decode into a file, take it into memory, train."""
    with tempfile.TemporaryDirectory() as kept:
        frame = read_pictures(folder).parts["data"]
        pixels = torch.from_numpy(np.array(store_pictures(frame["image"], FORM, Path(kept)).pixels()))
        target = torch.from_numpy(frame["label"].cast(int).to_numpy())
        rows = Batch(inputs(pixels), target, None)
        config = TrainConfig(
            epochs=epochs, batch=BATCH, lr=RATE, label_smoothing=SMOOTHING, clip_norm=0.0, threads=threads,
            patience=epochs,
        )  # fmt: skip
        fit(
            network_for(pixels[:2000]), Resident(rows), Resident(rows[:JUDGES]), config,
            alike(1, config, dropout=0.0, seed=0), seed=0, budget=Budget(None), watch=Unwatched(),
            policy=ImagePolicy(flip="random", translate=SHIFT),
        )  # fmt: skip


def by_hand(folder: Path, epochs: int, threads: int) -> None:
    """The usual loop: every epoch decodes and changes anew in processes beside the one that trains."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    changes = v2.Compose(
        [v2.PILToTensor(), v2.RandomHorizontalFlip(), v2.RandomCrop(SIDE, padding=SHIFT, padding_mode="reflect")]
    )
    torch.set_num_threads(threads)
    pictures = ImageFolder(str(folder), changes)
    loader = DataLoader(
        pictures, BATCH, shuffle=True, num_workers=threads, persistent_workers=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    network = network_for(torch.stack([pictures[place][0] for place in range(min(2000, len(pictures)))]))
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(loader))
    for _ in range(epochs):
        for pixels, target in loader:
            nothing = torch.zeros(len(pixels), 0)
            outputs = network(nothing, nothing, nothing.int(), pixels)[0]
            functional.cross_entropy(outputs, target, label_smoothing=SMOOTHING).backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()


def throughput(folder: Path, count: int, epochs: int, repeats: int) -> None:
    threads = len(os.sched_getaffinity(0))
    calls: dict[str, Callable[[], None]] = {
        "torchvision by hand": lambda: by_hand(folder, epochs, threads),
        "assay": lambda: assays(folder, epochs, threads),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    speeds = {name: count * epochs / statistics.median(each) for name, each in seconds.items()}
    ratio = speeds["assay"] / speeds["torchvision by hand"]
    print(f"{count:,} PNGs of {SIDE} pixels decoded, changed and trained on for {epochs} epochs, {threads} cores.\n")
    rows = [(name, f"{speed:,.0f}", f"{speed / speeds['torchvision by hand']:.2f}") for name, speed in speeds.items()]
    table(["loop", "pictures a second", "ratio"], rows)
    print(f"assay over the loop by hand: {ratio:.2f}; goal ≥ 1.0: {verdict(ratio >= 1.0)}\n", flush=True)


# 2. Features of a backbone ------------------------------------------------------------------------------------------


def plain_features(network: nn.Module, pixels: np.ndarray, centre: Tensor, spread: Tensor) -> Tensor:
    found = []
    with torch.inference_mode():
        for first in range(0, len(pixels), AT_ONCE):
            values = (torch.from_numpy(pixels[first : first + AT_ONCE]).float() - centre) / spread
            size = (BACKBONE_SIDE, BACKBONE_SIDE)
            found.append(network(functional.interpolate(values, size=size, mode="bilinear", align_corners=False)))
    return torch.cat(found)


def features(count: int, repeats: int) -> None:
    pixels = np.stack([np.asarray(Image.open(BytesIO(drawn(number)))).transpose(2, 0, 1) for number in range(count)])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    backbone, weights = load_backbone(stages=2)
    extractor, network = Enlarged(backbone, BACKBONE_SIDE).eval(), backbone.network
    times = interleave(
        {
            "a plain loop": lambda: plain_features(network, pixels, backbone.centre, backbone.spread),
            "assay": lambda: features_of(extractor, pixels, batch=AT_ONCE),
        },
        repeats=repeats,
        seconds=0.0,
    )
    slow = times["a plain loop"].wall
    print(
        f"Features of {weights.name} at {BACKBONE_SIDE} pixels, {count:,} pictures; assay takes those of two stages.\n"
    )
    rows = [(name, f"{count / one.wall:,.1f}", f"{slow / one.wall:.2f}") for name, one in times.items()]
    table(["loop", "pictures a second", "ratio"], rows)


# 3. Memory ----------------------------------------------------------------------------------------------------------


def train(archive: Path, overrides: list[str]) -> None:
    """The whole fit; prints what it took as JSON."""
    import assay

    begun = time.perf_counter()
    options = ["train.epochs=1", "model.augment=flip", "ensemble.backbone=none", *overrides]
    report = assay.fit(archive, out=archive.parent / "run", budget="none", overrides=options).report()
    found = {
        "whole": time.perf_counter() - begun,
        "seconds": report.provenance.seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "rows": [report.split.train_rows, report.split.valid_rows, report.split.test_rows],
        "scores": {model.name: model.scores[0].estimate.value for model in report.scores},
        "metric": report.scores[0].scores[0].label,
    }
    print(json.dumps(found))


def memory(folder: Path, count: int, overrides: list[str]) -> None:
    archive = archive_of(count, folder / "pictures.zip")
    found, anonymous, _ = watched([sys.executable, __file__, "--train", str(archive), *overrides])
    stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in found["seconds"].items() if seconds >= 0.5)
    print(f"A whole fit on {count:,} PNGs of {SIDE} pixels, one epoch: {found['whole']:.0f} s ({stages}).\n")
    table([found["metric"], "test rows"], [(name, f"{value:.4f}") for name, value in found["scores"].items()])
    peaks(found["peak"], anonymous, MOST_GB)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=["throughput", "features", "memory"], help="one of the three")
    arguments.add_argument("--pictures", type=int, default=100_000, help="of the archive (default: 100000)")
    arguments.add_argument("--epochs", type=int, default=5, help="of the two loops (default: 5)")
    arguments.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="options of the fit")
    chosen = arguments.parse_args()
    if chosen.train:
        train(chosen.train, chosen.overrides)
        return
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    heading("Pictures", small=chosen.small)
    many, few, repeats = (600, 64, 1) if chosen.small else (10_000, 512, 3)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.only in (None, "throughput"):
            throughput(folder_of(many, Path(folder) / "pictures"), many, 2 if chosen.small else chosen.epochs, repeats)
        if chosen.only in (None, "features"):
            features(few, repeats)
        if chosen.only in (None, "memory"):
            memory(Path(folder), 500 if chosen.small else chosen.pictures, chosen.overrides)


if __name__ == "__main__":
    main()
