"""Rivals of a search of settings: a plain torch loop under Optuna or Ray Tune, and scikit-learn's halving.

Run by `search.py` as a process of its own in an environment that holds the rival; prints a line of JSON. It imports
nothing of assay. Rows are prepared as for scikit-learn's network in `_rival_table.py`. Optuna and Ray Tune judge by a
fifth of the training rows and answer with the network of the best trial; halving judges by three folds and fits again.
"""

import argparse
import importlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

#: Passes over the rows at most, and passes without a better loss after which a trial ends.
EPOCHS, PATIENCE = 60, 10
#: Share of the seconds that searching may take; the rest is for reading, and for the last fit of halving.
SEARCHING = 0.9


@dataclass(frozen=True)
class Setting:
    """What is searched."""

    lr: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    width: int = 128
    layers: int = 2
    batch: int = 256


@dataclass(frozen=True)
class Rows:
    """Rows as tensors: inputs float32 (n, D); target int64 (n,) or standardised float32 (n,)."""

    inputs: object
    target: object

    def at(self, places) -> "Rows":
        return Rows(self.inputs[places], self.target[places])


def train(setting: Setting, learn: Rows, judge: Rows, outputs: int, epochs: int, *, seed: int, patience: int = PATIENCE,
          heard: Callable[[int, float], None] | None = None, until: float = math.inf):  # fmt: skip
    """A network with the weights of its best epoch, and its loss: AdamW, a cosine with a short warm-up, clipping.

    heard: told of each epoch and its loss; it may raise to end the trial. until: `time.monotonic()` at which to stop.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    sizes = [learn.inputs.shape[1]] + [setting.width] * setting.layers
    layers = [
        layer for ins, outs in pairwise(sizes)
        for layer in (nn.Linear(ins, outs), nn.ReLU(), nn.Dropout(setting.dropout))
    ]  # fmt: skip
    model = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))
    optimiser = torch.optim.AdamW(model.parameters(), lr=setting.lr, weight_decay=setting.weight_decay)
    steps = epochs * -(-len(learn.inputs) // setting.batch)
    rising = max(1, round(0.05 * steps))

    def rate(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    loss_of = nn.CrossEntropyLoss() if outputs > 1 else lambda out, true: ((out[:, 0] - true) ** 2).mean()
    best, kept, waited = math.inf, None, 0
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(learn.inputs))
        shuffled = learn.at(order)
        for first in range(0, len(order), setting.batch):
            some = shuffled.at(slice(first, first + setting.batch))
            optimiser.zero_grad()
            loss_of(model(some.inputs), some.target).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            loss = float(loss_of(model(judge.inputs), judge.target))
        if loss < best:
            best, waited = loss, 0
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            waited += 1
        if heard is not None:
            heard(epoch + 1, best)
        if waited >= patience or time.monotonic() > until:
            break
    if kept is not None:
        model.load_state_dict(kept)
    return model.eval(), best


def drawn(trial) -> Setting:
    """A setting that Optuna proposes."""
    return Setting(
        lr=trial.suggest_float("lr", 1e-4, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        width=trial.suggest_categorical("width", [64, 128, 256, 512]),
        layers=trial.suggest_int("layers", 1, 4),
        batch=trial.suggest_categorical("batch", [64, 128, 256, 512]),
    )


def by_optuna(learn: Rows, judge: Rows, outputs: int, seconds: float, seed: int):
    """TPE with Optuna's defaults and its median pruner."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    until, found = time.monotonic() + seconds, []

    def objective(trial) -> float:
        def heard(epoch: int, loss: float) -> None:
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        model, loss = train(drawn(trial), learn, judge, outputs, EPOCHS, seed=seed, heard=heard, until=until)
        if math.isfinite(loss):
            found.append((loss, model))
        return loss if math.isfinite(loss) else 1e9

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner())
    study.enqueue_trial({"lr": 1e-3, "weight_decay": 1e-2, "dropout": 0.1, "width": 128, "layers": 2, "batch": 256})
    study.optimize(objective, timeout=seconds)
    return min(found, key=lambda each: each[0])[1], len(study.trials)


def by_ray(learn: Rows, judge: Rows, outputs: int, seconds: float, seed: int):
    """Ray Tune with OptunaSearch and ASHA, a trial a core."""
    import ray
    import torch
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    ray.init(include_dashboard=False, log_to_driver=False)
    rows = ray.put((learn, judge))
    until = time.monotonic() + seconds

    def trainable(config: dict) -> None:
        torch.set_num_threads(1)
        parts = ray.get(rows)

        def heard(epoch: int, loss: float) -> None:
            tune.report({"loss": loss})

        train(Setting(**config), *parts, outputs, EPOCHS, seed=seed, heard=heard, until=until)

    space = {
        "lr": tune.loguniform(1e-4, 3e-2), "weight_decay": tune.loguniform(1e-6, 1e-1),
        "dropout": tune.uniform(0.0, 0.5), "width": tune.choice([64, 128, 256, 512]), "layers": tune.randint(1, 5),
        "batch": tune.choice([64, 128, 256, 512]),
    }  # fmt: skip
    config = tune.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=-1,
        time_budget_s=0.85 * seconds,
        scheduler=ASHAScheduler(max_t=EPOCHS),
        search_alg=OptunaSearch(seed=seed),
    )
    results = tune.Tuner(tune.with_resources(trainable, {"cpu": 1}), param_space=space, tune_config=config).fit()
    best = results.get_best_result().config
    ray.shutdown()
    model, _ = train(Setting(**best), learn, judge, outputs, EPOCHS, seed=seed, until=until)
    return model, len(results)


def by_halving(inputs: np.ndarray, target: np.ndarray, is_classes: bool, seconds: float, seed: int):
    """HalvingRandomSearchCV over scikit-learn's network; more candidates again and again, until the time is out."""
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # as scikit-learn asks for
    from sklearn.model_selection import HalvingRandomSearchCV
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    sizes = [(width,) * layers for width in (64, 128, 256) for layers in (1, 2, 3)]
    space = {
        "learning_rate_init": loguniform(1e-4, 3e-2), "alpha": loguniform(1e-6, 1e-1), "hidden_layer_sizes": sizes,
        "batch_size": [64, 128, 256],
    }  # fmt: skip
    made = MLPClassifier if is_classes else MLPRegressor
    # Early stopping needs rows of each class in a tenth of a third of the rows.
    stops = not is_classes or np.unique(target, return_counts=True)[1].min() >= 60
    fewest = min(len(target), max(500, len(target) // 9))
    begun, best, tried, candidates = time.monotonic(), None, 0, 6
    while True:
        at = time.monotonic()
        search = HalvingRandomSearchCV(
            made(max_iter=EPOCHS, early_stopping=stops, random_state=seed), space, n_candidates=candidates, cv=3,
            random_state=seed + tried, scoring="neg_log_loss" if is_classes else "neg_mean_squared_error",
            error_score=-1e9, min_resources=fewest,
        )  # fmt: skip
        search.fit(inputs, target)
        tried += candidates
        if best is None or search.best_score_ > best.best_score_:
            best = search
        took = time.monotonic() - at
        if time.monotonic() - begun + 1.6 * took > seconds:
            return best.best_estimator_, tried
        candidates = round(1.5 * candidates)


def prepared(chosen: argparse.Namespace):
    """Inputs of the training and the test rows, the target, its classes, and the truth of the test rows."""
    import pandas as pd
    from _rival_table import columns, words
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    learned, tested = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (chosen.train, chosen.test))
    parts = columns(learned.drop(columns=chosen.target), tested.drop(columns=chosen.target))
    named = words(parts[0])
    numbers = [name for name in parts[0].columns if name not in named]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", min_frequency=2, sparse_output=False), named),
        ]
    )
    inputs = prepare.fit_transform(parts[0]).astype(np.float32), prepare.transform(parts[1]).astype(np.float32)
    is_classes = chosen.task != "regression"
    truth = tested[chosen.target].to_numpy(dtype=object if is_classes else np.float64)
    if is_classes:
        classes, target = np.unique(learned[chosen.target].to_numpy(dtype=object), return_inverse=True)
        return inputs, target, list(classes), truth
    return inputs, learned[chosen.target].to_numpy(dtype=np.float64), [], truth


SYSTEMS = {"Optuna": ("optuna", "torch"), "Ray Tune": ("ray.tune", "optuna", "torch"), "halving": ("sklearn",)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("system", choices=SYSTEMS)
    arguments.add_argument("train", type=Path)
    arguments.add_argument("test", type=Path)
    arguments.add_argument("--target", required=True)
    arguments.add_argument("--task", required=True)
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    begun = time.monotonic()
    try:
        for name in SYSTEMS[chosen.system]:
            importlib.import_module(name)
    except ImportError as error:
        print(json.dumps({"absent": f"{type(error).__name__}: {error}"}))
        return
    from _tables import scores
    from sklearn.model_selection import train_test_split

    (learned, tested), target, classes, truth = prepared(chosen)
    mean, deviation = (0.0, 1.0) if classes else (target.mean(), target.std())
    known = target if classes else (target - mean) / deviation
    seconds = SEARCHING * chosen.seconds - (time.monotonic() - begun)
    if chosen.system == "halving":
        model, tried = by_halving(learned, known, bool(classes), seconds, chosen.seed)
        answers = model.predict_proba(tested) if classes else model.predict(tested) * deviation + mean
    else:
        import torch

        counts = np.unique(target, return_counts=True)[1]
        labels = target if classes and counts.min() > 1 else None
        places = train_test_split(np.arange(len(target)), test_size=0.2, random_state=chosen.seed, stratify=labels)
        whole = Rows(torch.from_numpy(learned), torch.tensor(known, dtype=torch.int64 if classes else torch.float32))
        learn, judge = (whole.at(torch.from_numpy(part)) for part in places)
        search = by_optuna if chosen.system == "Optuna" else by_ray
        model, tried = search(learn, judge, len(classes) or 1, seconds, chosen.seed)
        with torch.inference_mode():
            outputs = model(torch.from_numpy(tested))
        answers = outputs.softmax(1).double().numpy() if classes else outputs[:, 0].double().numpy() * deviation + mean
    print(json.dumps({"scores": scores(chosen.task, classes, truth, answers), "tried": tried}))


if __name__ == "__main__":
    main()
