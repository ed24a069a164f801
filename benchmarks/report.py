"""How long the report takes to draw and to open, how large it is, and how quickly `assay ui` lists a folder of runs.

A real report (Adult, a fit of half a minute) is drawn as it is, with 10,000 columns, and with 100 classes and a curve
of 1,000 points for each; a browser opens each page from a file. Goals: each page below 5 s and below 5 MB.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _measure import ADULT, heading, parser, table, verdict

import assay
from assay.data.schema import Task
from assay.evaluate.record import Curve, Report
from assay.report.card import draw_card
from assay.report.datasheet import draw_datasheet
from assay.report.page import draw_page
from assay.ui.library import Library

MOST_SECONDS, MOST_BYTES = 5.0, 5_000_000
RUNS = 300


def main() -> None:
    arguments = parser(__doc__)
    chosen = arguments.parse_args()
    heading("The report and `assay ui`", small=chosen.small)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        run = assay.fit(
            ADULT / "train.csv.gz", target="income", test=ADULT / "test.csv.gz", out=out,
            budget="10s" if chosen.small else "30s",
        )  # fmt: skip
        shapes = {
            "Adult": run.report(),
            "Adult with 10,000 columns": _wide(run.report()),
            "Adult with 100 classes and curves": _many_classes(run.report()),
        }
        pages = {name: Path(folder) / f"{place}.html" for place, name in enumerate(shapes)}
        drawn = {name: _median(lambda report=report: draw_page(report)) for name, report in shapes.items()}
        for name, path in pages.items():
            path.write_text(draw_page(shapes[name]), encoding="utf-8")
        opened = _opened(pages)
        rows = [
            (
                name,
                f"{1e3 * drawn[name]:.0f}",
                "–" if opened is None else f"{1e3 * opened[name]:.0f}",
                f"{path.stat().st_size / 1e6:.2f}",
                verdict(
                    drawn[name] + (0.0 if opened is None else opened[name]) < MOST_SECONDS
                    and path.stat().st_size < MOST_BYTES
                ),
            )
            for name, path in pages.items()
        ]
        table(["report", "ms to draw", "ms to open in Chromium", "MB", "goal: < 5 s, < 5 MB"], rows)
        documents = {"model card": draw_card, "datasheet": draw_datasheet}
        table(
            ["document", "ms to draw", "kB"],
            [
                (
                    name,
                    f"{1e3 * _median(lambda draw=draw: draw(run.report())):.1f}",
                    f"{len(draw(run.report())) / 1e3:.1f}",
                )
                for name, draw in documents.items()
            ],
        )
        _list(out, Path(folder) / "runs", 20 if chosen.small else RUNS)


def _median(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of a call, after one that warms up."""
    call()
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def _wide(report: Report) -> Report:
    schema, first = report.table_schema, report.table_schema.columns[0]
    more = tuple(first.model_copy(update={"name": f"sensor_{at:05}"}) for at in range(10_000))
    wide = schema.model_copy(update={"columns": (*schema.columns, *more)})
    return report.model_copy(update={"table_schema": wide})


def _many_classes(report: Report) -> Report:
    names = tuple(f"class {at}" for at in range(100))
    x = tuple(at / 999 for at in range(1_000))
    curves = tuple(
        Curve(name=name, label=name, x=x, y=tuple(v ** (1 / (2 + at)) for v in x)) for at, name in enumerate(names)
    )
    schema = report.table_schema.model_copy(update={"task": Task.MULTICLASS, "classes": names})
    cells = tuple(tuple(90 if i == j else (i + j) % 3 for j in range(100)) for i in range(100))
    return report.model_copy(
        update={"table_schema": schema, "roc": curves, "precision_recall": curves, "confusion": cells}
    )


def _opened(pages: dict[str, Path]) -> dict[str, float] | None:
    """Seconds until a page is there and its script has run; None where no browser is installed."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed, so no page was opened.\n")
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page, found = browser.new_page(), {}
        for name, path in pages.items():
            times = []
            for _ in range(3):
                begun = time.perf_counter()
                page.goto(path.as_uri())
                page.wait_for_selector("html.scripted")
                times.append(time.perf_counter() - begun)
            found[name] = statistics.median(times)
        browser.close()
    return found


def _list(run: Path, folder: Path, count: int) -> None:
    """The first and a later look of `assay ui` at a folder of copies of a run."""
    for place in range(count):
        shutil.copytree(run, folder / f"adult-{place}", ignore=shutil.ignore_patterns("*.safetensors"))
    library = Library(folder)
    begun = time.perf_counter()
    library.listing()
    first = time.perf_counter() - begun
    table(
        ["runs in the folder", "ms of the first look", "ms of a later one"],
        [(count, f"{1e3 * first:.0f}", f"{1e3 * _median(library.listing):.0f}")],
    )


if __name__ == "__main__":
    main()
