"""The settings that a study begins with: families and settings x data sets x seeds, judged by assay's own objective.

Settings are drawn around what each family has by itself: shapes of a network, and rates, decays and dropout for each
shape, which are its members. Rates and decays are factors of the family's own, which may differ by task. Every judged
setting is a line of `--resume FILE` and is not repeated. From the lines a portfolio is chosen for each family: one
setting after another is added that lowers the mean regret over the data sets most, where the regret is the value's
distance from the best of that data set, in units of its distance to the median (Feurer et al., Auto-Sklearn 2.0, JMLR
2022, section 3.1). `--out FILE` writes it as CSV. Beside it stands what one of the other data sets, and settings
drawn at random, reach on each. The test rows of no table are in it. Nothing is judged without `--run`.
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
#: The least weight decay that a factor is of.
LEAST_DECAY = 1e-4
#: Settings of one shape, the first of which has the family's own rate, decay and dropout.
ALIKE = 8
#: What a setting is described by: a shape, empty for the family's own, and factors of its rate and decay.
SHAPE, PARTS = ("width", "layers", "batch"), ("rate", "decay", "dropout")
#: Draws of settings at random that a portfolio is set against.
DRAWS = 200

Described = dict[str, object]


def settings(family: str, shapes: int, seed: int) -> list[list[Described]]:
    """Groups of settings of one shape each; the first shape is the family's own, its first setting the default."""
    import numpy as np

    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    groups = []
    for place in range(shapes):
        shape: Described = {"family": family}
        if place:
            values = (rng.choice(WIDTHS), rng.choice(LAYERS), BATCHES[rng.integers(len(BATCHES))])
            named = zip(SHAPE, values, strict=True)
            shape |= {name: value if isinstance(value, str) else int(value) for name, value in named}
        group = [dict(shape)]
        for _ in range(ALIKE - 1):
            rate, decay = (float(f"{around ** rng.uniform(-1.0, 1.0):.3g}") for around in AROUND)
            group.append(shape | {"rate": rate, "decay": decay, "dropout": round(rng.uniform(0.0, 0.5), 3)})
        groups.append(group)
    return groups


def options_of(setting: Described, task: str) -> dict[str, object]:
    """The options that a setting is for a task."""
    from assay.data.schema import Task
    from assay.train.recipes import RECIPES

    own = RECIPES[str(setting["family"])].train(Task(task))
    options: dict[str, object] = {"model.name": setting["family"]}
    named = {"width": "model.width", "layers": "model.layers", "batch": "train.batch", "dropout": "model.dropout"}
    options |= {option: setting[name] for name, option in named.items() if name in setting}
    if "rate" in setting:
        options["train.lr"] = float(f"{min(own.lr * setting['rate'], 0.5):.3g}")
        options["train.weight_decay"] = float(f"{max(own.weight_decay, LEAST_DECAY) * setting['decay']:.3g}")
    return options


def opened(data: Data, chosen: argparse.Namespace, seed: int, folder: Path):
    """The objective of a table, on its training rows alone."""
    from assay.data.config import EncodeConfig, SplitConfig
    from assay.data.encoding.encode import Encoder
    from assay.data.infer import infer
    from assay.data.reading.read import read
    from assay.data.schema import Hints, Task
    from assay.data.split.split import seal
    from assay.evaluate.metrics import PRIMARY
    from assay.ledger import Ledger
    from assay.models.config import ModelConfig
    from assay.search.study.objective import TableObjective
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
    return line["data"], line["seed"], json.dumps(line["setting"], sort_keys=True)


def measure(chosen: argparse.Namespace, tables: list[Data], lines: list[dict]) -> None:
    """Judge what is not in the file yet."""
    from assay.search.study.trial import Trial
    from assay.train.budget import Budget
    from assay.train.watch import Unwatched

    done = {key(line) for line in lines}
    for seed in chosen.seeds:
        for data in tables:
            with tempfile.TemporaryDirectory() as folder:
                objective = None
                for family in chosen.families:
                    for group in settings(family, chosen.shapes, chosen.drawn):
                        asked = [
                            each
                            for each in group
                            if key({"data": data.name, "seed": seed, "setting": each}) not in done
                        ]
                        if not asked:
                            continue
                        objective = objective or opened(data, chosen, seed, Path(folder))
                        trials = [
                            Trial(number, options_of(each, data.task), 1000 * seed + number)
                            for number, each in enumerate(asked)
                        ]
                        found = objective.judge(trials, None, Budget(None), Unwatched())
                        with chosen.resume.open("a", encoding="utf-8") as file:
                            for setting, each in zip(asked, found, strict=True):
                                line = {
                                    "data": data.name, "seed": seed, "setting": setting, "value": each.value,
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
        named.setdefault(json.dumps(line["setting"], sort_keys=True), []).append(worst)
    found: dict[str, dict[str, float]] = {}
    for data, named in values.items():
        means = {setting: statistics.fmean(each) for setting, each in named.items()}
        best, median = min(means.values()), statistics.median(means.values())
        unit = max(median - best, 1e-12)
        for setting, mean in means.items():
            found.setdefault(setting, {})[data] = min((mean - best) / unit, 3.0)
    return found


def of_family(found: dict[str, dict[str, float]], family: str) -> dict[str, dict[str, float]]:
    """The settings of a family that were judged on every data set that any of them was."""
    own = {setting: each for setting, each in found.items() if json.loads(setting)["family"] == family}
    tables = {data for each in own.values() for data in each}
    return {setting: each for setting, each in own.items() if set(each) == tables}


def portfolio(own: dict[str, dict[str, float]], family: str, count: int, without: str = "") -> list[tuple[str, float]]:
    """Settings of the family, each with the mean regret of the best of those up to it; the default comes first.

    without: a data set that has no say.
    """
    left = dict(own)
    tables = {data for each in own.values() for data in each} - {without}
    default = json.dumps({"family": family})
    chosen: list[tuple[str, float]] = []
    reached = dict.fromkeys(tables, 3.0)
    while left and len(chosen) < count:
        after = {
            setting: statistics.fmean(min(reached[data], each[data]) for data in tables)
            for setting, each in left.items()
        }  # fmt: skip
        best = default if not chosen and default in left else min(after, key=after.__getitem__)
        reached = {data: min(reached[data], left[best][data]) for data in tables}
        chosen.append((best, after[best]))
        del left[best]
    return chosen


def elsewhere(own: dict[str, dict[str, float]], family: str, count: int) -> list[tuple[float, float]]:
    """For each length: the mean regret, on each data set, of the best of a portfolio that others chose, and of the
    default with settings drawn at random."""
    import numpy as np

    tables = sorted({data for each in own.values() for data in each})
    default = json.dumps({"family": family})
    others, rng = [setting for setting in own if setting != default], np.random.default_rng(0)
    learned, drawn = np.zeros((len(tables), count)), np.zeros((len(tables), count))
    for place, data in enumerate(tables):
        asked = [own[setting][data] for setting, _ in portfolio(own, family, count, data)]
        learned[place] = np.minimum.accumulate(asked)
        every = np.array([own[setting][data] for setting in others])
        orders = np.array([rng.permutation(len(every))[: count - 1] for _ in range(DRAWS)])
        first = np.full((DRAWS, 1), own[default][data])
        drawn[place] = np.minimum.accumulate(np.hstack([first, every[orders]]), axis=1).mean(axis=0)
    return list(zip(learned.mean(axis=0).tolist(), drawn.mean(axis=0).tolist(), strict=True))


def write(chosen: dict[str, list[tuple[str, float]]], path: Path) -> None:
    """The portfolios as CSV: family, rank, mean regret up to here, and the setting, empty for the family's own."""
    with path.open("w", encoding="utf-8", newline="") as file:
        made = csv.writer(file, lineterminator="\n")
        made.writerow(["family", "rank", "regret", *SHAPE, *PARTS])
        for family, ranked in chosen.items():
            for rank, (setting, regret) in enumerate(ranked):
                given = json.loads(setting)
                made.writerow([family, rank, f"{regret:.3f}", *(given.get(name, "") for name in (*SHAPE, *PARTS))])


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
    known = {json.loads(setting)["family"] for setting in found}
    of = {family: of_family(found, family) for family in FAMILIES if family in known}
    ranked = {family: portfolio(own, family, chosen.count) for family, own in of.items()}
    rows = []
    for family, each in ranked.items():
        apart = elsewhere(of[family], family, len(each))
        for rank, ((setting, regret), (learned, drawn)) in enumerate(zip(each, apart, strict=True)):
            told = ", ".join(f"{name}={value}" for name, value in json.loads(setting).items() if name != "family")
            rows.append((family, rank, told or "the family's own", f"{regret:.3f}", f"{learned:.3f}", f"{drawn:.3f}"))
    table(("family", "rank", "setting", "mean regret up to here", "chosen by other tables", "drawn at random"), rows)
    if chosen.out is not None:
        write(ranked, chosen.out)


if __name__ == "__main__":
    main()
