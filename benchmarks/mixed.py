"""Titanic with and without its texts: does a row of numbers, categories and names beat numbers and categories alone?

Whole `assay fit` commands of a minute each; of one seed both see the same rows and the same parts. The names say what
sex and rank say too, so a tie is a fair answer; the report's own answer, the loss that is added when the cells of the
texts are dealt out anew, stands beside it. The data are found with --data.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from _measure import add_data, heading, parser, table, verdict

from assay.runs import open_run

TEXTS = ("Name", "Ticket", "Cabin")


def fit(source: Path, seed: int, budget: str, out: Path, dropped: tuple[str, ...]) -> tuple[float, str]:
    """AUROC on the test rows, and what the report says that the kinds of columns give."""
    program = str(Path(sys.executable).with_name("assay"))
    command = [program, "fit", str(source), "--target", "Survived", "--budget", budget, "--seed", str(seed)]
    for name in ("PassengerId", *dropped):
        command += ["--drop", name]
    subprocess.run([*command, "--out", str(out), "--quiet"], check=True)
    report = open_run(out).report()
    network = next(model for model in report.scores if model.kind == "network")
    auroc = next(score.estimate.value for score in network.scores if score.name == "auroc")
    given = "; ".join(
        f"{each.family} {each.loss.value:+.3f} [{each.loss.low:+.3f}, {each.loss.high:+.3f}]"
        for each in report.contributions
    )
    return auroc, given


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments.add_argument("--budget", default="1m")
    chosen = arguments.parse_args()
    heading("Titanic with and without its texts", small=chosen.small)
    rows, gains = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in chosen.seeds[: 1 if chosen.small else None]:
            source = chosen.data / "tabular" / "titanic.csv.gz"
            whole, given = fit(source, seed, chosen.budget, Path(folder) / f"whole{seed}", ())
            without, _ = fit(source, seed, chosen.budget, Path(folder) / f"without{seed}", TEXTS)
            gains.append(whole - without)
            rows.append((str(seed), f"{whole:.4f}", f"{without:.4f}", f"{gains[-1]:+.4f}", given))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    table(["seed", "AUROC with texts", "without", "gain", "log loss that each kind saves"], rows)
    if len(gains) > 1:
        error = statistics.stdev(gains) / len(gains) ** 0.5
        print(f"\nMean gain {statistics.mean(gains):+.4f} ± {error:.4f} (standard error over seeds): beats numbers and "
              f"categories alone by two of them: {verdict(statistics.mean(gains) > 2 * error)}")  # fmt: skip


if __name__ == "__main__":
    main()
