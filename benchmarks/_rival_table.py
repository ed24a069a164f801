"""One fit of one other system on one table, in a process of its own; prints a line of JSON.

Run by `tables_all.py` in an environment that holds the rivals (README.md tells how to make it). It imports nothing of
assay. All systems have their defaults. Boosted trees hold 10 % of the training rows back, the same for all three, and
stop when these have not improved for a while: scikit-learn after its 10 rounds, LightGBM and CatBoost after 50.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _tables import scores

#: Most rounds of boosting (CatBoost's default) and rounds without improvement before it stops.
ROUNDS, PATIENCE = 1_000, 50
#: Share of a column's cells that must read as numbers, or as dates, for it to be one.
MOSTLY = 0.99
#: Most categories that scikit-learn's trees take, one of them for all the rest.
MOST_CATEGORIES = 255
#: Spellings of dates in these tables.
DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y")


def columns(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The features: numbers, dates as days, and words; words that hardly ever come twice are left out."""
    parts: tuple[dict, dict] = {}, {}
    for name in train.columns:
        cells = train[name].str.strip().replace("", None).dropna()
        read = as_number if is_mostly(as_number, cells) else as_days if is_mostly(as_days, cells) else None
        if read is None and cells.nunique() > len(train) / 2:
            continue
        for part, frame in zip(parts, (train, test), strict=True):
            part[name] = frame[name].fillna("").str.strip() if read is None else read(frame[name])
    return pd.DataFrame(parts[0]), pd.DataFrame(parts[1])


def is_mostly(read, cells: pd.Series) -> bool:
    return len(cells) > 0 and read(cells).notna().mean() >= MOSTLY


def as_number(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells, errors="coerce").astype("float64")


def as_days(cells: pd.Series) -> pd.Series:
    """Days since 1970, by the first spelling that fits the first known cell."""
    known = cells[cells != ""].head(1)
    for spelling in DATES:
        if pd.to_datetime(known, format=spelling, errors="coerce").notna().any():
            return (pd.to_datetime(cells, format=spelling, errors="coerce") - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return pd.Series(np.nan, index=cells.index)


def held_out(target: np.ndarray, is_classes: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows to learn from and of the 10 % to stop by; a class of a single row is learned from."""
    from sklearn.model_selection import train_test_split

    rows, labels = np.arange(len(target)), None
    alone = rows[:0]
    if is_classes:
        _, place, counts = np.unique(target, return_inverse=True, return_counts=True)
        alone, rows = rows[counts[place] == 1], rows[counts[place] > 1]
        labels = target[rows]
        if len(np.unique(labels)) > 0.1 * len(rows):
            labels = None
    fit, stop = train_test_split(rows, test_size=0.1, random_state=seed, stratify=labels)
    return np.concatenate([fit, alone]), stop


def as_categories(train: pd.DataFrame, test: pd.DataFrame, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Words as pandas categories; the `most` - 1 commonest keep their names, an empty cell is missing."""
    train, test = train.copy(), test.copy()
    for name in words(train):
        common = train[name][train[name] != ""].value_counts().index[: most - 1]
        rest = "(other)"
        kinds = pd.CategoricalDtype([*common, rest])
        for frame in (train, test):
            cells = frame[name].where(frame[name].isin([*common, ""]), rest)
            frame[name] = cells.where(cells != "", None).astype(kinds)
    return train, test


def words(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype != "float64"]


def boosting(train, target, test, is_classes: bool, seed: int):
    """scikit-learn's HistGradientBoosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, test = as_categories(train, test, MOST_CATEGORIES)
    made = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    model = made(max_iter=ROUNDS, early_stopping=True, categorical_features="from_dtype", random_state=seed)
    fit, stop = held_out(target, is_classes, seed)
    model.fit(train.iloc[fit], target[fit], X_val=train.iloc[stop], y_val=target[stop])
    return model, test


def lightgbm(train, target, test, is_classes: bool, seed: int):
    """LightGBM with native categories."""
    import lightgbm

    train, test = as_categories(train, test, len(train) + 2)
    plain = {name: f"column{place}" for place, name in enumerate(train.columns)}  # it refuses some characters
    train, test = train.rename(columns=plain), test.rename(columns=plain)
    made = lightgbm.LGBMClassifier if is_classes else lightgbm.LGBMRegressor
    model = made(n_estimators=ROUNDS, n_jobs=1, random_state=seed, verbose=-1)
    fit, stop = held_out(target, is_classes, seed)
    stopping = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    model.fit(train.iloc[fit], target[fit], eval_set=[(train.iloc[stop], target[stop])], callbacks=stopping)
    return model, test


def catboost(train, target, test, is_classes: bool, seed: int):
    """CatBoost with native categories."""
    import catboost

    made = catboost.CatBoostClassifier if is_classes else catboost.CatBoostRegressor
    model = made(
        iterations=ROUNDS, early_stopping_rounds=PATIENCE, cat_features=words(train), random_seed=seed, thread_count=1,
        verbose=False, allow_writing_files=False,
    )  # fmt: skip
    fit, stop = held_out(target, is_classes, seed)
    model.fit(train.iloc[fit], target[fit], eval_set=(train.iloc[stop], target[stop]))
    return model, test


def mlp(train, target, test, is_classes: bool, seed: int):
    """scikit-learn's MLP with median, scaling, one-hot and its own early stopping."""
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    named = words(train)
    numbers = [name for name in train.columns if name not in named]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), named),
        ]
    )
    is_stoppable = not is_classes or np.unique(target, return_counts=True)[1].min() > 1
    if is_classes:
        network = MLPClassifier(early_stopping=is_stoppable, random_state=seed)
    else:
        network = TransformedTargetRegressor(
            MLPRegressor(early_stopping=True, random_state=seed), transformer=StandardScaler()
        )
    return make_pipeline(prepare, network).fit(train, target), test


SYSTEMS = {"boosting": boosting, "LightGBM": lightgbm, "CatBoost": catboost, "MLP": mlp}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("system", choices=SYSTEMS)
    arguments.add_argument("train", type=Path)
    arguments.add_argument("test", type=Path)
    arguments.add_argument("--target", required=True)
    arguments.add_argument("--task", required=True)
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    train, test = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (chosen.train, chosen.test))
    features = columns(train.drop(columns=chosen.target), test.drop(columns=chosen.target))
    is_classes = chosen.task != "regression"
    truth = test[chosen.target].to_numpy(dtype=object if is_classes else np.float64)
    classes, target = (), train[chosen.target].to_numpy(dtype=np.float64) if not is_classes else None
    if is_classes:
        classes, target = np.unique(train[chosen.target].to_numpy(dtype=object), return_inverse=True)
    begun = time.perf_counter()
    model, rows = SYSTEMS[chosen.system](features[0], target, features[1], is_classes, chosen.seed)
    fitted = time.perf_counter() - begun
    answers = model.predict_proba(rows) if is_classes else model.predict(rows)
    print(json.dumps({"scores": scores(chosen.task, list(classes), truth, answers), "fit_seconds": round(fitted, 2)}))


if __name__ == "__main__":
    main()
