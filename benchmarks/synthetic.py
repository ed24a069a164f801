"""Synthetic rows: what trees learn from them, whether they can be told from real ones, what they give away, seconds.

Each line is one `assay.synthesise` of as many rows as it learned from (SMOTE: as many as fill the small class), seed 0,
from 5,000 rows drawn at random, a fifth of them held back. Real rows in the place of synthetic ones would show the same
score on both sides, and 0.5 as detection and as membership.
"""

import tempfile
import time
from pathlib import Path

import polars as pl
from _measure import ADULT, add_data, heading, one_thread, parser, table

import assay

ROWS = 5000


def tables(data: Path) -> dict[str, tuple[pl.DataFrame, str]]:
    """The frames and their targets; those that are not on this machine are left out."""
    found = {"adult": (pl.read_csv(ADULT / "train.csv.gz", infer_schema_length=None), "income")}
    for name, target in (("california_housing", "median_house_value"), ("magic_telescope", "class")):
        path = data / "tabular" / f"{name}.csv.gz"
        if path.exists():
            found[name] = (pl.read_csv(path, infer_schema_length=None), target)
    return {
        name: (frame.sample(min(ROWS, frame.height), seed=0, shuffle=True), y) for name, (frame, y) in found.items()
    }


def run(name: str, frame: pl.DataFrame, target: str, method: str, rows: int, out: Path) -> tuple[str, ...]:
    """A row of the table."""
    cpu = time.process_time()
    made = assay.synthesise(frame, target, rows=rows, method=method, out=out)
    cpu = time.process_time() - cpu
    quality = made.quality
    use, near = quality.utility, quality.closeness
    worst = sum(column.distance for column in quality.columns) / len(quality.columns)
    chance = sum(column.held_back for column in quality.columns) / len(quality.columns)
    difference = use.difference
    return (
        name, method, f"{use.label} {use.synthetic.value:.4g}", f"{use.real.value:.4g}",
        f"{difference.value:+.3g} [{difference.low:.3g}, {difference.high:.3g}]",
        f"{quality.detection.auroc.value:.3f}", f"{worst:.3f} ({chance:.3f})",
        f"{quality.pairs.mean_difference:.3f} ({quality.pairs.held_back:.3f})",
        f"{near.copies} ({near.held_back_copies:.1%})", f"{near.closer.value:.3f}",
        f"{quality.membership.auroc.value:.3f}", f"{quality.seconds['train']:.1f}", f"{quality.seconds['write']:.1f}",
        f"{cpu:.0f}",
    )  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--only", nargs="*", default=[], help="names of data sets")
    arguments.add_argument("--methods", nargs="*", default=["copula", "tvae", "smote", "borderline"])
    chosen = arguments.parse_args()
    one_thread()
    heading("Synthetic rows", small=chosen.small)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (frame, target) in tables(chosen.data).items():
            if (chosen.only and name not in chosen.only) or (chosen.small and name != "adult"):
                continue
            frame = frame.head(400) if chosen.small else frame
            for method in chosen.methods:
                if method in ("smote", "borderline") and frame[target].n_unique() > 2:
                    continue
                counts = frame[target].value_counts(sort=True)["count"]
                small = int(0.8 * (counts[0] - counts[-1])) - 5
                wanted = small if method in ("smote", "borderline") else frame.height * 4 // 5
                rows.append(run(name, frame, target, method, wanted, Path(folder) / f"{name}-{method}"))
                print(" | ".join(rows[-1]), flush=True)
    print()
    table(
        ["data", "method", "synthetic", "real", "difference", "detection", "columns (chance)", "pairs (chance)",
         "copies (held back)", "closer", "membership", "s to learn", "s to write", "CPU s in all"], rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
