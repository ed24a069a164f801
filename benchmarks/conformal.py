"""Do prediction sets and intervals hold the truth at the rate asked for? Every kind, over many draws of rows.

Each draw takes n calibration rows and test rows from a known distribution, calibrates as a fit does and counts. The
mean over draws is to be, within its 95 % interval, what n rows promise: between the rate and the rate plus 1 / (m + 1),
m being the rows of the limit (half of them where the kind learns a shape). Beside it stand the share of draws whose
test coverage lies in its beta-binomial band, the mean size, and the lowest coverage of a class or of a fifth of the
predictions. Last, the rate of false alarms of the outline. Run it with `--draws N` for another number of draws of 100
and 1,000 rows (10,000 rows take a tenth of them).
"""

import argparse
import time

import numpy as np

from assay.data.inputs import Input, Matrices
from assay.data.regions import INTERVALS, SETS
from assay.data.schema import Kind
from assay.evaluate.carried.conformal import Chance
from assay.evaluate.carried.outline import outline_of, with_limit
from assay.evaluate.carried.regions import Judged, fifths, fit_regions, held_by

COVERAGE = 0.9
TEST_ROWS = 2_000
CLASSES = 10


def of_classes(rows: int, rng: np.random.Generator) -> Judged:
    """Ten unequal classes of which the model is too sure, rows of all degrees of difficulty."""
    logits = rng.normal(size=(rows, CLASSES)) * rng.uniform(0.3, 3.0, (rows, 1)) + np.linspace(1.0, -1.0, CLASSES)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (share.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=CLASSES - 1)
    bold = np.exp(1.3 * logits)
    return Judged(bold / bold.sum(axis=1, keepdims=True), truth, _groups(rows, rng))


def of_values(rows: int, rng: np.random.Generator) -> Judged:
    """Errors that grow with the prediction and with where a row lies, and lean to one side."""
    predicted, coordinates = rng.normal(size=rows), rng.normal(size=(rows, 4))
    size = np.exp(0.6 * predicted + 0.4 * coordinates[:, 0])
    truth = predicted + size * (rng.exponential(size=rows) - 0.7)
    return Judged(predicted, truth, _groups(rows, rng), np.sqrt((coordinates**2).mean(axis=1)), coordinates)


def _groups(rows: int, rng: np.random.Generator) -> tuple[str | None, ...]:
    return tuple(np.array(["a", "b"], dtype=object)[(rng.random(rows) < 0.3).astype(int)].tolist())


def lowest_part(judged: Judged, inside: np.ndarray) -> float:
    """The lowest coverage of a class, or of a fifth of the predictions."""
    parts = judged.truth if judged.has_classes else fifths(judged.answers)
    return min(float(inside[parts == part].mean()) for part in np.unique(parts))


def simulate(kind: str, rows: int, draws: int, *, by_group: bool = False) -> str:
    """A line of the table."""
    draw = of_values if kind in (*INTERVALS, "auto of values") else of_classes
    asked = "auto" if kind.startswith("auto") else kind
    held, in_band, sizes, lowest, limit_rows, missing = [], [], [], [], [], 0
    for seed in range(draws):
        rng = np.random.default_rng([rows, seed])
        calibration, test = draw(rows, rng), draw(TEST_ROWS, rng)
        regions = fit_regions(calibration, COVERAGE, asked, column="group" if by_group else None, seed=seed)
        if regions is None:
            missing += 1
            continue
        inside, size = held_by(regions, test)
        used = regions.limit.rows
        low, high = Chance(used, COVERAGE, TEST_ROWS).band(0.95)
        held.append(inside.mean())
        in_band.append(low <= inside.mean() <= high)
        sizes.append(size.mean())
        lowest.append(lowest_part(test, inside))
        limit_rows.append(used)
    mean, error = float(np.mean(held)), 1.96 * float(np.std(held) / np.sqrt(len(held)))
    # A group has fewer rows: a third of them in the smaller one.
    most = COVERAGE + (2.0 if by_group else 1.0) / (np.mean(limit_rows) + 1.0)
    met = "yes" if COVERAGE - error <= mean <= most + error else "no"
    name = f"{kind}, by group" if by_group else kind
    less = f" ({missing} draws had too few rows)" if missing else ""
    return (
        f"| {name} | {rows:,} | {len(held)} | {mean:.4f} ± {error:.4f} | {met} | {np.mean(in_band):.2f} | "
        f"{np.mean(sizes):.3f} | {np.mean(lowest):.3f} |{less}"
    )


def alarms(rows: int, draws: int) -> str:
    """The share of usual rows that an outline flags, learned from 2,000 rows and calibrated on so many."""
    inputs = tuple(Input(name=f"c{place}", kind=Kind.NUMBER) for place in range(8))

    def draw(count: int, rng: np.random.Generator) -> Matrices:
        cells = rng.standard_t(4, size=(count, 8)) @ mixing
        return Matrices(cells, np.empty((count, 0), np.int64), np.empty((count, 0), np.float32))

    flagged = []
    for seed in range(draws):
        rng = np.random.default_rng([rows, seed, 7])
        mixing = rng.normal(size=(8, 8))
        outline = outline_of(draw(2_000, rng), inputs)
        outline = with_limit(outline, outline.place(draw(rows, rng), inputs).distance, 0.01)
        assert outline.limit is not None
        flagged.append((outline.place(draw(TEST_ROWS, rng), inputs).distance > outline.limit).mean())
    error = 1.96 * float(np.std(flagged) / np.sqrt(len(flagged)))
    return f"| {rows:,} | {draws} | {np.mean(flagged):.4f} ± {error:.4f} |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=500, help="draws of 100 and of 1,000 calibration rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    chosen = parser.parse_args()
    begun = time.monotonic()
    print(f"{COVERAGE:.0%} asked for, {TEST_ROWS:,} test rows a draw\n")
    print("| kind | calibration rows | draws | mean coverage | as promised | in its band | mean size | lowest part |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in (*SETS, *INTERVALS, "auto of classes", "auto of values"):
        for rows in chosen.sizes:
            draws = chosen.draws if rows < 10_000 else max(1, chosen.draws // 10)
            print(simulate(kind, rows, draws), flush=True)
    for kind in ("lac", "absolute"):
        for rows in chosen.sizes:
            draws = chosen.draws if rows < 10_000 else max(1, chosen.draws // 10)
            print(simulate(kind, rows, draws, by_group=True), flush=True)
    print("\nFalse alarms, 1 % asked for\n\n| calibration rows | draws | usual rows flagged |\n|---|---|---|")
    for rows in chosen.sizes:
        print(alarms(rows, max(1, chosen.draws // 5) if rows < 10_000 else max(1, chosen.draws // 10)), flush=True)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
