"""Are calibrated models left in peace, and distorted ones found? False alarms and power of the tests of calibration.

Outcomes are drawn from honest probabilities; what is stated of them is those, or the same with log odds times a factor
(overconfident) or moved. The alarm is a p-value below 0.05. Beside it, how often a fixed threshold of 0.05 would cry.
Run it with `--repeats N` for another number of calibrated test sets of each kind and size; of distorted ones there is
a quarter of it.
"""

import argparse
import time

import numpy as np

from assay.evaluate.calibration.reliability import null_tests

#: Factor and shift of the log odds.
DISTORTIONS = {
    "calibrated": (1.0, 0.0),
    "odds x 1.5": (1.5, 0.0),
    "odds + 0.3": (1.0, 0.3),
}
#: Shapes of the honest probabilities: Beta(a, b), and the likeliest of five classes.
SHAPES = {"balanced": (2.0, 2.0), "sure": (0.3, 0.3), "rare": (0.6, 8.0), "five classes": None}
FIXED = 0.05


def draw(shape: str, factor: float, shift: float, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,) and stated probabilities (n, K)."""
    parameters = SHAPES[shape]
    if parameters is None:
        logits = rng.normal(0, 1.5, (rows, 5))
    else:
        p = np.clip(rng.beta(*parameters, rows), 1e-9, 1 - 1e-9)
        logits = np.stack([np.zeros(rows), np.log(p) - np.log1p(-p)], axis=1)
    honest = np.exp(logits - logits.max(axis=1, keepdims=True))
    honest /= honest.sum(axis=1, keepdims=True)
    truth = (honest.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=logits.shape[1] - 1)
    logits = factor * logits
    logits[:, -1] += shift
    stated = np.exp(logits - logits.max(axis=1, keepdims=True))
    return truth, stated / stated.sum(axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=400, help="calibrated test sets of each kind and size; distorted are a quarter"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1_000, 10_000])
    parser.add_argument("--draws", type=int, default=199)
    chosen = parser.parse_args()
    for rows in chosen.sizes:
        begun, count = time.monotonic(), 0
        print(
            f"\n{rows:,} rows: {chosen.repeats} calibrated test sets each; "
            f"alarms of ECE, of smooth ECE, of ECE above {FIXED}"
        )
        for shape in SHAPES:
            for name, (factor, shift) in DISTORTIONS.items():
                alarms, errors = np.zeros(3), []
                repeats = chosen.repeats if name == "calibrated" else max(1, chosen.repeats // 4)
                for seed in range(repeats):
                    truth, stated = draw(shape, factor, shift, rows, np.random.default_rng([rows, seed]))
                    ece, smooth = null_tests(truth, stated, draws=chosen.draws, seed=seed)
                    alarms += [ece.is_miscalibrated, smooth.is_miscalibrated, ece.value > FIXED]
                    errors.append((ece.value, smooth.value))
                    count += 1
                rates, means = alarms / repeats, np.mean(errors, axis=0)
                print(
                    f"  {shape:13} {name:12} {rates[0]:.3f} {rates[1]:.3f} {rates[2]:.3f}   "
                    f"mean ECE {means[0]:.4f}, smooth {means[1]:.4f}",
                    flush=True,
                )
        print(f"  {(time.monotonic() - begun) / count * 1000:.0f} ms a test set")


if __name__ == "__main__":
    main()
