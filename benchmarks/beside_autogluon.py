"""Beside AutoGluon: scores, time to fit, time to answer, size on disk and memory, on public tables in equal time.

`assay fit --budget`, the same with `ensemble.distill=true` (a student), and AutoGluon with its presets `medium` and
`best` get the same two CSV files, the same limit of wall time and all cores; each is fitted in a process of its own
to all rows of the first (assay is told the second, or it would seal a fifth of the first), and answers in another one
from what it left on disk (AutoGluon: its clone for deployment; assay: what `assay export` copies). Goals: a mean rank
not worse than that of `medium`, answers 10 times as fast and files 10 times as small as its; the gap to `best` is
told. Every finished fit is a line of `--resume FILE` and is not repeated. AutoGluon is found with `--autogluon-python`;
nothing is measured without it, and what is known is printed.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from _measure import ADULT, add_data, heading, parser, table, verdict
from _tables import ALL, HIGHER, Data, present, write_parts
from tables_all import read_lines, run

HERE = Path(__file__).resolve().parent
#: Tables of every size and task, small ones first.
TABLES = ("vehicle", "concrete", "telco_churn", "abalone", "bank_marketing", "letter", "adult", "diamonds")
RIVALS = ("medium", "best")
#: Ours, and what is said to assay for each.
OWN = {"assay": (), "student": ("ensemble.distill=true",)}
SYSTEMS = (*OWN, *RIVALS)
FASTER = SMALLER = 10.0
ANSWER = """
import json, sys
import pandas as pd
import assay
from _tables import scores
from _timed import timed

folder, test, target, task = sys.argv[1:]
bundle = assay.load(folder)
frame = pd.read_csv(test)
truth, rows = frame[target], frame.drop(columns=target)
answers = bundle.predict(rows)
if task == "regression":
    found = scores(task, (), truth.to_numpy("float64"), answers["prediction"].to_numpy())
else:
    classes = [str(name) for name in bundle.manifest.classes]
    shares = answers.select("probability_" + name for name in classes).to_numpy()
    found = scores(task, classes, truth.astype(str).to_numpy(dtype=object), shares)
print(json.dumps({"scores": found} | timed(bundle.predict, rows)))
"""


def fit(system: str, data: Data, train: Path, test: Path, out: Path, chosen: argparse.Namespace) -> dict[str, object]:
    """A line: scores of the test rows, seconds and MB of the fit, bytes on disk, and times to answer."""
    out.mkdir()
    model = out / "model"
    if system in OWN:
        assay, made = str(Path(sys.executable).with_name("assay")), str(out / "run")
        program = [assay, "fit", str(train), "--test", str(test), "--target", data.target, "--task", data.task]
        program += ["--out", made, *OWN[system]]
        program += ["--budget", f"{chosen.seconds}s", "--seed", "0", "--quiet"]
        _, wall, cpu, memory = run(program, env=dict(os.environ))
        run([assay, "export", made, str(model)], env=dict(os.environ))
        answer = [sys.executable, "-c", ANSWER, str(model), str(test), data.target, data.task]
    else:
        rival = [str(chosen.autogluon_python), str(HERE / "_autogluon_rival.py")]
        told = [system, str(train), str(test), str(out), "--target", data.target, "--task", data.task]
        told += ["--seconds", str(chosen.seconds), "--cores", str(len(os.sched_getaffinity(0)))]
        _, wall, cpu, memory = run([*rival, "fit", *told], env=dict(os.environ))
        answer = [*rival, "answer", *told]
    printed, _, _, answering = run(answer, env=os.environ | {"PYTHONPATH": _path()})
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    found = json.loads(printed.splitlines()[-1])
    return found | {
        "fit_seconds": round(wall, 1), "cpu": round(cpu, 1), "fit_mb": memory, "answer_mb": answering, "bytes": size,
    }  # fmt: skip


def _path() -> str:
    """This folder before what is on the path of modules already."""
    return os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])


def measure(chosen: argparse.Namespace, tables: list[Data], most: int | None) -> None:
    """Do what is not in the file yet; a fit that fails is told and is tried again the next time."""
    done = {(line["data"], line["system"], line["seconds"]) for line in read_lines(chosen.resume)}
    for data in tables:
        for system in SYSTEMS:
            if (data.name, system, chosen.seconds) in done:
                continue
            with tempfile.TemporaryDirectory() as folder:
                train, test = write_parts(data, chosen.data, ADULT, Path(folder), most=most)
                try:
                    found = fit(system, data, train, test, Path(folder) / system, chosen)
                except RuntimeError as error:
                    print(f"{data.name}, {system}: {error}", file=sys.stderr, flush=True)
                    continue
            line = {"data": data.name, "system": system, "seconds": chosen.seconds} | found
            with chosen.resume.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def report(tables: list[Data], lines: list[dict]) -> None:
    """One table for each limit of time, and how the goals stand for assay and for its student beside the rivals."""
    for seconds in sorted({line["seconds"] for line in lines}):
        of = {(line["data"], line["system"]): line for line in lines if line["seconds"] == seconds}
        known = [data for data in tables if all((data.name, system) in of for system in RIVALS)]
        print(f"Limit {seconds} s.\n")
        table(
            ["data", "score", "system", "test score", "fit s", "fit MB", "ms for 1 row", "µs a row", "MB on disk"],
            [
                _row(data, system, of[data.name, system])
                for data in known for system in SYSTEMS if (data.name, system) in of
            ],
        )  # fmt: skip
        for own in OWN:
            if whole := [data for data in known if (data.name, own) in of]:
                conclude(own, whole, of)


def _row(data: Data, system: str, line: dict) -> tuple[str, ...]:
    return (
        data.name, data.score, system, f"{line['scores'][data.score]:.4g}", f"{line['fit_seconds']:.0f}",
        f"{line['fit_mb']:,}", f"{line['one_row_ms']:.2f}", f"{line['row_us']:.1f}", f"{line['bytes'] / 1e6:.2f}",
    )  # fmt: skip


def conclude(own: str, whole: list[Data], of: dict[tuple[str, str], dict]) -> None:
    """Mean ranks of one of ours among the rivals, medians of the ratios to `medium`, and the goals."""
    systems = (own, *RIVALS)
    ranks = {system: statistics.mean(rank(data, system, systems, of) for data in whole) for system in systems}

    def times(name: str) -> float:
        return statistics.median(of[data.name, "medium"][name] / of[data.name, own][name] for data in whole)

    faster, sooner, smaller = times("row_us"), times("one_row_ms"), times("bytes")
    won = {rival: sum(better(data, of[data.name, own], of[data.name, rival]) for data in whole) for rival in RIVALS}
    places, met = ", ".join(f"{ranks[each]:.2f}" for each in systems), verdict(ranks[own] <= ranks["medium"])
    table(
        [f"{own}, {len(whole)} tables", "measured", "goal"],
        [
            ("mean rank: " + ", ".join(systems), places, f"not worse than medium: {met}"),
            ("many rows, times as fast as medium", f"{faster:.1f}", f"≥ 10: {verdict(faster >= FASTER)}"),
            ("one row, times as fast as medium", f"{sooner:.1f}", f"≥ 10: {verdict(sooner >= FASTER)}"),
            ("times as small as medium", f"{smaller:.1f}", f"≥ 10: {verdict(smaller >= SMALLER)}"),
            *((f"tables on which it is better than {rival}", f"{won[rival]} of {len(whole)}", "") for rival in RIVALS),
        ],
    )


def rank(data: Data, system: str, systems: tuple[str, ...], of: dict[tuple[str, str], dict]) -> float:
    """The place among the systems on one table, ties in the middle."""
    own = of[data.name, system]
    others = [of[data.name, other] for other in systems if other != system]
    return 1 + sum(better(data, each, own) + 0.5 * _equal(data, each, own) for each in others)


def better(data: Data, one: dict, other: dict) -> bool:
    sign = 1 if data.score in HIGHER else -1
    return sign * one["scores"][data.score] > sign * other["scores"][data.score]


def _equal(data: Data, one: dict, other: dict) -> bool:
    return one["scores"][data.score] == other["scores"][data.score]


def main() -> None:
    made = parser(__doc__)
    add_data(made)
    made.add_argument("--seconds", type=int, default=300, help="limit of each fit (default: 300)")
    made.add_argument("--only", type=lambda text: text.split(","), metavar="NAME,NAME", help="these tables alone")
    made.add_argument("--autogluon-python", type=Path, metavar="PATH", help="interpreter that has AutoGluon")
    made.add_argument(
        "--resume", type=Path, default=HERE / "beside_autogluon.jsonl", metavar="FILE", help="a line a fit"
    )
    chosen = made.parse_args()
    heading("Beside AutoGluon", small=chosen.small)
    by_name = {data.name: data for data in ALL}
    unknown = set(chosen.only or ()) - by_name.keys()
    if unknown:
        made.error(f"no table is called {', '.join(sorted(unknown))}; there are {', '.join(by_name)}")
    wanted = [by_name[name] for name in chosen.only or TABLES]
    with tempfile.TemporaryDirectory() as folder:
        if chosen.small:
            wanted, chosen.resume, chosen.seconds = [by_name["adult"]], Path(folder) / "small.jsonl", 30
        if chosen.autogluon_python:
            here = {data.name for data in present(chosen.data)}
            measure(chosen, [data for data in wanted if data.name in here], 2_000 if chosen.small else None)
        else:
            print("AutoGluon is not named (--autogluon-python): nothing is measured.\n")
        report(wanted, read_lines(chosen.resume))


if __name__ == "__main__":
    main()
