"""Pictures, texts and series: what `assay fit` reaches within a budget, beside its own baselines and the goals.

Every line is one whole command on the official parts, or on a split of ours where there are none. The data are found
with --data, the folder of public data sets. Goals are those that were set before the first line was written.
"""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from _measure import add_data, heading, parser, table, verdict

from assay.evaluate.record import Comparison
from assay.runs import open_run


@dataclass(frozen=True)
class Task:
    """A command: its data, what it is judged by, and the score to reach (None: better than the linear model).

    each: training pictures of a class that are taken of an archive with the parts train and test; 0 takes all.
    """

    name: str
    data: str
    budget: str
    metric: str
    goal: float | None
    options: tuple[str, ...] = ()
    each: int = 0


def parts(name: str, *options: str) -> tuple[str, ...]:
    return ("--test", f"text/{name}_test.csv.gz", *options)


TASKS = (
    Task("mnist_png_subset", "image/mnist_png_subset.zip", "2m", "accuracy", 0.985),
    Task("sign_language_digits", "image/sign_language_digits.zip", "3m", "accuracy", 0.97),
    Task("cifar10_jpg_subset, from scratch", "image/cifar10_jpg_subset.zip", "10m", "accuracy", 0.72,
         ("ensemble.backbone=none",)),
    Task("cifar10_jpg_subset, 2,000 labels", "image/cifar10_jpg_subset.zip", "5m", "accuracy", 0.74, each=200),
    Task("sms_spam", "text/sms_spam.csv.gz", "1m", "f1", 0.96, ("--target", "label", "--positive", "spam")),
    Task("trec_questions", "text/trec_questions_train.csv.gz", "3m", "accuracy", 0.94,
         parts("trec_questions", "--target", "label", "--drop", "fine_label")),
    Task("sst2", "text/sst2_train.csv.gz", "5m", "accuracy", 0.84,
         parts("sst2", "--target", "label", "--valid", "text/sst2_dev.csv.gz")),
    Task("tweeteval_emotion", "text/tweeteval_emotion_train.csv.gz", "5m", "accuracy", None,
         parts("tweeteval_emotion", "--target", "label", "--valid", "text/tweeteval_emotion_dev.csv.gz")),
    Task("ag_news_7600", "text/ag_news_7600.csv.gz", "5m", "accuracy", None, ("--target", "label")),
    Task("movie_reviews_polarity2", "text/movie_reviews_polarity2.parquet", "5m", "accuracy", None,
         ("--target", "label", "--drop", "fold")),
    *(Task(name, f"sequence/ucr_{name}_train.parquet", "2m", "accuracy", None,
           ("--target", "label", "--test", f"sequence/ucr_{name}_test.parquet"))
      for name in ("ECG200", "GunPoint", "ArrowHead", "ItalyPowerDemand", "SwedishLeaf", "SyntheticControl")),
)  # fmt: skip


def unpacked(archive: Path, each: int, folder: Path) -> Path:
    """The archive's test part and the first `each` training pictures of a class, as a folder."""
    taken = Counter[str]()
    with zipfile.ZipFile(archive) as whole:
        for name in sorted(whole.namelist()):
            part, label, _ = name.split("/")
            taken[label] += part == "train"
            if part != "train" or taken[label] <= each:
                whole.extract(name, folder)
    return folder


def run(task: Task, data: Path, seed: int, out: Path) -> tuple[str, ...]:
    """A row of the table: score, parts, the linear model's, a paired test against it, seconds, and the goal."""
    placed = [str(data / each) if each.startswith(("text/", "sequence/")) else each for each in task.options]
    program = str(Path(sys.executable).with_name("assay"))
    source = unpacked(data / task.data, task.each, out.with_suffix(".data")) if task.each else data / task.data
    command = [program, "fit", str(source), *placed, "--budget", task.budget]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--seed", str(seed), "--out", str(out), "--quiet"], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        return task.name, task.budget, f"failed: {done.stderr.strip()[-120:]}", "", "", "", f"{seconds:.0f}", ""
    report = open_run(out).report()
    found = {
        model.name: {score.name: score.estimate for score in model.scores}.get(task.metric) for model in report.scores
    }
    own, linear = found["network"], found.get("linear model")
    goal = task.goal if task.goal is not None else (linear.value if linear is not None else 0.0)
    parts_told = ", ".join(f"{part.name} {part.share:.0%}" for part in report.training.parts)
    shown = f"{linear.value:.4f}" if linear is not None else ""
    met = f"{'≥' if task.goal is not None else '>'} {goal:.4g}: {verdict(own.value >= goal)}"
    paired = "; ".join(told(each) for each in report.comparisons if each.against == "linear model")
    return task.name, task.budget, f"{task.metric} {own.value:.4f}", parts_told, shown, paired, f"{seconds:.0f}", met


def told(paired: Comparison) -> str:
    """A paired comparison on the test rows in words; positive differences favour the network."""
    found = paired.difference
    return f"{paired.metric} {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {paired.verdict}"


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--only", nargs="*", default=[], help="names, or beginnings of names, of data sets")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    heading("Pictures, texts and series", small=chosen.small)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for place, task in enumerate(TASKS):
            if chosen.only and not task.name.startswith(tuple(chosen.only)):
                continue
            if chosen.small and place:
                break
            rows.append(run(task, chosen.data, chosen.seed, Path(folder) / str(place)))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    table(["data", "budget", "score", "parts", "linear model", "paired", "s", "goal"], rows)


if __name__ == "__main__":
    main()
