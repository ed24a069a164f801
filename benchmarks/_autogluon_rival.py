"""AutoGluon on one table, in a process and an environment of its own; prints a line of JSON.

Run by `beside_autogluon.py`. `fit` trains within a limit and writes what is needed to answer; `answer` opens that in a
fresh process, answers the test rows and times it. It imports nothing of assay. AutoGluon reads the tables as its own
documentation has it, by `TabularDataset`, with its own choice of types.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from _tables import scores
from _timed import timed

METRICS = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}


def fit(chosen: argparse.Namespace) -> dict[str, object]:
    from autogluon.tabular import TabularDataset, TabularPredictor

    predictor = TabularPredictor(
        label=chosen.target,
        problem_type=chosen.task,
        eval_metric=METRICS[chosen.task],
        path=str(chosen.out / "whole"),
        verbosity=0,
    )
    predictor.fit(
        TabularDataset(str(chosen.train)), presets=chosen.preset, time_limit=chosen.seconds, num_cpus=chosen.cores,
        num_gpus=0,
    )  # fmt: skip
    predictor.clone_for_deployment(str(chosen.out / "model"))  # the least that answers, as its documentation says
    return {"best": predictor.model_best, "models": len(predictor.model_names())}


def answer(chosen: argparse.Namespace) -> dict[str, object]:
    from autogluon.tabular import TabularDataset, TabularPredictor

    predictor = TabularPredictor.load(str(chosen.out / "model"), verbosity=0)
    test = TabularDataset(str(chosen.test))
    truth, rows = test[chosen.target], test.drop(columns=chosen.target)
    if chosen.task == "regression":
        found = scores(chosen.task, (), truth.to_numpy(np.float64), predictor.predict(rows).to_numpy(np.float64))
        return {"scores": found} | timed(predictor.predict, rows)
    shares = predictor.predict_proba(rows)
    classes = sorted(shares.columns, key=str)
    found = scores(chosen.task, classes, truth.to_numpy(dtype=object), shares[classes].to_numpy())
    return {"scores": found} | timed(predictor.predict_proba, rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["fit", "answer"])
    arguments.add_argument("preset", choices=["medium", "best"])
    arguments.add_argument("train", type=Path)
    arguments.add_argument("test", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--target", required=True)
    arguments.add_argument("--task", required=True, choices=METRICS)
    arguments.add_argument("--seconds", type=int, required=True)
    arguments.add_argument("--cores", type=int, required=True)
    chosen = arguments.parse_args()
    print(json.dumps((fit if chosen.what == "fit" else answer)(chosen)))


if __name__ == "__main__":
    main()
