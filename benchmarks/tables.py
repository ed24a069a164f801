"""Six public tables: the network beside the run's own baselines, other systems and published results.

Test rows: the official part (Adult; the last 4,000 rows of letter), else 20 % by scikit-learn's `train_test_split`
with seed 0, stratified for classes. `assay.fit` gets them as a frame of their own; default preset, nothing set by hand.
"better" and "worse" are the run's own paired test against the best of its baselines, on the same test rows.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from _measure import ADULT, add_data, heading, parser, table
from sklearn.model_selection import train_test_split

import assay
from assay.data.reading.read import read

RIVALS = ("boosting", "LightGBM", "CatBoost", "MLP", "AutoGluon", "RealMLP")


@dataclass(frozen=True)
class Data:
    """A table, how it is scored, and what others reach.

    rivals: our own measurements with the same test rows, in the order of RIVALS. published: papers' results, whose
    splits, tuning and sometimes target differ.
    """

    name: str
    target: str
    metric: str
    rivals: tuple[float, ...]
    published: str
    last_rows: int = 0
    is_regression: bool = False


ALL = (
    Data(
        "adult", "income", "auroc", (0.9264, 0.9271, 0.9279, 0.9111, 0.9289, 0.9111),
        "AUROC 0.9296 H2O AutoML (AMLB); accuracy 0.861 RealMLP, 0.8731 CatBoost, 0.8741 LightGBM (TALENT); 0.8540 "
        "MLP, 0.8575 TabM (TabM paper)",
    ),
    Data(
        "telco_churn", "Churn", "auroc", (0.8535, 0.8527, 0.8627, 0.8577, 0.8565, 0.8525),
        "accuracy 0.7995 RealMLP, 0.8057 CatBoost, 0.8064 XGBoost (TALENT)",
    ),
    Data(
        "bank_marketing", "y", "auroc", (0.9376, 0.9389, 0.9392, 0.9317, 0.9413, 0.9344),
        "AUROC 0.9371 H2O AutoML (AMLB); accuracy 0.9095 RealMLP, 0.9082 CatBoost (TALENT)",
    ),
    Data(
        "letter", "class", "accuracy", (0.9655, 0.9637, 0.9657, 0.9400, 0.9790, 0.9840),
        "accuracy 0.9709 CatBoost, 0.9836 RealMLP, 0.9854 ModernNCA (TALENT)", last_rows=4_000,
    ),
    Data(
        "california_housing", "median_house_value", "rmse", (43_937, 43_732, 43_656, 54_413, 42_573, 46_891),
        "RMSE 45,460 CatBoost, 46,780 RealMLP, 42,140 TabR (TALENT); other variant of the data: 49,480 MLP, "
        "44,140 TabM (TabM paper)", is_regression=True,
    ),
    Data(
        "diamonds", "price", "rmse", (551.0, 543.0, 547.7, 565.5, 525.8, 551.7),
        "RMSE 524.9 CatBoost, 523.9 RealMLP, 492.6 ModernNCA (TALENT)", is_regression=True,
    ),
)  # fmt: skip

SOURCES = """Other systems: scikit-learn HistGradientBoosting, LightGBM and CatBoost with native categories and early
stopping on 10 %, scikit-learn's MLP with scaling, one-hot and early stopping, all with defaults; AutoGluon 1.6 `medium`
with `time_limit=60` (66-90 s in fact); RealMLP-TD of pytabkit stopped at 60 s. Measured once on an idle machine of 2
cores, with these test rows. Published: TabM (arXiv 2410.24210), TALENT (arXiv 2407.00956), AMLB (arXiv 2207.12560);
TALENT and TabM tune and average 15 seeds on splits of their own, AMLB allows 4 hours: a range, not a ranking.
bank_marketing keeps `duration`, which is known only after the call, as in the published results.
"""


def parts(data: Data, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and test rows, raw."""
    if data.name == "adult":
        return read(ADULT / "train.csv.gz").frame, read(ADULT / "test.csv.gz").frame
    frame = read(folder / "tabular" / f"{data.name}.csv.gz").frame
    if data.last_rows:
        return frame.head(-data.last_rows), frame.tail(data.last_rows)
    labels = None if data.is_regression else frame[data.target].to_numpy()
    train, test = train_test_split(np.arange(frame.height), test_size=0.2, random_state=0, stratify=labels)
    return frame[train], frame[test]


def measure(data: Data, chosen: argparse.Namespace, out: Path) -> tuple[object, ...]:
    """One row of the table."""
    train, test = parts(data, chosen.data)
    quick = ["train.epochs=1", "evaluate.baselines=majority,linear", "evaluate.bootstrap=100"] if chosen.small else []
    if chosen.small:
        train, test = train.head(2_000), test.head(1_000)
    begun = time.perf_counter()
    run = assay.fit(train, target=data.target, test=test, out=out, seed=chosen.seed, overrides=quick)
    seconds = time.perf_counter() - begun
    cells = {}
    for model in run.scores:
        score = next(score for score in model.scores if score.name == data.metric)
        cells[model.name] = score.estimate
    baselines = [name for name in cells if name != "network"]
    sign = 1.0 if data.metric != "rmse" else -1.0
    best = max(baselines, key=lambda name: sign * cells[name].value)
    comparison = next(c for c in run.report().comparisons if c.against == best)
    network = cells["network"]
    return (
        data.name,
        {"rmse": "RMSE", "auroc": "AUROC"}.get(data.metric, data.metric),
        f"**{shown(network.value)}** ({shown(network.low)} to {shown(network.high)})",
        f"{shown(cells[best].value)} ({best})",
        f"{comparison.verdict} (p = {comparison.p_value:.2g})",
        f"{seconds:.0f}",
        f"{run.report().training.seconds:.0f}",
        *(shown(value) for value in data.rivals),
    )


def shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}" if value > 5_000 else f"{value:.1f}"


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--only", nargs="+", choices=[data.name for data in ALL], help="these tables alone")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    heading("Six public tables, default preset", small=chosen.small)
    wanted = [data for data in ALL if not chosen.only or data.name in chosen.only]
    if not (chosen.data / "tabular").is_dir():
        print(f"The data sets are not in {chosen.data}: only adult, which comes with the project, is measured.")
        print("Name their folder with --data DIR or in ASSAY_DATA.\n")
        wanted = [data for data in wanted if data.name == "adult"]
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(data, chosen, Path(folder) / data.name) for data in wanted]
    head = ["data", "score", "network (95 %)", "best baseline", "network is", "s, whole fit", "s, training", *RIVALS]
    table(head, rows)
    table(["data", "published"], [(data.name, data.published) for data in wanted])
    print(SOURCES)


if __name__ == "__main__":
    main()
