"""Rows per second of `Bundle.predict` on raw rows, against eager torch and a scikit-learn pipeline, in one run.

One model is fitted on Adult. The bundle answers pandas frames, Polars frames and lists of dicts; eager torch answers
with the same cells, Encoder and weights; the pipeline (median imputation, scaling and one-hot, then
HistGradientBoostingClassifier with 100 rounds) gives probabilities from a pandas frame. One thread each, taken in turn.
Goals: at least 5 times the pipeline at 1 row, at least equal at 64, from the pandas frame that both are given.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from _measure import ADULT, heading, interleave, one_thread, parser, table, verdict

GOALS = {1: 5.0, 64: 1.0}
NUMBERS = ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
TARGET, PIPELINE = "income", "pipeline, pandas"


def eager(bundle) -> Callable[[pl.DataFrame], np.ndarray]:
    """The same model in torch: the Encoder learned anew from the same rows, the network with the saved weights."""
    import torch
    from safetensors.torch import load_file

    from assay.compose.run_config import RunConfig
    from assay.data.encoding.encode import Encoder
    from assay.data.infer import infer
    from assay.data.reading.read import read
    from assay.data.schema import Hints
    from assay.data.split.split import seal
    from assay.ledger import Ledger
    from assay.models.answer import Answer, Head
    from assay.models.build import build

    torch.set_num_threads(1)
    config, ledger = RunConfig(), Ledger()
    training, test = read(ADULT / "train.csv.gz"), read(ADULT / "test.csv.gz")
    schema = infer(training, Hints(target=TARGET))
    split = seal(training, schema, config.data.split, seed=config.seed, ledger=ledger, test=test)
    encoder = Encoder.fit(split.train, schema, config.data.encode, ledger)
    numbers = encoder.encode(split.train.frame).numbers
    classes = len(schema.classes)
    seeds = range(config.model.members)
    network = build(config.model, encoder.layout, numbers, outputs=classes, prior=torch.zeros(classes), seeds=seeds)
    answer = Answer(encoder, network, Head(temperature=1.0)).eval()
    answer.load_state_dict(load_file(bundle.directory / "weights.safetensors"))

    def predict(frame: pl.DataFrame) -> np.ndarray:
        with torch.inference_mode():
            inputs = encoder.encode(frame)
            logits = network(inputs.numbers, inputs.extras, inputs.codes)
            return (logits * answer.scale).softmax(-1).mean(0).numpy()

    return predict


def pipeline(train):
    """The usual scikit-learn answer to a raw table, fitted on the training rows (a pandas frame)."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    words = [name for name in train.columns if name not in (*NUMBERS, TARGET)]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    trees = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    return make_pipeline(columns, trees).fit(train[[*NUMBERS, *words]], train[TARGET])


def main() -> None:
    chosen = parser(__doc__).parse_args()
    one_thread()
    import pandas as pd

    import assay
    from assay.data.reading.frames import from_object, tidy

    heading("Serving: Adult, one thread", small=chosen.small)
    with tempfile.TemporaryDirectory() as folder:
        quick = ["train.epochs=1" if chosen.small else "train.epochs=3", "evaluate.baselines=majority"]
        out = Path(folder) / "adult"
        assay.fit(
            ADULT / "train.csv.gz", target=TARGET, test=ADULT / "test.csv.gz", out=out, budget="none", overrides=quick
        )
        bundle = assay.load(out, threads=1)
        torch_answer = eager(bundle)
    trees = pipeline(pd.read_csv(ADULT / "train.csv.gz"))
    frame = pl.read_csv(ADULT / "test.csv.gz").drop(TARGET)
    pandas_frame = pd.read_csv(ADULT / "test.csv.gz").drop(columns=TARGET)

    difference = float(np.abs(bundle.answer(frame).astype(np.float64) - torch_answer(frame)).max())
    print(
        f"Largest difference of a probability, bundle against eager torch, {frame.height:,} rows: {difference:.2g}.\n"
    )
    rows = []
    for size in (1, 64, 4096):
        raw, raw_pandas = frame.head(size), pandas_frame.head(size)
        dicts = raw.to_dicts()
        calls = {
            "bundle, pandas": lambda f=raw_pandas: bundle.predict(f),
            "bundle, Polars": lambda f=raw: bundle.predict(f),
            "bundle, list of dicts": lambda f=dicts: bundle.predict(f),
            "eager torch, pandas": lambda f=raw_pandas: torch_answer(tidy(from_object(f, [])[0], [])),
            "eager torch, Polars": lambda f=raw: torch_answer(f),
            PIPELINE: lambda f=raw_pandas: trees.predict_proba(f),
        }
        turns, seconds = (3, 0.05) if chosen.small else (9, 0.5)
        times = interleave(calls, repeats=turns, seconds=seconds)
        for name, each in times.items():
            ratio = times[PIPELINE].cpu / each.cpu
            is_goal = name == "bundle, pandas" and size in GOALS
            goal = f"≥ {GOALS[size]:g}: {verdict(ratio >= GOALS[size])}" if is_goal else ""
            rows.append(
                (f"{size:,}", name, f"{1e3 * each.cpu:.3f}", f"{1e3 * each.wall:.3f}", f"{size / each.cpu:,.0f}",
                 f"{ratio:.2f}", goal)
            )  # fmt: skip
    table(["rows", "from", "ms CPU a call", "ms wall", "rows a CPU second", "times the pipeline", "goal"], rows)


if __name__ == "__main__":
    main()
