"""Do 95 % intervals cover the truth 95 % of the time? Wilson, DeLong and the bootstrap on simulated test sets.

Rows are drawn from a known distribution; the truth is the metric on a million rows. Last, rows come in groups of ten
that share their difficulty, and groups are drawn together. Run it with `--repeats N` for another number of test sets of
each size (10,000 rows take a fifth of them), `--samples N` for another number of bootstrap samples.
"""

import argparse
import time

import numpy as np

from assay.data.schema import Task
from assay.evaluate.intervals import estimates
from assay.evaluate.metrics import METRICS, Scorer

SHOWN = {
    Task.BINARY: (
        "accuracy",
        "precision",
        "recall",
        "balanced_accuracy",
        "f1",
        "auroc",
        "auprc",
        "log_loss",
        "brier",
        "ece",
    ),
    Task.MULTICLASS: ("accuracy", "f1_macro", "precision_macro", "auroc_macro", "auprc_macro", "log_loss", "ece"),
    Task.REGRESSION: ("rmse", "mae", "r2", "median_error"),
}


GROUP = 10


def draw(task: Task, rows: int, rng: np.random.Generator, *, grouped: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Test rows: a third positive and over-confident probabilities, five unequal classes, or skewed errors.

    Grouped: the rows of a group of ten have the same logits and class, but for noise, or errors that are alike.
    """
    if grouped:
        return draw_grouped(task, rows, rng)
    if task is Task.REGRESSION:
        truth = rng.normal(size=rows)
        return truth, truth + rng.standard_t(5, rows)
    classes = 2 if task is Task.BINARY else 5
    logits = rng.normal(0, 1, (rows, classes)) + np.linspace(0.5, -0.5, classes)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (share.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    bold = np.exp(1.5 * logits)
    return truth, bold / bold.sum(axis=1, keepdims=True)


def draw_grouped(task: Task, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each row of a group is its own with probability one half, else that of the group."""
    own, shared = draw(task, rows, rng), draw(task, -(-rows // GROUP), rng)
    alone = rng.random(rows) < 0.5
    groups = np.arange(rows) // GROUP
    truth = np.where(alone, own[0], shared[0][groups])
    mask = alone if own[1].ndim == 1 else alone[:, None]
    return truth, np.where(mask, own[1], shared[1][groups])


def coverage(
    task: Task, rows: int, repeats: int, true: dict[str, float], samples: int, *, grouped: bool = False
) -> tuple[dict[str, float], dict[str, str]]:
    inside = dict.fromkeys(SHOWN[task], 0)
    methods: dict[str, str] = {}
    clusters = np.arange(rows) // GROUP if grouped else None
    for seed in range(repeats):
        drawn = draw(task, rows, np.random.default_rng([rows, seed]), grouped=grouped)
        found = estimates(task, *drawn, seed=seed, samples=samples, clusters=clusters)
        for name in inside:
            estimate = found[name]
            inside[name] += estimate.low is not None and estimate.low <= true[name] <= estimate.high
            methods[name] = estimate.method
    return {name: count / repeats for name, count in inside.items()}, methods


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500, help="test sets of 100 and of 1,000 rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--samples", type=int, default=1_000, help="bootstrap samples")
    chosen = parser.parse_args()
    for task, grouped in ((task, grouped) for grouped in (False, True) for task in METRICS if task in SHOWN):
        true = Scorer(task, *draw(task, 1_000_000, np.random.default_rng(0), grouped=grouped)).values()
        for rows in chosen.sizes:
            repeats = chosen.repeats if rows < 10_000 else max(1, chosen.repeats // 5)
            begun = time.monotonic()
            covered, methods = coverage(task, rows, repeats, true, chosen.samples, grouped=grouped)
            seconds = (time.monotonic() - begun) / repeats
            error = 1.96 * np.sqrt(0.95 * 0.05 / repeats)
            what = f"{task.value}{', in groups of ten' if grouped else ''}, {rows:,} rows"
            print(f"\n{what}: {repeats} test sets, {seconds:.2f} s each; 0.95 +- {error:.3f}")
            for name, share in covered.items():
                print(f"  {name:18} {share:.3f}  {methods[name]}", flush=True)


if __name__ == "__main__":
    main()
