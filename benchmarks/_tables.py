"""The public tables of the shared data folder: where their test rows come from, how they are scored, what is known.

Cells stay as the files spell them; an empty cell is missing. Every system gets the same two CSV files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

#: Scores of which more is better.
HIGHER = ("auroc", "accuracy")


@dataclass(frozen=True)
class Data:
    """A table, its test rows, its score, and results of others.

    split: `official` (a file of its own), `random` (20 % by `train_test_split` with seed 0, stratified for classes),
        `last` (the last share `test` of the rows, which are in time order), `mask` (the first of its fixed splits).
    drop: columns that nobody gets: they tell the outcome, or only name the row.
    measured: AutoGluon 1.6 medium and RealMLP-TD with a limit of 60 s, measured earlier with these test rows.
    """

    name: str
    target: str
    task: Literal["binary", "multiclass", "regression"]
    folder: str = "tabular"
    split: Literal["official", "random", "last", "mask"] = "random"
    test: float = 0.2
    drop: tuple[str, ...] = ()
    measured: dict[str, float] = field(default_factory=dict)
    published: str = ""

    @property
    def score(self) -> str:
        """The score by which systems are ranked."""
        return {"binary": "auroc", "multiclass": "accuracy", "regression": "rmse"}[self.task]


#: Columns of compas that hold what happened after the screening, or repeat another column.
_COMPAS_LEAKS = (
    "id", "is_recid", "r_charge_degree", "r_days_from_arrest", "r_offense_date", "r_charge_desc", "r_jail_in",
    "r_jail_out", "violent_recid", "is_violent_recid", "vr_charge_degree", "vr_offense_date", "vr_charge_desc",
    "in_custody", "out_custody", "start", "end", "event", "decile_score.1", "priors_count.1",
)  # fmt: skip

ALL = (
    Data(
        "adult", "income", "binary", split="official", measured={"AutoGluon": 0.9289, "RealMLP": 0.9111},
        published="AUROC .9296 H2O AutoML (AMLB); accuracy .861 RealMLP, .8731 CatBoost, .8741 LightGBM (TALENT), "
        ".8540 MLP, .8575 TabM (TabM paper)",
    ),
    Data(
        "bank_marketing", "y", "binary", measured={"AutoGluon": 0.9413, "RealMLP": 0.9344},
        published="AUROC .9371 H2O AutoML (AMLB); accuracy .9095 RealMLP, .9082 CatBoost (TALENT)",
    ),
    Data(
        "telco_churn", "Churn", "binary", drop=("customerID",), measured={"AutoGluon": 0.8565, "RealMLP": 0.8525},
        published="accuracy .7995 RealMLP, .8057 CatBoost, .8064 XGBoost (TALENT)",
    ),
    Data("titanic", "Survived", "binary", drop=("PassengerId",)),
    Data("magic_telescope", "class", "binary", published="accuracy .8787 CatBoost, .8786 RealMLP, .8813 TabR (TALENT)"),
    Data("mushroom", "class", "binary", published="accuracy 1 (any trees)"),
    Data(
        "pima_diabetes", "class", "binary",
        published="accuracy .7775 CatBoost, .7403 RealMLP, .7814 LightGBM (TALENT)",
    ),
    Data("heart_statlog", "class", "binary"),
    Data(
        "letter", "class", "multiclass", split="last", measured={"AutoGluon": 0.9790, "RealMLP": 0.9840},
        published="accuracy .9709 CatBoost, .9836 RealMLP, .9854 ModernNCA (TALENT)",
    ),
    Data("vehicle", "Class", "multiclass", published="accuracy .7529 CatBoost, .8231 RealMLP, .8576 TabR (TALENT)"),
    Data("soybean", "class", "multiclass"),
    Data(
        "california_housing", "median_house_value", "regression",
        measured={"AutoGluon": 42_573.0, "RealMLP": 46_891.0},
        published="RMSE 45,460 CatBoost, 46,780 RealMLP, 42,140 TabR (TALENT); other variant of the data: 49,480 MLP, "
        "44,140 TabM (TabM paper)",
    ),
    Data(
        "diamonds", "price", "regression", measured={"AutoGluon": 525.8, "RealMLP": 551.7},
        published="RMSE 524.9 CatBoost, 523.9 RealMLP, 492.6 ModernNCA (TALENT)",
    ),
    Data("bike_sharing_hour", "cnt", "regression", split="last"),
    Data("abalone", "rings", "regression", published="RMSE 2.179 CatBoost, 2.121 RealMLP, 2.089 ResNet (TALENT)"),
    Data(
        "wine_quality", "quality", "regression",
        published="RMSE .6569 CatBoost, .7014 RealMLP, .6292 ModernNCA (TALENT)",
    ),
    Data(
        "concrete", "target", "regression", split="mask",
        published="RMSE 4.38 CatBoost, 4.668 RealMLP (TALENT); 4.826 dropout (Gal, mean of the 20 splits)",
    ),
    Data("energy_heating", "target", "regression", split="mask", published="RMSE .539 dropout (Gal, 20 splits)"),
    Data("mammography", "class", "binary", "imbalanced", published="accuracy .9883 CatBoost, .9881 RealMLP (TALENT)"),
    Data("sick", "Class", "binary", "imbalanced"),
    Data("oil_spill", "class", "binary", "imbalanced"),
    Data(
        "german_credit", "class", "binary", "fairness",
        published="AUROC .7898 H2O AutoML (AMLB); accuracy .7767 CatBoost, .7443 RealMLP, .7913 FT-T. (TALENT)",
    ),
    Data("compas_two_years", "two_year_recid", "binary", "fairness", drop=_COMPAS_LEAKS),
    Data(
        "electricity_nsw", "class", "binary", "drift", "last",
        published="accuracy on random rows, which leak: .917 CatBoost, .964 TabR (TALENT)",
    ),
    Data("noaa_weather", "rain", "binary", "drift", "last"),
)  # fmt: skip


def present(folder: Path) -> tuple[Data, ...]:
    """The tables whose files are here; Adult comes with the project."""
    return tuple(
        data for data in ALL if data.name == "adult" or (folder / data.folder / f"{data.name}.csv.gz").exists()
    )


def write_parts(data: Data, folder: Path, adult: Path, out: Path, *, most: int | None = None) -> tuple[Path, Path]:
    """Write the training and the test rows as CSV files, every cell as it was spelled; at most `most` rows each."""
    paths = out / f"{data.name}-train.csv", out / f"{data.name}-test.csv"
    for frame, path in zip(_parts(data, folder, adult), paths, strict=True):
        (frame.drop(data.drop) if most is None else frame.drop(data.drop).head(most)).write_csv(path)
    return paths


def _parts(data: Data, folder: Path, adult: Path):
    """Training and test rows as Polars frames of text."""
    if data.split == "official":
        return _read(adult / "train.csv.gz"), _read(adult / "test.csv.gz")
    frame = _read(folder / data.folder / f"{data.name}.csv.gz")
    if data.name == "compas_two_years":
        frame = _propublica(frame)
    rows = np.arange(frame.height)
    if data.split == "last":
        train, test = np.split(rows, [frame.height - round(frame.height * data.test)])
    elif data.split == "mask":
        is_test = _read(folder / data.folder / f"{data.name}_splits.csv.gz")["split0"].to_numpy() == "1"
        train, test = rows[~is_test], rows[is_test]
    else:
        from sklearn.model_selection import train_test_split

        labels = None if data.task == "regression" else frame[data.target].to_numpy()
        train, test = train_test_split(rows, test_size=data.test, random_state=0, stratify=labels)
    return frame[train], frame[test]


def _read(path: Path):
    import polars as pl

    return pl.read_csv(path, infer_schema=False)


def _propublica(frame):
    """The 6,172 rows of ProPublica's analysis."""
    import polars as pl

    near = pl.col("days_b_screening_arrest").cast(pl.Float64).is_between(-30, 30)
    known = (pl.col("is_recid") != "-1") & (pl.col("c_charge_degree") != "O") & (pl.col("score_text") != "N/A")
    return frame.filter(near & known)


def scores(task: str, classes: Sequence[str], truth: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Scores of answers for the test rows.

    truth: labels as they are spelled, or float64 values. answers: probabilities (n, classes), or values (n,).
    """
    from sklearn import metrics

    if task == "regression":
        return {"rmse": float(metrics.root_mean_squared_error(truth, answers))}
    found = {
        "accuracy": float((np.asarray(classes)[answers.argmax(1)] == truth).mean()),
        "log_loss": _log_loss(classes, truth, answers),
    }
    if task == "binary":
        found["auroc"] = float(metrics.roc_auc_score(truth == classes[1], answers[:, 1]))
    return found


def _log_loss(classes: Sequence[str], truth: np.ndarray, answers: np.ndarray) -> float:
    """Mean negative log of the true class's probability; a class that was never seen counts as probability 1e-15."""
    place = {name: number for number, name in enumerate(classes)}
    column = np.array([place.get(label, -1) for label in truth])
    share = np.where(column >= 0, answers[np.arange(len(truth)), column], 0.0)
    return float(-np.log(share.clip(1e-15)).mean())
