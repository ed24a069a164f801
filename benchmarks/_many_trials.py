"""A study of very many trials: seconds to write, to load, to draw and to show it.

A real study of a few trials is begun, and trials with made-up values are added to its storage in the rounds and groups
that the search itself would write; nothing is trained for them.
"""

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import ADULT, table, verdict

#: Seconds in which such a study is to be loaded and drawn.
MOST_SECONDS = 30.0
OVER = ["train.lr", "train.weight_decay", "model.width=32|64|128|256", "model.dropout=0.0..0.5"]


def many(count: int) -> None:
    """Print what a study of `count` trials takes."""
    import assay
    from assay.report.study_page import draw_study
    from assay.tuning.directory import open_study

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "study"
        assay.tune(
            ADULT / "train.csv.gz", "income", over=OVER, trials=4, folds=1, budget="none", fit_best=False, out=out,
            overrides=["model.name=mlp", "train.epochs=1"],
        )  # fmt: skip
        wrote = timed(lambda: add(out, count))
        loaded = timed(lambda: open_study(out).tried)
        study = open_study(out)
        rows = [
            ("write a trial, ms", 1e3 * wrote / count),
            ("load, s", loaded),
            ("table, s", timed(lambda: study.trials.write_parquet(out / "trials.parquet"))),
            ("importance, s", timed(lambda: study.importances)),
            ("interactions, s", timed(lambda: study.interactions)),
            ("page, s", timed(lambda: (out / "report.html").write_text(draw_study(study.page)))),
        ]
        size = (out / "report.html").stat().st_size / 1e6
        shown = timed(lambda: subprocess.run([Path(sys.executable).parent / "assay", "show", out], check=True,
                                             stdout=subprocess.DEVNULL))  # fmt: skip
        print(f"A study of {count:,} trials\n")
        table(
            ("", "value"), [(name, f"{value:,.2f}") for name, value in [*rows, ("page, MB", size), ("show, s", shown)]]
        )
        whole = sum(value for _, value in rows[1:])
        print(f"Loaded and drawn in {whole:.1f} s, below {MOST_SECONDS:.0f} s: {verdict(whole < MOST_SECONDS)}\n")


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def add(directory: Path, count: int) -> None:
    """Trials at random in rounds of 16 and groups of 8, best at a rate that grows with the width."""
    import numpy as np

    from assay.search.study.proposer import _evenly
    from assay.search.study.store import Tried
    from assay.search.study.trial import Outcome, Trial
    from assay.tuning.directory import read_study

    file, rng = read_study(directory), np.random.default_rng(0)
    store, first = file.store(directory, mend=True), 4
    for lead in range(first, count, 16):
        asked = []
        for number in range(lead, min(lead + 16, count)):
            options = {each.key: _evenly(each, rng) for each in file.space.parameters}
            value = 0.9 - 0.02 * abs(math.log10(options["train.lr"] * options["model.width"])) + 0.005 * rng.normal()
            group = lead + 8 * ((number - lead) // 8)
            outcome = Outcome(number, "complete", value, (value,), 5, 0.1, 1000)
            trial = Trial(number, options, number)
            asked.append(Tried(trial, lead, min(16, count - lead), group, number, "tpe", outcome))
        store.add(asked)
        for at in range(0, len(asked), 8):
            store.finish(asked[at : at + 8])
