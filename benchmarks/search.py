"""Search of settings: how many a minute, what one costs besides training, and what is found in equal time.

**Speed** (`--speed`): settings of the same small network on the same rows, folds and passes, judged by assay as members
of one network and by Optuna driving a torch loop written by hand, in turn. **Overhead**: what remains of a setting's
time at no passes at all, from the times of short and of long trainings. Both are of this process.

**Quality** (`--seconds 300`): `assay tune` beside Optuna with a plain loop, scikit-learn's HalvingRandomSearchCV over
its MLP, and Ray Tune with OptunaSearch and ASHA, on tables of the shared data folder in equal wall time: scores of test
rows, ranks over tables and seeds. Test rows whose features training rows have too are left out, for they are won by who
learns rows by heart (wine_quality: 28 %; a line says how many). Every finished search is a line of `--resume FILE` and
is not repeated. Rivals run in `--rivals-python`, Ray Tune in `--ray-python`; what is not there is said and left out.

**Many** (`--many 10000`): what a study of so many trials takes to load and to draw.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _measure import ADULT, add_data, heading, parser, table, verdict
from _tables import ALL, HIGHER, Data, present, write_parts

HERE = Path(__file__).resolve().parent
#: Tables of many kinds: two, many classes, numbers; from hundreds of rows to tens of thousands.
TABLES = (
    "adult", "bank_marketing", "telco_churn", "magic_telescope", "vehicle", "letter", "california_housing", "abalone",
    "concrete", "wine_quality",
)  # fmt: skip
SYSTEMS = ("assay", "Optuna", "halving", "Ray Tune")
FASTER, MOST_OVERHEAD = 3.0, 0.020


@dataclass(frozen=True)
class Work:
    """What both judge: rows of numbers with two classes, folds, passes."""

    rows: int
    columns: int = 20
    folds: int = 3
    epochs: int = 10
    batch: int = 256


# Speed and overhead ---------------------------------------------------------------------------------------------------


def arrays(work: Work):
    """Standard normal numbers, and a class that follows from six of them and noise."""
    import numpy as np

    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((work.rows, work.columns)).astype(np.float32)
    signal = np.sin(inputs[:, :6]).sum(1) + 0.3 * rng.standard_normal(work.rows)
    return inputs, (signal > 0).astype(np.int64)


def settings(count: int, seed: int) -> list[dict[str, float]]:
    """Settings as both are given them: rate, decay and dropout."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return [
        {
            "lr": float(10 ** rng.uniform(-4, -1.5)), "weight_decay": float(10 ** rng.uniform(-6, -1)),
            "dropout": float(rng.uniform(0.0, 0.5)),
        }
        for _ in range(count)
    ]  # fmt: skip


def objective(work: Work, folder: Path, threads: int, axis: str, epochs: int):
    """assay's objective: the network and the training of the loop by hand."""
    import numpy as np
    import polars as pl

    from assay.data.config import EncodeConfig, SplitConfig
    from assay.data.encoding.encode import Encoder
    from assay.data.rows import Rows
    from assay.data.schema import Column, Kind, Schema, Task
    from assay.ledger import Ledger
    from assay.models.config import ModelConfig
    from assay.search.study.objective import TableObjective
    from assay.train.config import TrainConfig

    inputs, target = arrays(work)
    names = [f"x{place}" for place in range(work.columns)]
    columns = [Column(name=name, kind=Kind.NUMBER, dtype="Float32", reason="made") for name in names]
    columns.append(Column(name="y", kind=Kind.CATEGORY, dtype="String", reason="made"))
    schema = Schema(columns=tuple(columns), target="y", task=Task.BINARY, task_reason="made", classes=("a", "b"))
    frame, cut = pl.DataFrame(inputs, schema=names), round(0.9 * work.rows)
    parts = [
        Rows(part, frame, target[places], None, places, places)
        for part, places in (("train", np.arange(cut)), ("valid", np.arange(cut, work.rows)))
    ]
    encoder = Encoder.fit(parts[0], schema, EncodeConfig(), Ledger())
    model = ModelConfig(name="mlp", width=128, layers=2, numbers="plain")
    train = TrainConfig(epochs=epochs, batch=work.batch, threads=threads, patience=epochs)
    return TableObjective.open(
        encoder, tuple(parts), schema, model, train, SplitConfig(keep_duplicates_together=False, stratify=False),
        work.folds, "log_loss", 0, folder, axis=axis,
    )  # fmt: skip


def judge(made, chosen: list[dict[str, float]], clock=time.perf_counter) -> float:
    """Seconds in which assay judges the settings; all must be judged."""
    from assay.search.study.trial import Trial
    from assay.train.budget import Budget
    from assay.train.watch import Unwatched

    names = {"lr": "train.lr", "weight_decay": "train.weight_decay", "dropout": "model.dropout"}
    trials = [
        Trial(number, {names[name]: value for name, value in each.items()}, number)
        for number, each in enumerate(chosen)
    ]  # fmt: skip
    begun = clock()
    outcomes = [each for group in made.groups(trials) for each in made.judge(group, None, Budget(None), Unwatched())]
    assert {each.state for each in outcomes} == {"complete"}
    return clock() - begun


def judge_by_hand(work: Work, chosen: list[dict[str, float]]) -> float:
    """Seconds in which Optuna and a plain loop judge as many settings, drawn by its TPE where it is installed."""
    import numpy as np
    import torch
    from _search_rival import Rows, Setting, train

    inputs, target = arrays(work)
    rows = Rows(torch.from_numpy(inputs), torch.from_numpy(target))
    fold = np.random.default_rng(0).permutation(work.rows) % work.folds
    parts = [
        (rows.at(torch.from_numpy(np.flatnonzero(fold != k))), rows.at(torch.from_numpy(np.flatnonzero(fold == k))))
        for k in range(work.folds)
    ]

    def loss(setting: Setting) -> float:
        found = [
            train(setting, learn, held, 2, work.epochs, seed=k, patience=work.epochs)
            for k, (learn, held) in enumerate(parts)
        ]
        return sum(each[1] for each in found) / work.folds

    begun = time.perf_counter()
    try:
        import optuna
    except ImportError:  # settings that cost nothing to draw: the comparison is only harder
        for each in chosen:
            loss(Setting(**each))
        return time.perf_counter() - begun
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def asked(trial) -> float:
        return loss(
            Setting(
                lr=trial.suggest_float("lr", 1e-4, 10**-1.5, log=True),
                dropout=trial.suggest_float("dropout", 0.0, 0.5),
                weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
            )
        )  # fmt: skip

    optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0)).optimize(asked, n_trials=len(chosen))
    return time.perf_counter() - begun


def speed(chosen: argparse.Namespace) -> None:
    """Settings a minute by how many are judged at once, in turn with the loop by hand, with one and two threads."""
    import torch

    cores = len(os.sched_getaffinity(0))
    rows = []
    for count in chosen.rows:
        work = Work(count, epochs=2 if chosen.small else 10)
        for threads in chosen.threads or ([1, 2] if cores > 1 else [1]):
            torch.set_num_threads(threads)
            with tempfile.TemporaryDirectory() as folder:
                made = {
                    (axis, width): objective(work, Path(folder) / f"{axis}{width}", threads, axis, work.epochs)
                    for axis in chosen.axes for width in chosen.widths
                }  # fmt: skip
                times: dict[object, list[float]] = {}
                judge(next(iter(made.values())), settings(1, 0))  # what is imported and allocated once
                judge_by_hand(work, settings(1, 0))
                for turn in range(chosen.rounds):
                    for (axis, width), each in made.items():
                        each.width = width
                        taken = judge(each, settings(width, turn)) / width
                        times.setdefault((axis, width), []).append(taken)
                    times.setdefault("hand", []).append(judge_by_hand(work, settings(2, turn)) / 2)
            hand = statistics.median(times.pop("hand"))
            rows.append((f"{count:,}", threads, "by hand, one after another", f"{60 / hand:,.1f}", "1.00", ""))
            for (axis, width), each in times.items():
                found = statistics.median(each)
                goal = f"≥ {FASTER:.0f}: {verdict(hand / found >= FASTER)}" if width == max(chosen.widths) else ""
                told = f"assay, {width} at once, {'all folds' if axis == 'epochs' else 'fold by fold'}"
                rows.append((f"{count:,}", threads, told, f"{60 / found:,.1f}", f"{hand / found:.2f}", goal))
    table(("rows", "threads", "", "settings a minute", "times as many", "goal"), rows)


def overhead(chosen: argparse.Namespace) -> None:
    """Twice the time of a short training less that of one twice as long: what does not grow with the passes.

    Processor time, in one thread: the difference of two wall times would be that of a busy machine.
    """
    import torch

    torch.set_num_threads(1)
    rows = []
    for count in chosen.rows:
        work = Work(count)
        with tempfile.TemporaryDirectory() as folder:
            made = [objective(work, Path(folder) / str(epochs), 1, "epochs", epochs) for epochs in (2, 4)]
            for width in (1, 8):
                found = []
                for turn in range(chosen.rounds + 1):  # the first warms up
                    for each in made:
                        each.width = width
                    short, long = (judge(each, settings(width, turn), time.process_time) for each in made)
                    found.append((2 * short - long) / width)
                spent = statistics.median(found[1:])
                goal = f"< {MOST_OVERHEAD * 1e3:.0f}: {verdict(spent < MOST_OVERHEAD)}"
                rows.append((f"{count:,}", width, f"{spent * 1e3:.1f}", goal))
    table(("rows", "settings at once", "ms of processor time a setting besides training", "goal"), rows)


# Quality --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One search."""

    data: Data
    system: str
    seconds: int
    seed: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.data.name, self.system, self.seconds, self.seed


def jobs(chosen: argparse.Namespace, tables: list[Data]) -> Iterator[Job]:
    """All systems side by side, table after table, so that a change of the machine meets them all."""
    for seconds in chosen.seconds:
        for seed in chosen.seeds:
            for data in tables:
                yield from (Job(data, system, seconds, seed) for system in chosen.systems)


def tune(job: Job, train: Path, test: Path, out: Path) -> dict[str, object]:
    """`assay tune` and `assay predict`, as a user types them."""
    from tables_all import run, score_answers

    assay = str(Path(sys.executable).parent / "assay")
    study, answers = out / "study", out / "answers.csv"
    command = [
        assay,
        "tune",
        str(train),
        "--test",
        str(test),
        "--target",
        job.data.target,
        "--task",
        job.data.task,
        "--quiet",
    ]
    command += ["--budget", f"{job.seconds}s", "--seed", str(job.seed), "--out", str(study)]
    _, wall, cpu, memory = run(command, env=dict(os.environ))
    run([assay, "predict", str(study / "run"), str(test), "-o", str(answers)], env=dict(os.environ))
    kept = study / "answers"
    tried = len([path for path in kept.glob("*.npy") if path.stem.isdigit()]) if kept.exists() else None
    found = score_answers(job.data, test, answers)
    return {"scores": found, "seconds": wall, "cpu": cpu, "memory_mb": memory, "tried": tried}


def search_as_rivals(job: Job, train: Path, test: Path, python: Path) -> dict[str, object]:
    """One of the rivals in its environment; `absent` says what it lacks."""
    from tables_all import run

    command = [str(python), str(HERE / "_search_rival.py"), job.system, str(train), str(test)]
    command += ["--target", job.data.target, "--task", job.data.task, "--seed", str(job.seed)]
    printed, wall, cpu, memory = run([*command, "--seconds", str(job.seconds)], env=dict(os.environ))
    return json.loads(printed.splitlines()[-1]) | {"seconds": wall, "cpu": cpu, "memory_mb": memory}


def measure(chosen: argparse.Namespace, tables: list[Data], most: int | None) -> None:
    """Do what is not in the file yet; a search that fails is said and is tried again the next time."""
    from tables_all import read_lines, rounded

    done = {key(line) for line in read_lines(chosen.resume)}
    absent: set[str] = set()
    for job in jobs(chosen, tables):
        if job.key in done or job.system in absent:
            continue
        with tempfile.TemporaryDirectory() as folder:
            train, test = write_parts(job.data, chosen.data, ADULT, Path(folder), most=most)
            seen = leave_out_seen(train, test, job.data.target)
            try:
                if job.system == "assay":
                    found = tune(job, train, test, Path(folder))
                else:
                    python = chosen.ray_python if job.system == "Ray Tune" else chosen.rivals_python
                    found = search_as_rivals(job, train, test, python)
            except RuntimeError as error:
                print(f"{job.data.name}, {job.system}, seed {job.seed}: {error}", file=sys.stderr, flush=True)
                continue
        if "absent" in found:
            absent.add(job.system)
            print(f"{job.system} is left out: {found['absent']}\n", flush=True)
            continue
        line = {"data": job.data.name, "system": job.system, "budget": job.seconds, "seed": job.seed}
        line |= {"seen": seen} | found
        with chosen.resume.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded(line)) + "\n")


def leave_out_seen(train: Path, test: Path, target: str) -> int:
    """Write the test rows without those whose features training rows have too, and say how many these were."""
    import polars as pl

    known, asked = pl.read_csv(train, infer_schema=False), pl.read_csv(test, infer_schema=False)
    features = [name for name in known.columns if name != target]
    left = asked.join(known.select(features).unique(), on=features, how="anti", nulls_equal=True, maintain_order="left")
    left.write_csv(test)
    return asked.height - left.height


def key(line: dict) -> tuple[str, str, int, int]:
    return line["data"], line["system"], line["budget"], line["seed"]


def report(tables: list[Data], lines: list[dict]) -> None:
    """Scores of the test rows, and mean ranks over the tables and seeds that all systems have."""
    for seconds in sorted({line["budget"] for line in lines}):
        here = [line for line in lines if line["budget"] == seconds]
        systems = [name for name in SYSTEMS if any(line["system"] == name for line in here)]
        found = {(line["data"], line["system"], line["seed"]): line for line in here}
        ranks: dict[str, list[float]] = {name: [] for name in systems}
        rows = []
        for data in tables:
            cells = []
            for name in systems:
                each = [line for line in here if (line["data"], line["system"]) == (data.name, name)]
                scores = [line["scores"][data.score] for line in each]
                tried = statistics.median(line.get("tried") or 0 for line in each) if each else 0
                cells.append(f"{statistics.fmean(scores):,.4f} ({tried:.0f})" if scores else "")
            if any(cells):
                rows.append((data.name, data.score, *cells))
            for seed in {line["seed"] for line in here if line["data"] == data.name}:
                scores = [found.get((data.name, name, seed)) for name in systems]
                if all(scores):
                    sign = -1.0 if data.score in HIGHER else 1.0
                    for name, rank in zip(
                        systems, ranked([sign * s["scores"][data.score] for s in scores]), strict=True
                    ):
                        ranks[name].append(rank)
        print(f"Test scores after {seconds} s, mean over seeds (settings that were tried)\n")
        table(("table", "score", *systems), rows)
        if any(ranks.values()):
            mean = {name: statistics.fmean(each) for name, each in ranks.items()}
            count = len(ranks[systems[0]])
            table(("", *systems), [(f"mean rank of {count}", *(f"{mean[name]:.2f}" for name in systems))])
            if "assay" in mean and len(mean) > 1:
                print(f"Best mean rank: {verdict(mean['assay'] == min(mean.values()))}\n")


def ranked(values: list[float]) -> list[float]:
    """Ranks from 1, the least first; equal values share the mean of theirs."""
    return [1 + sum(other < value for other in values) + 0.5 * (values.count(value) - 1) for value in values]


# Asking ---------------------------------------------------------------------------------------------------------------


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def names(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def arguments() -> argparse.Namespace:
    made = parser(__doc__)
    add_data(made)
    made.add_argument("--speed", action="store_true", help="settings a minute, and the overhead of one")
    made.add_argument("--rows", type=numbers, default=[2_000, 10_000, 40_000], metavar="N,N", help="of the speed")
    made.add_argument("--widths", type=numbers, default=[1, 2, 4, 8, 16], metavar="K,K", help="settings at once")
    made.add_argument("--axes", type=names, default=["epochs", "folds"], metavar="AXIS,AXIS", help="all folds at once")
    made.add_argument("--threads", type=numbers, metavar="N,N", help="of the speed; default: 1,2")
    made.add_argument("--rounds", type=int, default=3, help="turns of each")
    made.add_argument("--seconds", type=numbers, default=[], metavar="S,S", help="of a search, such as 300")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2], metavar="N,N", help="default: 0,1,2")
    made.add_argument("--only", type=names, metavar="NAME,NAME", help="these tables alone")
    made.add_argument("--systems", type=names, default=list(SYSTEMS), metavar="NAME,NAME", help="these systems alone")
    for name in ("rivals", "ray"):
        made.add_argument(f"--{name}-python", type=Path, default=Path(sys.executable), metavar="PATH")
    made.add_argument("--many", type=int, metavar="N", help="load and draw a study of so many trials, such as 10000")
    made.add_argument("--resume", type=Path, default=HERE / "search.jsonl", metavar="FILE", help="results, a line each")
    return made.parse_args()


def main() -> None:
    from tables_all import read_lines

    chosen = arguments()
    heading("Search of settings", small=chosen.small)
    wanted = [data for data in present(chosen.data) if data.name in (chosen.only or TABLES)]
    with tempfile.TemporaryDirectory() as folder:
        if chosen.small:
            chosen.rows, chosen.widths, chosen.rounds, chosen.seeds = [1_000], [1, 4], 1, [0]
            chosen.resume = Path(folder) / "small.jsonl"
            wanted = [data for data in wanted if data.name == "adult"]
        if chosen.speed:
            speed(chosen)
            overhead(chosen)
        if chosen.many:
            from _many_trials import many

            many(chosen.many)
        measure(chosen, wanted, 2_000 if chosen.small else None)
        report([data for data in ALL if data.name in (chosen.only or TABLES)], read_lines(chosen.resume))


if __name__ == "__main__":
    main()
