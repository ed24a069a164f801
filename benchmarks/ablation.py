"""What does each practice earn on Adult, and how long does it take to find out?

Fits the Adult census data (official test part, default preset) and runs `assay ablate` on it with its default budget.
Printed are seconds, rows and folds, and what every practice gained. The goal is 15 minutes on two cores with all
practices that can be switched off. `--budget` gives the ablation another time.
"""

import tempfile
import time
from pathlib import Path

from _measure import ADULT, heading, parser, table, verdict

import assay
from assay.ablation import BUDGET
from assay.report import ablation_words as words
from assay.report.words import plain

GOAL = 15 * 60.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--budget", default=BUDGET, help=f"time of the ablation (default: {BUDGET})")
    chosen = arguments.parse_args()
    heading("What practices earn on Adult", small=chosen.small)
    quick = ["train.epochs=2", "evaluate.baselines=majority", "evaluate.bootstrap=100"] if chosen.small else []
    with tempfile.TemporaryDirectory() as folder:
        run = assay.fit(
            ADULT / "train.csv.gz", target="income", test=ADULT / "test.csv.gz", out=Path(folder) / "adult",
            overrides=quick,
        )  # fmt: skip
        begun = time.perf_counter()
        made = assay.ablate(run.directory, budget="20s" if chosen.small else chosen.budget)
        seconds = time.perf_counter() - begun
    table(
        ["seconds", "practices measured", "network", "rows", "folds", "seeds", "passes at most", "complete"],
        [
            (f"{seconds:.0f} ({verdict(seconds <= GOAL)}: goal {GOAL:.0f})", len(made.effects), made.network,
             f"{made.rows:,} of {made.of_rows:,}", made.folds, made.seeds, made.passes, made.complete),
        ],
    )  # fmt: skip
    print(f"\n{plain(words.headline(made))}\n")
    rows = [
        (
            effect.practice, effect.without, plain(words.gain(effect.gain)), effect.label, plain(words.p_of(effect)),
            "-" if effect.proper is None else plain(words.gain(effect.proper)), plain(words.cost(effect)),
            words.verdict(effect),
        )
        for effect in made.effects
    ]  # fmt: skip
    table(["practice", "without it", "gain", "in", "p", f"gain in {made.proper_label}", "costs", "verdict"], rows)


if __name__ == "__main__":
    main()
