"""A comparison as one HTML page that opens anywhere, in the style of the report of a run."""

from __future__ import annotations

from dataclasses import dataclass

from assay.bench.compare import Mean, by_place
from assay.bench.report import BenchReport
from assay.report.charts import Dot, interval_chart
from assay.report.matrix_charts import difference_map
from assay.report.page import environment
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import decimals, fixed, number, seconds
from assay.version import __version__

_MOST_FAILED, _MOST_PAIRS = 100, 200


@dataclass(frozen=True)
class Row:
    """A data set: its metric, and a cell for each configuration."""

    data: str
    label: str
    direction: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Cell:
    """A mean score in words; `is_best` where no other is better."""

    text: str
    seeds: str
    is_best: bool


@dataclass(frozen=True)
class Cost:
    """What a configuration takes: medians over its finished runs, and how many failed."""

    config: str
    seconds: str
    predict: str
    size: str
    done: int
    failed: int


def draw_bench(report: BenchReport) -> str:
    """A self-contained page: the verdict, ranks, scores, pairs, costs, what each configuration sets, what failed.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    standing = report.standing
    return environment().get_template("bench.html.j2").render(
        version=__version__,
        report=report,
        standing=standing,
        rows=_rows(report),
        costs=[_cost(report, config) for config in report.configs],
        pairs=standing.pairs[:_MOST_PAIRS],
        failed=report.failed[:_MOST_FAILED],
        ranks=_ranks(report),
        wins=_wins(report),
    )  # fmt: skip


def _ranks(report: BenchReport) -> Picture | None:
    standing = report.standing
    if len(standing.ranks) < 2:
        return None
    first = standing.ranks[0].config
    rows = [
        Dot(r.config, r.rank, r.low, r.high, "network" if r.config == first else "baseline") for r in standing.ranks
    ]
    label = f"Mean ranks over {len(standing.data)} data sets; {first} has the best, {standing.ranks[0].rank:.2f}"
    svg = interval_chart(label, rows, Axis("mean rank, 1 is best", 1.0, float(len(report.configs))))
    bars = (
        f"bars: {report.confidence:.0%} by bootstrap over data sets" if standing.ranks[0].low is not None else "no bars"
    )
    return Picture(svg, f"Mean rank over {len(standing.data)} data sets, ties shared; {bars}.")


def _wins(report: BenchReport) -> Picture | None:
    """Wins less losses of every pair, as a share of the data sets."""
    standing = report.standing
    if len(standing.ranks) < 3:
        return None
    names = [rank.config for rank in standing.ranks]
    place = {name: at for at, name in enumerate(names)}
    cells = [[0.0] * len(names) for _ in names]
    for pair in standing.pairs:
        share = (pair.wins - pair.losses) / len(standing.data)
        cells[place[pair.first]][place[pair.second]] = share
        cells[place[pair.second]][place[pair.first]] = -share
    svg = difference_map("Wins less losses of each pair, as a share of the data sets", cells, names)
    return Picture(svg, "Wins less losses of the row against the column, as a share of the data sets.")


def _rows(report: BenchReport) -> list[Row]:
    means = by_place(report.standing.means)
    rows = []
    for data in report.data:
        row = [means.get((data, config)) for config in report.configs]
        known = [mean for mean in row if mean is not None]
        places = decimals([mean.score for mean in known])
        best = min((mean.error for mean in known), default=0.0)
        first = known[0] if known else None
        rows.append(
            Row(
                data,
                "-" if first is None else first.label,
                "" if first is None else "more is better" if first.higher_is_better else "less is better",
                tuple(_cell(mean, places, best, len(report.seeds)) for mean in row),
            )
        )
    return rows


def _cell(mean: Mean | None, places: int, best: float, seeds: int) -> Cell:
    if mean is None:
        return Cell("–", "no score", is_best=False)
    spread = "" if mean.spread is None else f" ± {fixed(mean.spread, places)}"
    few = "" if mean.seeds == seeds else f"{mean.seeds} of {seeds} seeds"
    return Cell(fixed(mean.score, places) + spread, few, mean.error == best)


def _cost(report: BenchReport, config: str) -> Cost:
    own = [result for result in report.results if result.config == config]
    done = [result for result in own if result.status == "done"]
    took = _median([result.seconds for result in done])
    per_row = _median([result.predict_us for result in done])
    size = _median([result.bytes for result in done])
    return Cost(
        config,
        "–" if took is None else seconds(took),
        "–" if per_row is None else f"{number(per_row, 3)} µs",
        "–" if size is None else f"{number(size / 1e6, 3)} MB",
        len(done),
        sum(result.status == "failed" for result in own),
    )


def _median(values: list[float | None] | list[int | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    middle = len(known) // 2
    return float(known[middle]) if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
