"""Gaps between sensitive groups: published figures again, our measures beside fairlearn's, and what smaller gaps cost.

First the reference: a logistic regression on Adult (official parts, sex not read), on COMPAS (ProPublica's filter, two
races, race read or not) and on German credit (age from 25 years on against below). Its accuracy and gaps are printed
with our intervals beside the figures of others, and the largest difference between our measures and those of fairlearn
on the same decisions. Of German credit the gap is that of the labels, before and after reweighing.

Then the frontier: `assay fit` with `train.fairness` of each kind, and the penalty at several weights, on Adult by sex
and COMPAS by race, neither read: accuracy and gaps on test rows. Each fit takes `--seconds`. Last the same found by
search, `assay tune --objective score,fairness` in `--search` seconds: the gap that trials were judged by, and on test
rows the model that was taken beside the same without what lessens gaps.
"""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from _measure import ADULT, add_data, heading, parser, table
from fairlearn import metrics as fairlearn
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import assay
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.examine import fairness_of
from assay.evaluate.fair.learned import reweighing

#: Accuracy, demographic parity difference and equalised odds difference of a logistic regression measured with
#: fairlearn 0.15 elsewhere (its preprocessing is not known in all parts).
REFERENCES = {
    "adult, sex not read": (0.846, 0.172, 0.082),
    "compas, race not read": (0.660, 0.252, 0.309),
    "compas, race read": (0.671, 0.275, 0.302),
}
#: AIF360's tutorial on credit scoring: 17 % on its 700 training rows.
GERMAN_LABEL_GAP = 0.170
GAPS = ("demographic_parity_difference", "equalised_odds_difference")
COMPAS_READ = (
    "age", "sex", "race", "priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count", "c_charge_degree",
)  # fmt: skip
WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)


def adult(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return tuple(pl.read_csv(ADULT / f"{part}.csv.gz").drop("fnlwgt") for part in ("train", "test"))


def compas(data: Path) -> pl.DataFrame:
    whole = pl.read_csv(data / "fairness" / "compas_two_years.csv.gz", infer_schema_length=None)
    kept = whole.filter(
        pl.col("days_b_screening_arrest").is_between(-30, 30), pl.col("is_recid") != -1,
        pl.col("c_charge_degree") != "O", pl.col("score_text") != "N/A",
        pl.col("race").is_in(["African-American", "Caucasian"]),
    )  # fmt: skip
    target = pl.when(pl.col("two_year_recid") == 1).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("recid")
    return kept.select(*COMPAS_READ, target)


def german(data: Path) -> pl.DataFrame:
    whole = pl.read_csv(data / "fairness" / "german_credit.csv.gz", infer_schema_length=None)
    named = pl.when(pl.col("age") >= 25).then(pl.lit("from 25 on")).otherwise(pl.lit("below 25"))
    return whole.with_columns(years=named)


def logistic(train: pl.DataFrame, test: pl.DataFrame, target: str, leave: tuple[str, ...]) -> np.ndarray:
    """Probabilities of the test rows."""
    names = [name for name in train.columns if name != target and name not in leave]
    words = [name for name in names if not train[name].dtype.is_numeric()]
    numbers = [name for name in names if name not in words]
    encoded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), words), (StandardScaler(), numbers), sparse_threshold=0.0
    )
    model = make_pipeline(encoded, LogisticRegression(max_iter=2000))
    frame = train.select(names).with_columns(pl.col(words).fill_null("?")).to_pandas()
    model.fit(frame, train[target].to_numpy())
    return model.predict_proba(test.select(names).with_columns(pl.col(words).fill_null("?")).to_pandas())


def measured(test: pl.DataFrame, target: str, sensitive: str, answers: np.ndarray):
    """Our report on the groups of these rows, and how far it is from fairlearn at most."""
    schema = infer(read(test), Hints(target=target, sensitive=(sensitive,)))
    truth = np.array([schema.classes.index(each) for each in test[target].to_list()])
    rows = Rows("test", test.drop(target), truth, None, np.arange(len(test)))
    found = fairness_of(rows, schema, answers, EvaluateConfig(bootstrap=2000), cuts=(), part="test")
    chosen, groups = answers[:, 1] >= 0.5, test[sensitive].to_numpy()
    gaps = {gap.id: gap for gap in found.attributes[0].gaps}
    theirs = {
        GAPS[0]: fairlearn.demographic_parity_difference(truth, chosen, sensitive_features=groups),
        "demographic_parity_ratio": fairlearn.demographic_parity_ratio(truth, chosen, sensitive_features=groups),
        GAPS[1]: fairlearn.equalized_odds_difference(truth, chosen, sensitive_features=groups),
        "equal_opportunity_difference": fairlearn.equal_opportunity_difference(
            truth, chosen, sensitive_features=groups
        ),
    }
    return found, gaps, max(abs(gaps[name].value - value) for name, value in theirs.items())


def shown(value: float, low: float, high: float, reference: float) -> tuple[str, str]:
    return (
        f"{value:.3f} [{low:.3f}, {high:.3f}]",
        f"{reference:.3f} ({'inside' if low <= reference <= high else 'OUT'})",
    )


def print_references(data: Path) -> None:
    train, test = adult(data)
    people = compas(data)
    halves = train_test_split(np.arange(len(people)), test_size=0.3, random_state=0, stratify=people["recid"].to_list())
    cases = [
        ("adult, sex not read", train, test, "income", "sex", ("sex",)),
        ("compas, race not read", people[halves[0]], people[halves[1]], "recid", "race", ("race",)),
        ("compas, race read", people[halves[0]], people[halves[1]], "recid", "race", ()),
    ]
    rows = []
    for name, learned, judged, target, sensitive, leave in cases:
        found, gaps, off = measured(judged, target, sensitive, logistic(learned, judged, target, leave))
        accuracy = found.overall["accuracy"]
        both = [shown(accuracy.value, accuracy.low, accuracy.high, REFERENCES[name][0])]
        both += [
            shown(gaps[each].value, gaps[each].low, gaps[each].high, reference)
            for each, reference in zip(GAPS, REFERENCES[name][1:], strict=True)
        ]
        chance = f"{gaps[GAPS[0]].by_chance:.3f}, {gaps[GAPS[1]].by_chance:.3f}"
        rows.append((name, f"{len(judged):,}", *(cell for pair in both for cell in pair), chance, f"{off:.0e}"))
    head = ["data", "test rows", "accuracy", "reference", "parity", "reference", "odds", "reference",
            "chance gives up to", "off fairlearn"]  # fmt: skip
    table(head, rows)
    print_german(german(data))


def print_german(people: pl.DataFrame) -> None:
    good = (people["class"] == "good").to_numpy().astype(np.int64)
    old = (people["years"] == "from 25 on").to_numpy().astype(np.int64)
    answers = np.stack([1.0 - good, good], axis=1).astype(float)
    _, gaps, off = measured(people, "class", "years", answers)
    gap = gaps[GAPS[0]]
    weight = reweighing(old, good, None)
    after = abs(
        np.average(good[old == 1], weights=weight[old == 1]) - np.average(good[old == 0], weights=weight[old == 0])
    )
    cells = shown(gap.value, gap.low, gap.high, GERMAN_LABEL_GAP)
    print("German credit, the labels themselves: share of good credit, from 25 years on against below\n")
    table(["rows", "difference", "reference", "chance gives up to", "weighed anew", "off fairlearn"],
          [(f"{len(people):,}", *cells, f"{gap.by_chance:.3f}", f"{after:.1e}", f"{off:.0e}")])  # fmt: skip


def fit(
    train: pl.DataFrame, test: pl.DataFrame, target: str, sensitive: str, out: Path, seconds: int, options: list[str]
):
    run = assay.fit(
        train, target, test=test, out=out, sensitive=[sensitive], drop=[sensitive], budget=seconds, seed=0,
        overrides=["model.name=mlp", "ensemble.folds=1", "evaluate.baselines=majority", "train.fairness_compare=false",
                   *options],
    )  # fmt: skip
    found = run.report().fairness
    gaps = {gap.id: gap for gap in found.attributes[0].gaps}
    scores = {score.name: score.estimate for score in run.scores[0].scores}
    return found.overall["accuracy"], scores["auroc"], gaps


def cases_of(data: Path) -> list[tuple[str, pl.DataFrame, pl.DataFrame, str, str]]:
    """What it is, training and test rows, target and sensitive column."""
    people = compas(data)
    halves = train_test_split(np.arange(len(people)), test_size=0.3, random_state=0, stratify=people["recid"].to_list())
    return [
        ("adult by sex", *adult(data), "income", "sex"),
        ("compas by race", people[halves[0]], people[halves[1]], "recid", "race"),
    ]


def print_frontier(data: Path, seconds: int, weights: tuple[float, ...]) -> None:
    ways = [("none", []), ("reweigh", ["train.fairness=reweigh"]), ("group_dro", ["train.fairness=group_dro"])]
    ways += [
        (f"equalised_odds, weight {each:g}", ["train.fairness=equalised_odds", f"train.fairness_weight={each}"])
        for each in weights
    ]
    for name, train, test, target, sensitive in cases_of(data):
        given = seconds if name.startswith("adult") else max(seconds // 2, 10)
        print(f"{name}, not read; {given} s a fit, {len(test):,} test rows\n")
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for place, (way, options) in enumerate(ways):
                accuracy, auroc, gaps = fit(train, test, target, sensitive, Path(folder) / str(place), given, options)
                cells = [f"{gaps[each].value:.3f} [{gaps[each].low:.3f}, {gaps[each].high:.3f}]" for each in GAPS]
                hits = f"{accuracy.value:.4f} [{accuracy.low:.4f}, {accuracy.high:.4f}]"
                rows.append((way, hits, f"{auroc.value:.4f}", *cells))
        table(["train.fairness", "accuracy", "AUROC", "parity difference", "odds difference"], rows)


def print_searched(data: Path, seconds: int) -> None:
    judged, fronts, tested = [], [], []
    for name, train, test, target, sensitive in cases_of(data):
        with tempfile.TemporaryDirectory() as folder:
            study = assay.tune(
                train, target, test=test, out=Path(folder) / "study", sensitive=[sensitive], drop=[sensitive], seed=0,
                objective="score,fairness", budget=seconds,
                overrides=["model.name=mlp", "ensemble.folds=1", "evaluate.baselines=majority"],
            )  # fmt: skip
            taken, default = (study.file.gaps[each.number] for each in (study.best, study.default))
            told = [f"{gap.value:.4f} [{gap.low:.4f}, {gap.high:.4f}]" for gap in (default, taken)]
            judged.append(
                (name, str(len(study.tried)), str(len(study.front)), f"{study.default.value:.4f}",
                 f"{study.best.value:.4f}", *told, f"{default.by_chance:.4f}", _lessening(study.options))
            )  # fmt: skip
            fronts += [
                (name, str(each.number), f"{each.value:.4f}", f"{each.outcome.gap:.4f}", _lessening(each.trial.options))
                for each in study.front
            ]
            tested += _tested(name, study.run.report())
    print(f"searched in {seconds} s with `--objective score,fairness`; the gap is that of mean probabilities\n")
    head = [
        "data",
        "trials",
        "front",
        "AUROC, default",
        "taken",
        "gap, default",
        "taken",
        "by chance",
        "train.fairness",
    ]
    table(head, judged)
    table(["data", "trial on the front", "AUROC", "gap", "train.fairness"], fronts)
    table(["data", "model", "accuracy", "AUROC", "parity difference", "odds difference"], tested)


def _lessening(options: dict[str, object]) -> str:
    """What a trial does about the groups, with its weight."""
    weight = options.get("train.fairness_weight")
    return f"{options['train.fairness']}{'' if weight is None else f', weight {weight:.3g}'}"


def _tested(name: str, report: object) -> list[tuple[str, ...]]:
    """Scores and gaps of the test rows, with what lessens gaps and without."""
    found = report.fairness
    with_it = {score.name: score.estimate.value for score in report.scores[0].scores}
    made = found.mitigation
    rows = [("taken", with_it["accuracy"], with_it["auroc"], found.attributes[0])]
    if made is not None:
        without = {cost.id: cost.without for cost in made.costs}
        rows.append(("the same without", without["accuracy"], without["auroc"], made.attributes[0]))
    lines = []
    for model, accuracy, auroc, attribute in rows:
        gaps = {gap.id: gap for gap in attribute.gaps}
        cells = [f"{gaps[each].value:.3f} [{gaps[each].low:.3f}, {gaps[each].high:.3f}]" for each in GAPS]
        lines.append((name, model, f"{accuracy:.4f}", f"{auroc:.4f}", *cells))
    return lines


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--seconds", type=int, default=40, help="of each fit on Adult (default: 40; half on COMPAS)")
    arguments.add_argument("--search", type=int, default=180, help="seconds of each search (default: 180)")
    chosen = arguments.parse_args()
    heading("Gaps between sensitive groups", small=chosen.small)
    if not (chosen.data / "fairness").is_dir():
        print(f"The data sets are not in {chosen.data}: nothing is measured.")
        return
    print_references(chosen.data)
    print_frontier(chosen.data, 10 if chosen.small else chosen.seconds, (1.0,) if chosen.small else WEIGHTS)
    print_searched(chosen.data, 40 if chosen.small else chosen.search)


if __name__ == "__main__":
    main()
