"""How much does an epoch that was chosen by the rows that judge it flatter a cross-validation? On real tables.

Of each table 30 % of the rows are laid aside, and the rest is cross-validated as a study does it, in as many folds, by
eight settings at a time. After every epoch each network is asked about the fold that judges it and about the rows laid
aside. Then the epoch of each network is chosen

- *own*: where its own judging fold has the least loss, with patience;
- *shared*: one for all folds of a setting, where the mean of their losses is the least, with patience;
- *inner*: where one half of its judging fold has the least loss, and the other half judges;
- *fixed*: the middle one of the epochs that were shared, whatever is seen, which cannot flatter.

Printed is the loss on the rows laid aside less the loss on those that judge, each the mean over folds, settings and
repeats: how much better a setting looks than it is. The chance that one part is easier than the other is the same for
all four in a repeat, so that of *fixed* is taken off, and the error is of what is left.

    python benchmarks/epochs.py --repeats 10 --data ../shared/data
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from assay.data.config import DataConfig, EncodeConfig, SplitConfig
from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoder
from assay.data.rows import joined
from assay.data.schema import Hints
from assay.data.split.folds import deal_folds
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.search.study.objective import folds_for
from assay.search.study.settings import job_of, members_of
from assay.sources import audit_tables, read_tables, seal_tables
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import folded
from assay.train.model import network_of
from assay.train.together import Course, Lot, fit_together
from assay.train.watch import Unwatched

TABLES = {"telco_churn": ("Churn", ("customerID",)), "vehicle": ("Class", ()), "pima_diabetes": ("class", ())}
SETTINGS = [{"train.lr": lr, "model.dropout": drop} for lr in (0.001, 0.003, 0.01, 0.03) for drop in (0.0, 0.3)]
RULES = ("own", "shared", "inner", "fixed")


def losses(name: str, seed: int, epochs: int, data: Path) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Loss by epoch, setting and fold: of both halves of the judging fold (E, S, k, 2), and of the rows laid aside.

    Also the patience and the number of rows that were cross-validated.
    """
    target, drop = TABLES[name]
    ledger, config = Ledger(), DataConfig(split=SplitConfig(test=0.3))
    path = str(data / "tabular" / f"{name}.csv.gz")
    tables = read_tables(path, None, None, Hints(target=target, drop=drop), config, ledger)
    audit_tables(tables, config, ledger)
    schema = tables.schema
    split = seal_tables(tables, config.split, seed=seed, ledger=ledger)
    encoder = Encoder.fit(split.train, schema, EncodeConfig(), ledger)
    rows = joined(split.train, split.valid)
    folds = deal_folds(rows, schema, config.split, folds_for(len(rows), schema), seed)
    found = folded(encoder, rows, schema, folds)
    others = split.test.open("to measure what the choice of an epoch flatters by")
    aside = encoder.encode_rows(others)
    truth = torch.from_numpy(others.target.astype(np.int64))
    jobs = [
        job_of(each, encoder, int(folds.learns.sum(1).min()), schema, ModelConfig(name="mlp"), TrainConfig(threads=1))
        for each in SETTINGS
    ]
    train = jobs[0].train.model_copy(update={"epochs": epochs})
    lots, judges = [], []
    for fold in range(len(folds)):
        learn, judge = (torch.from_numpy(np.flatnonzero(each[fold])) for each in (folds.learns, folds.judged))
        seeds = [seed * 1000 + fold] * len(jobs)
        members = [members_of(job, [one], 1.0)[0] for job, one in zip(jobs, seeds, strict=True)]
        members = [type(m)(**{**m.__dict__, "patience": epochs}) for m in members]
        network = network_of(found, jobs[0].model.model_copy(update={"members": len(jobs)}), seeds)
        judged = found.valid.inputs[judge]
        both = [torch.cat(pair) for pair in zip(parts(judged), parts(aside), strict=True)]
        weight = torch.cat([torch.ones(len(judge)), torch.zeros(len(truth))])
        targets = torch.cat([found.valid.target[judge], truth])
        valid = Batch(type(judged)(*both), targets, weight)
        learns = Batch(found.valid.inputs[learn], found.valid.target[learn], None)
        lots.append(Lot(network, Resident(learns), Resident(valid), members, [Course() for _ in jobs]))
        judges.append((targets, len(judge)))
    seen: list[np.ndarray] = []

    def look(epoch: int) -> None:
        seen.append(np.array([[apart(course.last[0], *judge) for course in lot.courses]
                              for lot, judge in zip(lots, judges, strict=True)]))  # fmt: skip

    fit_together(lots, train, seed=seed, budget=Budget(None), watch=Unwatched(), ends=look)
    whole = np.stack(seen).transpose(0, 2, 1, 3)
    return whole[..., :2], whole[..., 2], jobs[0].train.patience, len(rows)


def parts(inputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return inputs.numbers, inputs.extras, inputs.codes


def apart(outputs: torch.Tensor, targets: torch.Tensor, judging: int) -> tuple[float, float, float]:
    """Mean loss of every other row that judges, of the others, and of those laid aside."""
    each = cross_entropy(outputs, targets, reduction="none")
    return float(each[:judging:2].mean()), float(each[1:judging:2].mean()), float(each[judging:].mean())


def chosen(curve: np.ndarray, patience: int) -> int:
    """The epoch with the least loss before patience ends."""
    best = 0
    for epoch, loss in enumerate(curve):
        if loss < curve[best]:
            best = epoch
        if epoch - best >= patience:
            break
    return best


def flattery(judged: np.ndarray, aside: np.ndarray, patience: int) -> dict[str, float]:
    """Loss on the rows laid aside less that on those that judge, by rule, of the mean over settings and folds."""
    whole = judged.mean(-1)
    settings, folds = whole.shape[1:]
    shared = [chosen(whole[:, s].mean(1), patience) for s in range(settings)]
    middle = int(np.median(shared))
    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    for s in range(settings):
        for f in range(folds):
            own = chosen(whole[:, s, f], patience)
            inner = chosen(judged[:, s, f, 0], patience)
            found["own"].append(aside[own, s, f] - whole[own, s, f])
            found["shared"].append(aside[shared[s], s, f] - whole[shared[s], s, f])
            found["inner"].append(aside[inner, s, f] - judged[inner, s, f, 1])
            found["fixed"].append(aside[middle, s, f] - whole[middle, s, f])
    truly = {
        "own": np.mean([aside[chosen(whole[:, s, f], patience), s, f] for s in range(settings) for f in range(folds)]),
        "shared": np.mean([aside[shared[s], s].mean() for s in range(settings)]),
        "inner": np.mean(
            [aside[chosen(judged[:, s, f, 0], patience), s, f] for s in range(settings) for f in range(folds)]
        ),
    }
    return {rule: float(np.mean(each)) for rule, each in found.items()} | {
        f"true {rule}": float(value) for rule, value in truly.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tables", default=",".join(TABLES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    heads = [
        "table",
        "rows",
        "folds",
        *(f"{rule} flatters by" for rule in RULES[:3]),
        "true loss: own",
        "shared",
        "inner",
    ]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name in given.tables.split(","):
        found = []
        for seed in range(given.repeats):
            judged, aside, patience, rows = losses(name, seed, given.epochs, given.data)
            found.append(flattery(judged, aside, patience))
        cells = []
        for rule in ("own", "shared", "inner"):
            each = np.array([one[rule] - one["fixed"] for one in found])
            cells.append(f"{each.mean():.4f} +- {each.std(ddof=1) / np.sqrt(len(each)):.4f}")
        cells += [f"{np.mean([one[f'true {rule}'] for one in found]):.4f}" for rule in ("own", "shared", "inner")]
        print(f"| {name} | {rows:,} | {judged.shape[2]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
