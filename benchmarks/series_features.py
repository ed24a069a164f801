"""Accuracy of Rocket features with a ridge head on 14 public sets of series, beside published results.

Official training and test parts. The head's penalty is chosen by its leave-one-out error, the scale of its logits on
its leave-one-out decisions; test rows are looked at once. Published: single networks of Fawaz et al. 2019 (ResNet,
FCN), InceptionTime (2020) and HIVE-COTE 2 (2021), as the data sets' own page lists them.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from _measure import add_data, heading, one_thread, parser, table, verdict

from assay.models.rocket import Rocket
from assay.train.families.ridge import fit_ridge, fit_scale, one_against_rest

#: ResNet, FCN, InceptionTime, HIVE-COTE 2.
PUBLISHED = {
    "ECG200": (0.874, 0.888, 0.910, 0.860),
    "GunPoint": (0.991, 1.000, 1.000, 1.000),
    "ArrowHead": (0.838, 0.843, 0.863, 0.869),
    "ItalyPowerDemand": (0.962, 0.963, 0.966, 0.970),
    "SwedishLeaf": (0.963, 0.967, 0.970, 0.965),
    "SyntheticControl": (0.997, 0.989, 0.997, 1.000),
    "OSULeaf": (0.980, 0.979, 0.921, 0.967),
    "FacesUCR": (0.954, 0.943, 0.972, 0.965),
    "ECG5000": (0.935, 0.940, 0.942, 0.947),
    "Computers": (0.806, 0.819, 0.808, 0.760),
    "Earthquakes": (0.712, 0.725, 0.712, 0.748),
    "LargeKitchenAppliances": (0.901, 0.903, 0.904, 0.920),
    "Wafer": (0.998, 0.997, 0.999, 1.000),
}
SEVERAL_CHANNELS = "JapaneseVowels"
CLOSE = 0.02  # what InceptionTime and HIVE-COTE 2 may be ahead


@dataclass(frozen=True)
class Part:
    """Series (n, C, T) and their labels (n,)."""

    series: torch.Tensor
    labels: np.ndarray


def read(folder: Path, name: str, part: str) -> Part:
    if name == SEVERAL_CHANNELS:
        return read_cases(folder / f"uea_{name}_{part}.parquet", length=29)
    frame = pl.read_parquet(folder / f"ucr_{name}_{part}.parquet")
    series = torch.from_numpy(frame.drop("label").to_numpy()).float()
    return Part(series.unsqueeze(1), frame["label"].to_numpy())


def read_cases(path: Path, length: int) -> Part:
    """One row a step: series of unequal length, NaN after their ends."""
    cases = pl.read_parquet(path).partition_by("case", maintain_order=True)
    steps = [torch.from_numpy(case.drop("case", "t", "label").to_numpy()).float().T[:, :length] for case in cases]
    series = torch.stack([torch.nn.functional.pad(one, (0, length - one.shape[1]), value=torch.nan) for one in steps])
    return Part(series, np.array([case["label"][0] for case in cases]))


def log_loss(logits: np.ndarray, codes: np.ndarray) -> float:
    logits = logits - logits.max(axis=1, keepdims=True)
    chances = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-chances[np.arange(len(codes)), codes].mean())


def measure(train: Part, test: Part, features: int, *, normalise: bool) -> tuple[float, float, float, float, float]:
    """Leave-one-out accuracy, test accuracy and log loss, seconds to fit and to answer the test part."""
    classes, codes = np.unique(train.labels, return_inverse=True)
    truth = np.searchsorted(classes, test.labels)
    begun = time.perf_counter()
    rocket, found = Rocket.fit_transform(train.series, 0, features, normalise=normalise)
    head = fit_ridge(found.numpy(), one_against_rest(codes, len(classes)), standardise=False)
    scale = fit_scale(head.left_out, codes)
    fitted = time.perf_counter()
    decisions = head.decide(rocket.transform(test.series).numpy())
    answered = time.perf_counter()
    return (
        float((head.left_out.argmax(axis=1) == codes).mean()),
        float((decisions.argmax(axis=1) == truth).mean()),
        log_loss(scale * decisions, truth),
        fitted - begun,
        answered - fitted,
    )


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--features", type=int, default=12_000)
    arguments.add_argument("--sets", nargs="+", default=[*PUBLISHED, SEVERAL_CHANNELS])
    chosen = arguments.parse_args()
    one_thread()
    torch.set_num_threads(1)
    heading("Rocket features with a ridge head", small=chosen.small)
    names = chosen.sets[:2] if chosen.small else chosen.sets
    folder = chosen.data / "sequence"
    if not folder.is_dir():
        raise SystemExit(f"There are no data sets in {folder}: name their folder with --data DIR.")
    rows, scores = [], {}
    for name in names:
        # Levels tell speakers apart; the UCR sets are normalised by their makers anyway.
        parts = read(folder, name, "train"), read(folder, name, "test")
        left_out, scores[name], loss, fit, answer = measure(*parts, chosen.features, normalise=name in PUBLISHED)
        shown = [f"{value:.3f}" for value in PUBLISHED[name]] if name in PUBLISHED else ["-"] * 4
        numbers = (f"{left_out:.3f}", f"**{scores[name]:.3f}**", f"{loss:.3f}", f"{fit:.1f}", f"{answer:.1f}")
        rows.append((name, *numbers, *shown))
    head = ("set", "left out", "test", "log loss", "s fit", "s test", "ResNet", "FCN", "InceptionTime", "HC2")
    known = [name for name in names if name in PUBLISHED]
    own = float(np.mean([scores[name] for name in known]))
    means = np.mean([PUBLISHED[name] for name in known], axis=0)
    rows.append(("mean of the univariate", "", f"**{own:.4f}**", "", "", "", *(f"{mean:.4f}" for mean in means)))
    table(head, rows)
    print(f"Above ResNet and FCN: {verdict(own > max(means[:2]))}. ", end="")
    print(f"Within {CLOSE} of InceptionTime and HIVE-COTE 2: {verdict(own > max(means[2:]) - CLOSE)}.")


if __name__ == "__main__":
    main()
