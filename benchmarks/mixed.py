"""Titanic with and without its texts: does a row of numbers, categories and names beat numbers and categories alone?

Whole `assay fit` commands of a minute each. The rows are dealt into parts of equal size, and each part is the test rows
of one fit with the texts and of one without, so that both answer every row once. The names say what sex and rank say
too, so a tie is a fair answer; the report's own answer, the loss that is added when the cells of the texts are dealt
out anew, stands beside it. The data are found with --data.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from _measure import add_data, heading, parser, table, verdict

from assay.runs import open_run

TEXTS = ("Name", "Ticket", "Cabin")


def dealt(source: Path, parts: int, folder: Path) -> list[tuple[Path, Path]]:
    """Training and test rows of each part, as CSV: classes in turn, after a shuffle, so that parts are alike."""
    frame = pl.read_csv(source).sample(fraction=1.0, shuffle=True, seed=0).sort("Survived", maintain_order=True)
    part = np.arange(len(frame)) % parts
    found = []
    for place in range(parts):
        paths = folder / f"train{place}.csv", folder / f"test{place}.csv"
        frame.filter(pl.Series(part != place)).write_csv(paths[0])
        frame.filter(pl.Series(part == place)).write_csv(paths[1])
        found.append(paths)
    return found


def fit(train: Path, test: Path, budget: str, out: Path, dropped: tuple[str, ...]) -> tuple[dict[str, float], str]:
    """AUROC on the test rows of the network and the linear model, and what the kinds of columns give by the report."""
    program = str(Path(sys.executable).with_name("assay"))
    command = [program, "fit", str(train), "--test", str(test), "--target", "Survived", "--budget", budget]
    for name in ("PassengerId", *dropped):
        command += ["--drop", name]
    subprocess.run([*command, "--out", str(out), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    report = open_run(out).report()
    scores = {
        model.name: score.estimate.value for model in report.scores for score in model.scores if score.name == "auroc"
    }
    given = "; ".join(
        f"{each.family} {each.loss.value:+.3f} [{each.loss.low:+.3f}, {each.loss.high:+.3f}]"
        for each in report.contributions
    )
    return scores, given


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--parts", type=int, default=3)
    arguments.add_argument("--budget", default="1m")
    chosen = arguments.parse_args()
    heading("Titanic with and without its texts", small=chosen.small)
    rows, gains = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, (train, test) in enumerate(dealt(chosen.data / "tabular" / "titanic.csv.gz", chosen.parts, folder)):
            if chosen.small and place:
                break
            whole, given = fit(train, test, chosen.budget, folder / f"whole{place}", ())
            without, _ = fit(train, test, chosen.budget, folder / f"without{place}", TEXTS)
            gains.append(whole["network"] - without["network"])
            scores = (whole["network"], without["network"], gains[-1], whole["linear model"], without["linear model"])
            rows.append((str(place + 1), *(f"{score:.4f}" for score in scores), given))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    heads = ["part", "AUROC with texts", "without", "gain", "linear with texts", "without"]
    table([*heads, "log loss that each kind saves"], rows)
    if len(gains) > 1:
        error = statistics.stdev(gains) / len(gains) ** 0.5
        print(f"\nMean gain {statistics.mean(gains):+.4f} ± {error:.4f} (standard error over parts): beats numbers and "
              f"categories alone by two of them: {verdict(statistics.mean(gains) > 2 * error)}")  # fmt: skip


if __name__ == "__main__":
    main()
