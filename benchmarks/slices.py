"""How often the search for weak subgroups is wrong, how often it finds a planted one, and how long it takes.

Tables have five columns of numbers and five of categories. Without a weak subgroup losses are skewed, as log losses
are, and have nothing to do with the columns: whatever is found is a false alarm, which is to happen in 5 % of tables.
Planted are a category and a pair of categories, whose rows are answered wrongly twice as often as the others. Every
subgroup that is found is then tested on as many other rows. Run it with `--repeats N` for another number of tables.
"""

import argparse
import time

import numpy as np
import polars as pl

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.judged import Judged
from assay.evaluate.row_losses import Deciding
from assay.evaluate.slices.weak import weak_slices
from assay.ledger import Ledger

WRONG, WEAK = 0.12, 0.24
PLANTED = {
    "none": lambda frame: np.zeros(frame.height, bool),
    "a category of 1 row in 5": lambda frame: (frame["c0"] == "v0").to_numpy(),
    "a pair of 1 row in 16": lambda frame: (
        ((frame["c0"] == "v0") & (frame["c1"].is_in(["v0", "v1"]))).to_numpy() & (frame["n0"] > -0.45).to_numpy()
    ),
}


def judged(rows: int, seed: int, planted: str) -> tuple[Judged, pl.DataFrame]:
    rng = np.random.default_rng([rows, seed])
    numbers = {f"n{at}": rng.normal(size=rows) for at in range(5)}
    words = {f"c{at}": rng.choice([f"v{value}" for value in range(5)], rows) for at in range(5)}
    frame = pl.DataFrame({**numbers, **words, "y": rng.choice(["a", "b"], rows)})
    target = (frame["y"] == "b").to_numpy().astype(np.int64)
    wrong = rng.random(rows) < np.where(PLANTED[planted](frame), WEAK, WRONG)
    sure = 1.0 - 0.5 * rng.beta(1, 4, rows)
    up = np.where((target == 1) ^ wrong, sure, 1.0 - sure)
    return Judged(Rows("valid", frame.drop("y"), target, None, np.arange(rows)), np.stack([1 - up, up], 1)), frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    print(f"{'planted':26} {'rows':>6} {'found any':>10} {'confirmed':>10} {'a column of it':>15} {'seconds':>8}")
    for planted in PLANTED:
        for rows in (500, 1000, 4000):
            found = confirmed = right = 0
            spent = 0.0
            for seed in range(repeats):
                (chosen_by, frame), (tested_by, _) = judged(rows, seed, planted), judged(rows, seed + 10**6, planted)
                schema, begun = infer(read(frame), Hints(target="y")), time.perf_counter()
                made = weak_slices(
                    chosen_by, tested_by, schema, EvaluateConfig(), pictures=None, deciding=Deciding(), seed=seed,
                    ledger=Ledger(),
                )  # fmt: skip
                spent += time.perf_counter() - begun
                weak = [each for each in made.found if each.verdict == "weaker"]
                found += bool(made.found)
                confirmed += bool(weak)
                right += any("c0 = v0" in each.condition for each in weak)
            shares = f"{found / repeats:>10.2f} {confirmed / repeats:>10.2f} {right / repeats:>15.2f}"
            print(f"{planted:26} {rows:>6} {shares} {spent / repeats:>8.2f}")


if __name__ == "__main__":
    main()
