"""How much does the best of many settings flatter itself, and do we say so? With the truth known, on simulated rows.

First the best of 1 to 500 settings by accuracy: all of them truly 0.700, or truly different, with errors that are
independent or, as those of real models, mostly on the same rows. Printed are the mean score of the naive best, our
bias-corrected estimate (BBC-CV), what the chosen setting truly has, and how often our 95 % interval holds that.

Then weights of models among useless ones: the loss on 20,000 other rows of the best model alone, of greedy weights
without and with the guard, and of stacking. `--repeats N` takes another number of samples.
"""

import argparse
import time
from statistics import NormalDist

import numpy as np
from scipy.special import ndtr

from assay.data.schema import Task
from assay.evaluate.metrics import metric
from assay.evaluate.selection import best_of_losses, draws
from assay.search.ensemble.combine import greedy_shares, guarded_shares, mixture_loss
from assay.search.ensemble.stacking import stacked_shares

ACCURACY = metric(Task.BINARY, "accuracy")
CASES = {
    "all truly 0.700, independent errors": (0.0, 0.0),
    "all truly 0.700, errors on the same rows": (0.0, 0.8),
    "truly 0.65 to 0.75, independent errors": (0.1, 0.0),
    "truly 0.65 to 0.75, errors on the same rows": (0.1, 0.8),
}


def hits(settings: int, rows: int, spread: float, shared: float, rng: np.random.Generator):
    """Whether each setting is right on each row, and its true accuracy; errors share a part of their cause."""
    true = 0.7 + spread * (rng.random(settings) - 0.5)
    cause = np.sqrt(shared) * rng.normal(size=rows) + np.sqrt(1.0 - shared) * rng.normal(size=(settings, rows))
    limit = np.array([NormalDist().inv_cdf(share) for share in true])
    return (cause < limit[:, None]).astype(np.float64), true


def print_selection(name: str, spread: float, shared: float, repeats: int) -> None:
    print(f"\n{name}; {repeats} samples\n")
    print("| rows | settings | naive best | corrected | true | naive holds | interval holds the truth | its width |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in (200, 1_000):
        for settings in (1, 10, 100, 500):
            found = []
            for seed in range(repeats):
                right, true = hits(settings, rows, spread, shared, np.random.default_rng([rows, settings, seed]))
                made = best_of_losses(right, ACCURACY, samples=400, seed=seed)
                chosen = true[int(right.mean(1).argmax())]
                value, low, high = made.corrected.value, made.corrected.low, made.corrected.high
                half = 1.96 * np.sqrt(made.validation * (1 - made.validation) / rows)
                naive = abs(made.validation - chosen) <= half
                found.append((made.validation, value, chosen, naive, low <= chosen <= high, high - low))
            mean = np.mean(found, axis=0)
            shown = " | ".join(f"{each:.3f}" for each in mean)
            print(f"| {rows:,} | {settings} | {shown} |", flush=True)


def models(rows: int, noise: int, classes: bool, rng: np.random.Generator):
    """Eight models that each know five of eight causes and are calibrated, and useless ones.

    Were they not calibrated, useless models would help by shrinking the answer.
    """
    causes = rng.normal(size=(8, rows))
    signal = causes.sum(0) + 2.0 * rng.normal(size=rows)
    known = [rng.choice(8, 5, replace=False) for _ in range(8)]
    means = [causes[each].sum(0) for each in known]
    if not classes:
        return signal, means + list(2.0 * rng.normal(size=(noise, rows)))
    positive = [*ndtr(np.stack(means) / np.sqrt(3.0 + 4.0)), *rng.random((noise, rows))]
    return (signal > 0.0).astype(np.int64), [np.stack([1.0 - each, each], axis=1) for each in positive]


def print_weights(classes: bool, repeats: int) -> None:
    print(f"\n{'log loss of two classes' if classes else 'mean squared error'} on other rows; {repeats} samples\n")
    print(
        "| rows | useless | best alone | greedy, 40 steps | guarded | its steps | models kept, of | stacked | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for rows in (100, 400):
        for noise in (0, 50, 200):
            found = []
            for seed in range(repeats):
                rng = np.random.default_rng([rows, noise, seed])
                target, predictions = models(rows + 20_000, noise, classes, rng)
                seen = [each[:rows] for each in predictions]
                drawn = np.concatenate(list(draws(rows, 30, seed, strata=target[:rows] if classes else None)))
                begun = time.perf_counter()
                guarded = guarded_shares(seen, target[:rows], draws=drawn)
                seconds = time.perf_counter() - begun
                alone = np.eye(len(seen))[np.argmin([mixture_loss(each, target[:rows], None) for each in seen])]
                greedy = greedy_shares(seen, target[:rows])
                stacked = stacked_shares(seen, target[:rows], draws=drawn[:10]).shares

                def loss(shares, predictions=predictions, target=target, rows=rows):
                    mixed = sum(s * each[rows:] for s, each in zip(shares, predictions, strict=True) if s)
                    return mixture_loss(mixed, target[rows:], None)

                kept = (guarded.shares > 0).sum()
                scored = [loss(shares) for shares in (alone, greedy, guarded.shares, stacked)]
                found.append((*scored[:3], guarded.steps, kept, (greedy > 0).sum(), scored[3], seconds))
            alone, greedy, guard, steps, kept, of, stack, seconds = np.mean(found, axis=0)
            losses = f"{alone:.4f} | {greedy:.4f} | {guard:.4f}"
            counts = f"{steps:.0f} | {kept:.0f} of {of:.0f}"
            print(f"| {rows:,} | {noise} | {losses} | {counts} | {stack:.4f} | {seconds:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="a quick try whose figures say nothing")
    chosen = parser.parse_args()
    repeats = 10 if chosen.small else chosen.repeats
    for name, (spread, shared) in CASES.items():
        print_selection(name, spread, shared, repeats)
    for classes in (True, False):
        print_weights(classes, max(repeats // 10, 2))


if __name__ == "__main__":
    main()
