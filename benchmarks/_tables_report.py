"""Tables of what `tables_all.py` measured: scores, ranks, wins, seconds, goals."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from _measure import table, verdict
from _tables import HIGHER, Data

RIVALS = ("boosting", "LightGBM", "CatBoost", "MLP")
MEASURED = ("AutoGluon", "RealMLP")
LABELS = {"auroc": "AUROC", "rmse": "RMSE", "accuracy": "accuracy"}
#: Table, score, bound, and the budget at which it should be reached (0: at any).
GOALS = (
    ("letter", "accuracy", 0.980, 0),
    ("california_housing", "rmse", 45_000.0, 60),
    ("california_housing", "rmse", 43_000.0, 300),
    ("adult", "accuracy", 0.862, 60),
    ("adult", "accuracy", 0.868, 300),
    ("diamonds", "rmse", 540.0, 60),
    ("diamonds", "rmse", 525.0, 300),
)
#: Rivals over which the mean rank should be better, by budget.
OUTRANKED = {60: ("boosting", "LightGBM"), 300: ("CatBoost",)}
#: How far beyond its budget a run may end.
OVERRUN = 1.1
NOTE = """boosting is scikit-learn's HistGradientBoosting; it, LightGBM and CatBoost have native categories, at most
1,000 rounds and early stopping on 10 %; MLP is scikit-learn's with scaling, one-hot and early stopping; all else at
their defaults, one thread. AutoGluon is 1.6 `medium`, RealMLP is RealMLP-TD of pytabkit, both told to stop after 60 s
(AutoGluon took 66 to 90) and measured earlier, once, on an idle machine of 2 cores. Scores are means over seeds; a
system that needs more than 20 s of CPU has one seed. Published results have other splits, tuning and budgets: a range,
not a ranking.
"""


class Place(NamedTuple):
    """A column of the table: a system, and the seconds that assay was given."""

    system: str
    budget: int | None = None

    @property
    def label(self) -> str:
        return self.system if self.budget is None else f"{self.system} {self.budget} s"


class Results:
    """The finished fits, by table and place."""

    def __init__(self, lines: Sequence[dict]) -> None:
        self._found: dict[tuple[str, Place], list[dict]] = {}
        for line in lines:
            self._found.setdefault((line["data"], Place(line["system"], line["budget"])), []).append(line)
        budgets = sorted({place.budget for _, place in self._found if place.budget})
        self.rivals = tuple(Place(name) for name in RIVALS)
        self.ours = tuple(Place("assay", budget) for budget in budgets)

    def mean(self, data: str, place: Place, score: str) -> float | None:
        """Of the score over seeds."""
        lines = self._found.get((data, place))
        return statistics.fmean(line["scores"][score] for line in lines) if lines else None

    def seconds(self, data: str, place: Place) -> list[float]:
        return [line["seconds"] for line in self._found.get((data, place), ())]

    def seeds(self, data: str, place: Place) -> int:
        return len(self._found.get((data, place), ()))

    def has(self, data: str) -> bool:
        return any(name == data for name, _ in self._found)


def report(tables: Sequence[Data], lines: Sequence[dict]) -> None:
    """Print all tables."""
    found = Results(lines)
    here = [data for data in tables if found.has(data.name)]
    if not here:
        print(
            "No results yet: name `--budgets 60,300` or `--rivals-python PATH`, or a file of results with --resume.\n"
        )
        return
    places = (*found.rivals, *found.ours)
    table(["data", "score", *(place.label for place in places), *MEASURED], [score_row(d, found, places) for d in here])
    log_losses = [data for data in here if data.task == "multiclass"]
    if log_losses:
        rows = [(d.name, *(shown(found.mean(d.name, p, "log_loss")) for p in places)) for d in log_losses]
        table(["log loss", *(place.label for place in places)], rows)
    table(["seconds, whole process", *(place.label for place in places)], [second_row(d, found, places) for d in here])
    for ours in found.ours:
        ranks(here, found, ours)
    goals(here, found)
    table(["data", "published"], [(data.name, data.published) for data in here if data.published])
    print(NOTE)


def score_row(data: Data, found: Results, places: Sequence[Place]) -> tuple[str, ...]:
    """The means, the best of those measured here in bold."""
    values = [found.mean(data.name, place, data.score) for place in places]
    known = [value for value in values if value is not None]
    best = shown(max(known) if data.score in HIGHER else min(known))
    cells = [f"**{cell}**" if cell == best else cell for cell in map(shown, values)]
    return (data.name, LABELS[data.score], *cells, *(shown(data.measured.get(name)) for name in MEASURED))


def second_row(data: Data, found: Results, places: Sequence[Place]) -> tuple[str, ...]:
    """Mean seconds; the number of seeds where it is not three."""
    cells = []
    for place in places:
        seconds, seeds = found.seconds(data.name, place), found.seeds(data.name, place)
        of = "" if seeds in (0, 3) else f" (n = {seeds})"
        cells.append(f"{statistics.fmean(seconds):.0f}{of}" if seconds else "-")
    return (data.name, *cells)


def ranks(tables: Sequence[Data], found: Results, ours: Place) -> None:
    """Mean rank of assay at one budget and the rivals, over the tables that all of them have; wins against each."""
    places = (ours, *found.rivals)
    rows = [[signed(data, found.mean(data.name, place, data.score)) for place in places] for data in tables]
    rows = [values for values in rows if None not in values]
    if not rows:
        return
    means = mean_ranks(rows)
    cells = [(ours.label, f"{means[0]:.2f}", "", "", "")]
    for number, place in enumerate(found.rivals, 1):
        wins, ties, losses = (
            sum((values[0] > values[number]) - (values[0] < values[number]) == sign for values in rows)
            for sign in (1, 0, -1)
        )
        cells.append(
            (place.label, f"{means[number]:.2f}", f"{wins} / {ties} / {losses}", f"{wins / len(rows):.0%}", "")
        )
    for number, place in enumerate(found.rivals, 1):
        if place.system in OUTRANKED.get(ours.budget, ()):
            cells[number] = (*cells[number][:4], f"assay ranks better: {verdict(means[0] < means[number])}")
    head = [f"{len(rows)} tables", "mean rank", f"{ours.label}: wins / ties / losses", "win rate", "goal"]
    table(head, cells)


def signed(data: Data, value: float | None) -> float | None:
    """The score so that more is better, to four digits: a smaller difference is a tie."""
    return None if value is None else float(f"{value:.4g}") * (1 if data.score in HIGHER else -1)


def mean_ranks(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each column's rank within a row; 1 is the highest value, ties share the mean of their ranks."""
    ranked = [
        [sum(other > value for other in row) + (sum(other == value for other in row) + 1) / 2 for value in row]
        for row in rows
    ]
    return [statistics.fmean(column) for column in zip(*ranked, strict=True)]


def goals(tables: Sequence[Data], found: Results) -> None:
    """The stated bounds, AutoGluon's scores at 60 s, and whether the budgets were kept."""
    rows = []
    names = {data.name for data in tables}
    for data, score, bound, budget in GOALS:
        sign = "≥" if score in HIGHER else "≤"
        for ours in found.ours:
            value = found.mean(data, ours, score)
            if value is None or data not in names or budget not in (0, ours.budget):
                continue
            met = value >= bound if score in HIGHER else value <= bound
            rows.append((ours.label, f"{data}: {LABELS[score]} {sign} {bound:,g}", shown(value), verdict(met)))
    rows += [row for ours in found.ours for row in (*level(tables, found, ours), kept(tables, found, ours))]
    if rows:
        table(["system", "goal", "found", ""], rows)


def level(tables: Sequence[Data], found: Results, ours: Place) -> list[tuple[str, ...]]:
    """Level with AutoGluon: at least as good on half of the tables that it was measured on."""
    pairs = [
        (signed(data, found.mean(data.name, ours, data.score)), signed(data, data.measured["AutoGluon"]))
        for data in tables
        if "AutoGluon" in data.measured and found.mean(data.name, ours, data.score) is not None
    ]
    if ours.budget != 60 or not pairs:
        return []
    reached = sum(own >= other for own, other in pairs)
    return [
        (ours.label, f"level with AutoGluon 60 s: on half of {len(pairs)} tables", f"on {reached}",
         verdict(2 * reached >= len(pairs)))
    ]  # fmt: skip


def kept(tables: Sequence[Data], found: Results, ours: Place) -> tuple[str, ...]:
    """The longest run against its budget."""
    longest = max((second for data in tables for second in found.seconds(data.name, ours)), default=0.0)
    return (
        ours.label,
        f"every run within {OVERRUN * ours.budget:.0f} s",
        f"{longest:.1f}",
        verdict(longest <= OVERRUN * ours.budget),
    )


def shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}" if value > 5_000 else f"{value:.2f}"
