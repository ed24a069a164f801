"""The settings that a study begins with: families and settings x data sets x seeds, judged by assay's own objective.

Settings are drawn around what each family has by itself: shapes of a network, and rates, decays and dropout for each
shape, which are its members. Every judged setting is a line of `--resume FILE` and is not repeated. From the lines a
portfolio is chosen for each family: one setting after another is added that lowers the mean regret over the data sets
most, where the regret is the value's distance from the best of that data set, in units of its distance to the median
(Feurer et al., Auto-Sklearn 2.0, JMLR 2022, section 3.1). `--out FILE` writes it as CSV. The test rows of no table are
in it. Nothing is judged without `--run`.
"""

import argparse
import csv
import json
import math
import statistics
import tempfile
from pathlib import Path

from _measure import ADULT, add_data, heading, parser, table
from _tables import Data, present, write_parts

HERE = Path(__file__).resolve().parent
FAMILIES = ("mlp", "realmlp", "tabm", "resnet")
#: Widths, numbers of layers and batches; how far rates and decays reach around the family's own.
WIDTHS, LAYERS, BATCHES, AROUND = (64, 128, 256, 512), (1, 2, 3, 4), ("auto", 64, 256), (16.0, 100.0)
#: Settings of one shape, the first of which has the family's own rate, decay and dropout.
ALIKE = 8
PARTS = ("train.lr", "train.weight_decay", "model.dropout")
SHAPE = ("model.width", "model.layers", "train.batch")


def settings(family: str, task: str, shapes: int, seed: int) -> list[list[dict[str, object]]]:
    """Groups of settings of one shape each; the first shape is the family's own, its first setting the default."""
    import numpy as np

    from assay.data.schema import Task
    from assay.train.recipes import RECIPES

    recipe, rng = RECIPES[family], np.random.default_rng([seed, FAMILIES.index(family)])
    train = recipe.train(Task(task))
    groups = []
    for place in range(shapes):
        shape: dict[str, object] = {"model.name": family}
        if place:
            values = (rng.choice(WIDTHS), rng.choice(LAYERS), BATCHES[rng.integers(len(BATCHES))])
            shape |= {
                name: value if isinstance(value, str) else int(value)
                for name, value in zip(SHAPE, values, strict=True)
            }  # fmt: skip
        group = [dict(shape)]
        for _ in range(ALIKE - 1):
            factors = [around ** rng.uniform(-1.0, 1.0) for around in AROUND]
            own = (min(train.lr * factors[0], 0.5), max(train.weight_decay, 1e-4) * factors[1], rng.uniform(0.0, 0.5))
            group.append(shape | {name: float(f"{value:.3g}") for name, value in zip(PARTS, own, strict=True)})
        groups.append(group)
    return groups


def opened(data: Data, chosen: argparse.Namespace, seed: int, folder: Path):
    """The objective of a table, on its training rows alone."""
    from assay.data.config import EncodeConfig, SplitConfig
    from assay.data.encode import Encoder
    from assay.data.infer import infer
    from assay.data.read import read
    from assay.data.schema import Hints, Task
    from assay.data.split import seal
    from assay.evaluate.metrics import PRIMARY
    from assay.ledger import Ledger
    from assay.models.config import ModelConfig
    from assay.search.objective import TableObjective
    from assay.train.config import TrainConfig

    train, _ = write_parts(data, chosen.data, ADULT, folder, most=chosen.rows)
    given, ledger, dealing = read(train), Ledger(), SplitConfig(test=0.0, valid=0.2)
    schema = infer(given, Hints(target=data.target, task=Task(data.task)))
    split = seal(given, schema, dealing, seed=seed, ledger=ledger)
    encoder = Encoder.fit(split.train, schema, EncodeConfig(), ledger)
    metric = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss"}.get(schema.task, PRIMARY[schema.task])
    return TableObjective.open(
        encoder, (split.train, split.valid), schema, ModelConfig(), TrainConfig(epochs=chosen.epochs), dealing,
        chosen.folds, metric, seed, folder / "answers",
    )  # fmt: skip


def key(line: dict) -> tuple[str, int, str]:
    return line["data"], line["seed"], json.dumps(line["options"], sort_keys=True)


def measure(chosen: argparse.Namespace, tables: list[Data], lines: list[dict]) -> None:
    """Judge what is not in the file yet."""
    from assay.search.trial import Trial
    from assay.train.budget import Budget
    from assay.train.watch import Unwatched

    done = {key(line) for line in lines}
    for seed in chosen.seeds:
        for data in tables:
            with tempfile.TemporaryDirectory() as folder:
                objective = None
                for family in chosen.families:
                    for group in settings(family, data.task, chosen.shapes, chosen.drawn):
                        asked = [
                            each
                            for each in group
                            if key({"data": data.name, "seed": seed, "options": each}) not in done
                        ]
                        if not asked:
                            continue
                        objective = objective or opened(data, chosen, seed, Path(folder))
                        trials = [Trial(number, options, 1000 * seed + number) for number, options in enumerate(asked)]
                        found = objective.judge(trials, None, Budget(None), Unwatched())
                        with chosen.resume.open("a", encoding="utf-8") as file:
                            for options, each in zip(asked, found, strict=True):
                                line = {
                                    "data": data.name, "seed": seed, "options": options, "value": each.value,
                                    "metric": objective.metric.id, "seconds": round(each.seconds, 2),
                                    "epochs": each.epochs, "reason": each.reason,
                                }  # fmt: skip
                                lines.append(line)
                                file.write(json.dumps(line) + "\n")


def regrets(lines: list[dict]) -> dict[str, dict[str, float]]:
    """The regret of each setting, as text, on each data set: 0 is the best, 1 the median, no more than 3."""
    values: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        worst = math.inf if line["value"] is None else line["value"]
        named = values.setdefault(line["data"], {})
        named.setdefault(json.dumps(line["options"], sort_keys=True), []).append(worst)
    found: dict[str, dict[str, float]] = {}
    for data, named in values.items():
        means = {options: statistics.fmean(each) for options, each in named.items()}
        best, median = min(means.values()), statistics.median(means.values())
        unit = max(median - best, 1e-12)
        for options, mean in means.items():
            found.setdefault(options, {})[data] = min((mean - best) / unit, 3.0)
    return found


def portfolio(found: dict[str, dict[str, float]], family: str, count: int) -> list[tuple[str, float]]:
    """Settings of the family, each with the mean regret of the best of those up to it; the default comes first."""
    own = {options: each for options, each in found.items() if json.loads(options)["model.name"] == family}
    tables = {data for each in own.values() for data in each}
    own = {options: each for options, each in own.items() if set(each) == tables}
    default = json.dumps({"model.name": family}, sort_keys=True)
    chosen: list[tuple[str, float]] = []
    reached = dict.fromkeys(tables, 3.0)
    while own and len(chosen) < count:
        after = {
            options: statistics.fmean(min(reached[data], each[data]) for data in tables)
            for options, each in own.items()
        }  # fmt: skip
        best = default if not chosen and default in own else min(after, key=after.__getitem__)
        reached = {data: min(reached[data], own[best][data]) for data in tables}
        chosen.append((best, after[best]))
        del own[best]
    return chosen


def write(chosen: dict[str, list[tuple[str, float]]], path: Path) -> None:
    """The portfolios as CSV: family, rank, mean regret up to here, an option a column, empty for the family's own."""
    names = [*SHAPE, *PARTS]
    with path.open("w", encoding="utf-8", newline="") as file:
        made = csv.writer(file)
        made.writerow(["family", "rank", "regret", *names])
        for family, settings_of in chosen.items():
            for rank, (options, regret) in enumerate(settings_of):
                given = json.loads(options)
                made.writerow([family, rank, f"{regret:.3f}", *(given.get(name, "") for name in names)])


def arguments() -> argparse.Namespace:
    made = parser(__doc__)
    add_data(made)
    made.add_argument("--run", action="store_true", help="judge settings that are not in the file yet")
    made.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES), metavar="NAME,NAME")
    made.add_argument("--only", type=lambda text: text.split(","), metavar="NAME,NAME", help="these tables alone")
    made.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0, 1], metavar="N,N")
    made.add_argument("--shapes", type=int, default=6, help=f"of each family, {ALIKE} settings each")
    made.add_argument("--drawn", type=int, default=0, help="seed of the settings")
    made.add_argument("--rows", type=int, default=10_000, help="of a table at most")
    made.add_argument("--epochs", type=int, default=40)
    made.add_argument("--folds", type=int, default=0, help="of each table; 0 is what suits its rows")
    made.add_argument("--count", type=int, default=6, help="settings of each family in the portfolio")
    made.add_argument("--resume", type=Path, default=HERE / "portfolio.jsonl", metavar="FILE", help="a line a setting")
    made.add_argument("--out", type=Path, metavar="FILE", help="the portfolio as CSV")
    return made.parse_args()


def main() -> None:
    from tables_all import read_lines

    chosen = arguments()
    heading("Portfolio of first settings", small=chosen.small)
    wanted = [data for data in present(chosen.data) if not chosen.only or data.name in chosen.only]
    with tempfile.TemporaryDirectory() as folder:
        if chosen.small:
            chosen.resume, chosen.shapes, chosen.rows, chosen.epochs = Path(folder) / "small.jsonl", 2, 600, 2
            chosen.seeds, chosen.families, chosen.run = [0], ["mlp"], True
            wanted = [data for data in wanted if data.name == "adult"]
        lines = read_lines(chosen.resume)
        if chosen.run:
            measure(chosen, wanted, lines)
    found = regrets(lines)
    known = {json.loads(options)["model.name"] for options in found}
    ranked = {family: portfolio(found, family, chosen.count) for family in FAMILIES if family in known}
    rows = [
        (
            family,
            rank,
            f"{regret:.3f}",
            ", ".join(f"{k}={v}" for k, v in json.loads(options).items() if k != "model.name"),
        )
        for family, each in ranked.items()
        for rank, (options, regret) in enumerate(each)
    ]
    table(("family", "rank", "mean regret up to here", "options"), rows)
    if chosen.out is not None:
        write(ranked, chosen.out)


if __name__ == "__main__":
    main()
