"""Do 95 % intervals cover the truth 95 % of the time? Wilson, DeLong and the bootstrap on simulated test sets.

Rows are drawn from a known distribution; the truth is the metric on a million rows. Run it with `--repeats N` for
another number of test sets of each size (10,000 rows take a fifth of them).
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


def draw(task: Task, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Test rows: a third positive and over-confident probabilities, five unequal classes, or skewed errors."""
    if task is Task.REGRESSION:
        truth = rng.normal(size=rows)
        return truth, truth + rng.standard_t(5, rows)
    classes = 2 if task is Task.BINARY else 5
    logits = rng.normal(0, 1, (rows, classes)) + np.linspace(0.5, -0.5, classes)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (share.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    bold = np.exp(1.5 * logits)
    return truth, bold / bold.sum(axis=1, keepdims=True)


def coverage(task: Task, rows: int, repeats: int, true: dict[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    inside = dict.fromkeys(SHOWN[task], 0)
    methods: dict[str, str] = {}
    for seed in range(repeats):
        found = estimates(task, *draw(task, rows, np.random.default_rng([rows, seed])), seed=seed)
        for name in inside:
            estimate = found[name]
            inside[name] += estimate.low is not None and estimate.low <= true[name] <= estimate.high
            methods[name] = estimate.method
    return {name: count / repeats for name, count in inside.items()}, methods


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500, help="test sets of 100 and of 1,000 rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    chosen = parser.parse_args()
    for task in METRICS:
        true = Scorer(task, *draw(task, 1_000_000, np.random.default_rng(0))).values()
        for rows in chosen.sizes:
            repeats = chosen.repeats if rows < 10_000 else max(1, chosen.repeats // 5)
            begun = time.monotonic()
            covered, methods = coverage(task, rows, repeats, true)
            seconds = (time.monotonic() - begun) / repeats
            error = 1.96 * np.sqrt(0.95 * 0.05 / repeats)
            print(f"\n{task.value}, {rows:,} rows: {repeats} test sets, {seconds:.2f} s each; 0.95 +- {error:.3f}")
            for name, share in covered.items():
                print(f"  {name:18} {share:.3f}  {methods[name]}")


if __name__ == "__main__":
    main()
