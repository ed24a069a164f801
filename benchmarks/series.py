"""Series through the command: 14 sets of the UCR and UEA archives, and five forecasts, each beside what is published.

Every line is one whole `assay fit` on the official parts. Published accuracies are those of dl-4-tsc (ResNet, FCN) and
of aeon's archive of results (InceptionTime, HIVE-COTE 2), as the folder of public data quotes them. ETTh1 is cut as its
authors cut it, 12, 4 and 4 months; the other forecasts are cut in time by assay. The data are found with --data.
"""

import gzip
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _measure import add_data, heading, parser, table, verdict

from assay.evaluate.record import Report
from assay.runs import open_run


@dataclass(frozen=True)
class Known:
    """A data set and the accuracies that are published for its official parts; None where there is none."""

    name: str
    resnet: float | None
    fcn: float | None
    inception: float | None
    hc2: float | None
    options: tuple[str, ...] = ()


KNOWN = (
    Known("ucr_ECG200", 0.874, 0.888, 0.910, 0.860),
    Known("ucr_GunPoint", 0.991, 1.000, 1.000, 1.000),
    Known("ucr_ArrowHead", 0.838, 0.843, 0.863, 0.869),
    Known("ucr_ItalyPowerDemand", 0.962, 0.963, 0.966, 0.970),
    Known("ucr_SwedishLeaf", 0.963, 0.967, 0.970, 0.965),
    Known("ucr_SyntheticControl", 0.997, 0.989, 0.997, 1.000),
    Known("ucr_OSULeaf", 0.980, 0.979, 0.921, 0.967),
    Known("ucr_FacesUCR", 0.954, 0.943, 0.972, 0.965, ("--task", "multiclass")),
    Known("ucr_ECG5000", 0.935, 0.940, 0.942, 0.947),
    Known("ucr_Computers", 0.806, 0.819, 0.808, 0.760),
    Known("ucr_Earthquakes", 0.712, 0.725, 0.712, 0.748),
    Known("ucr_LargeKitchenAppliances", 0.901, 0.903, 0.904, 0.920),
    Known("ucr_Wafer", 0.998, 0.997, 0.999, 1.000),
    Known("uea_JapaneseVowels", None, None, None, None, ("data.case=case", "data.step=t")),
)


@dataclass(frozen=True)
class Series:
    """A forecast: what is forecast how far ahead, and the rows of the parts where they are official."""

    name: str
    target: str
    time: str
    horizon: int
    parts: tuple[int, ...] = ()
    options: tuple[str, ...] = ()


SERIES = (
    Series("ETTh1", "OT", "date", 96, (8640, 2880, 2880)),
    Series("airline_passengers", "Passengers", "Month", 12),
    Series("monthly_sunspots", "Sunspots", "Month", 12),
    Series("daily_min_temperatures", "Temp", "Date", 7),
    Series("daily_total_female_births", "Births", "Date", 7),
)


def fit(source: Path, options: list[str], out: Path) -> tuple[Report | str, float]:
    """The report of `assay fit`, or the end of what it said when it failed; and its seconds."""
    program = str(Path(sys.executable).with_name("assay"))
    began = time.perf_counter()
    done = subprocess.run(
        [program, "fit", str(source), *options, "--out", str(out), "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    return (open_run(out).report() if not done.returncode else done.stderr.strip()[-160:]), seconds


def scores(report: Report, metric: str) -> dict[str, float]:
    """One metric of every model of a report."""
    return {
        model.name: score.estimate.value for model in report.scores for score in model.scores if score.name == metric
    }


def told(report: Report) -> tuple[str, str]:
    """The parts of the network with their shares, and what each paired test against a baseline says."""
    parts = ", ".join(f"{part.name} {part.share:.0%}" for part in report.training.parts)
    return parts, "; ".join(f"{each.against}: {each.verdict}" for each in report.comparisons)


def classify(known: Known, data: Path, seed: int, budget: str, out: Path) -> tuple[tuple[str, ...], float | None]:
    """A row of the table of classifications, and the network's accuracy (None: the command failed)."""
    train, test = (data / "sequence" / f"{known.name}_{part}.parquet" for part in ("train", "test"))
    options = ["--target", "label", "--test", str(test), "--budget", budget, "--seed", str(seed), *known.options]
    report, seconds = fit(train, options, out)
    published = tuple(f"{each:.3f}" if each else "" for each in (known.resnet, known.fcn, known.inception, known.hc2))
    if isinstance(report, str):
        return (known.name, f"failed: {report}", "", *published, "", f"{seconds:.0f}"), None
    found = scores(report, "accuracy")
    network, linear = found["network"], found.get("linear model")
    parts, _ = told(report)
    row = (known.name, f"{network:.4f}", f"{linear:.4f}" if linear is not None else "", *published, parts)
    return (*row, f"{seconds:.0f}"), network


def forecast(series: Series, data: Path, seed: int, budget: str, folder: Path) -> tuple[str, ...]:
    """A row of the table of forecasts."""
    source = folder / f"{series.name}.csv"
    with gzip.open(data / "timeseries" / f"{series.name}.csv.gz", "rb") as packed, source.open("wb") as whole:
        shutil.copyfileobj(packed, whole)
    options = ["--target", series.target, "--time", series.time, "--horizon", str(series.horizon), *series.options]
    if series.parts:
        source, *later = cut(source, series.parts)
        options += ["--valid", str(later[0]), "--test", str(later[1])]
    report, seconds = fit(source, [*options, "--budget", budget, "--seed", str(seed)], folder / series.name)
    if isinstance(report, str):
        return series.name, str(series.horizon), f"failed: {report}", "", "", "", "", f"{seconds:.0f}"
    shown = (
        ", ".join(f"{name} {value:.4f}" for name, value in scores(report, metric).items())
        for metric in ("mae", "mse_standardised")
    )
    return series.name, str(series.horizon), *shown, *told(report), f"{seconds:.0f}"


def cut(source: Path, parts: tuple[int, ...]) -> list[Path]:
    """The first rows of a table as files of so many rows each, in their order."""
    head, *rows = source.read_text(encoding="utf-8").splitlines(keepends=True)
    made = []
    for place, rows_here in enumerate(parts):
        made.append(source.with_suffix(f".{place}.csv"))
        begin = sum(parts[:place])
        made[-1].write_text("".join((head, *rows[begin : begin + rows_here])), encoding="utf-8")
    return made


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--only", nargs="*", default=[], help="beginnings of names of data sets")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--budget", default="2m", help="time of a classification")
    arguments.add_argument("--forecast-budget", default="5m", help="time of a forecast")
    chosen = arguments.parse_args()
    heading("Series", small=chosen.small)
    wanted = tuple(chosen.only)
    known = [each for each in KNOWN if not wanted or each.name.startswith(wanted)][: 1 if chosen.small else None]
    series = [each for each in SERIES if not wanted or each.name.startswith(wanted)][: 0 if chosen.small else None]
    with tempfile.TemporaryDirectory() as folder:
        rows, ours = [], {}
        for each in known:
            row, accuracy = classify(each, chosen.data, chosen.seed, chosen.budget, Path(folder) / each.name)
            rows.append(row)
            ours |= {each.name: accuracy} if accuracy is not None else {}
            print(" | ".join(row), file=sys.stderr, flush=True)
        if rows:
            table(["data", "accuracy", "linear", "ResNet", "FCN", "InceptionTime", "HC2", "parts", "s"], rows)
            conclude(ours)
        rows = []
        for one in series:
            rows.append(forecast(one, chosen.data, chosen.seed, chosen.forecast_budget, Path(folder)))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
        if rows:
            table(["data", "horizon", "MAE", "MSE, standardised", "parts", "paired", "s"], rows)


def conclude(ours: dict[str, float]) -> None:
    """Means over the sets that have published figures and ended, and the goals."""
    shared = [each for each in KNOWN if each.name in ours and each.resnet is not None]
    if not shared:
        return
    mean = statistics.mean(ours[each.name] for each in shared)
    rivals = {
        name: statistics.mean(getattr(each, field) for each in shared)
        for name, field in (("ResNet", "resnet"), ("FCN", "fcn"), ("InceptionTime", "inception"), ("HC2", "hc2"))
    }
    print(f"\nMean of {len(shared)} sets: ours {mean:.4f}, " + ", ".join(f"{n} {v:.4f}" for n, v in rivals.items()))
    print(f"Above ResNet and FCN: {verdict(mean > max(rivals['ResNet'], rivals['FCN']))}")
    goal = max(rivals["InceptionTime"], rivals["HC2"]) - 0.02
    print(f"Within 0.02 of the better of InceptionTime and HC2: {verdict(mean > goal)}")


if __name__ == "__main__":
    main()
