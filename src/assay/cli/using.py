"""`assay predict`, `evaluate` and `compare`: what is done with finished runs or bundles."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.cli.comparing import checked_page, families_of, print_families, tested_on, write_page
from assay.cli.showing import print_groups, report_of
from assay.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from assay.evaluate.decision.record import DecisionReport
    from assay.evaluate.inspection_record import Slices
    from assay.evaluate.record import Estimate, LabelScores, ModelScores, Report

Data = Annotated[str, typer.Argument(metavar="DATA", help="Rows with the columns the model was trained on.")]

_WRITABLE = (".csv", ".parquet")


def predict(
    model: take.Model,
    data: Data,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="A .csv or .parquet file; - prints CSV.")],
    sets: Annotated[
        bool,
        typer.Option(
            "--sets", help="Add the set of classes that holds the truth at evaluate.coverage.", show_default="off"
        ),
    ] = False,
    intervals: Annotated[
        bool,
        typer.Option("--intervals", help="Add lower and upper, the interval of a value.", show_default="off"),
    ] = False,
    unusual: Annotated[
        bool,
        typer.Option("--unusual", help="Add how unlike the training rows each row is, and where.", show_default="off"),
    ] = False,
) -> None:
    """Answer the rows of a table, in their order: `prediction`, and for classes `probability_<class>`.

    Several labels of a row, or classes of a set, are a list in Parquet, and in CSV words with a separator between.
    """
    if out != "-":
        _check_output(Path(out), data)
    from assay.bundle.load import load  # onnxruntime and polars
    from assay.data.reading.read import write_frame

    bundle = load(model)
    answers = bundle.predict(data, sets=sets, intervals=intervals, unusual=unusual)
    if out == "-":
        sys.stdout.write(bundle.joined(answers).write_csv())
        return
    write_frame(bundle.joined(answers) if out.lower().endswith(".csv") else answers, Path(out))
    sys.stderr.write(f"{answers.height} rows are answered in {out}\n")


def evaluate(
    model: take.Model,
    data: Data,
    sealed: Annotated[
        bool,
        typer.Option(
            "--sealed",
            help="The rows may be the test rows that the run sealed: the look is counted.",
            show_default="off",
        ),
    ] = False,
    slices: take.SliceOfRows = None,
    as_json: take.Json = False,
) -> None:
    """Score a model on new rows that have the target, with intervals."""
    from assay.runs import evaluate as run_evaluate  # scipy for the intervals

    found = run_evaluate(model, data, sealed=sealed, slices=slices or (), tell=_note)
    scores = found.scores
    if as_json:
        content: dict[str, object] = {"model": str(model), "scores": [one.model_dump(mode="json") for one in scores]}
        if found.labels:
            content["labels"] = [one.model_dump(mode="json") for one in found.labels]
        if found.fairness is not None:
            content["fairness"] = found.fairness.model_dump(mode="json")
        if found.coverage is not None:
            content["coverage"] = found.coverage.model_dump(mode="json")
        if found.decision is not None:
            content["decision"] = found.decision.model_dump(mode="json", exclude={"trade", "gains"})
        if found.slices is not None:
            content["slices"] = found.slices.model_dump(mode="json")
        take.print_json(content)
        return
    take.console().print(_score_table([one.name for one in scores], scores))
    if found.decision is not None:
        _print_decisions(found.decision)
    if found.labels:
        take.console().print(_label_table(found.labels))
    if found.fairness is not None:
        print_groups(found.fairness)
    if found.coverage is not None:
        from assay.report.carried_page import line

        take.console().print(f"{line(found.coverage, 'row')}.")
    if found.slices is not None:
        _print_slices(found.slices, "row" if found.forecast is None else "step")


def _print_decisions(found: DecisionReport) -> None:
    """From where on the positive class is decided, and scores of the decisions with their intervals."""
    from assay.report.decision_page import score_cells

    for score in found.scores:
        value, span = score_cells(score)
        take.console().print(f"{score.label}: {value}" + (f" [{span.replace(' to ', ', ')}]" if span else ""))
    if found.threshold is not None:
        take.console().print(f"The positive class is decided from a probability of {found.threshold:.3g} on.")


def _print_slices(found: Slices, row: str) -> None:
    """A sentence for each slice that was named; `row` is what is in one."""
    from assay.report.slices_page import line

    for each in found.named:
        take.console().print(line(each, found, row))


def _note(text: str) -> None:
    sys.stderr.write(f"note: {text}\n")


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run directories or bundles.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the comparison as a page.", show_default="none")
    ] = None,
    as_json: take.Json = False,
) -> None:
    """Put the networks of several runs side by side, the primary score first, and test them in pairs.

    Runs are paired where they were tested on the same rows; Holm's correction over all pairs.
    """
    if len(runs) < 2:
        raise ConfigError("compare takes two runs or more", "one was given", "Name another: assay compare RUN RUN")
    if html is not None:
        checked_page(html)
    reports = [report_of(path) for path in runs]
    tasks = {report.table_schema.task.value: path for report, path in zip(reports, runs, strict=True)}
    if len(tasks) > 1:
        found = ", ".join(f"{path} is {task}" for task, path in tasks.items())
        raise ConfigError("compared runs must have the same task", found, "Compare runs of one task.")
    networks = [report.scores[0] for report in reports]
    rows = tested_on(runs, reports)
    same_rows = len(set(rows)) == 1
    families = families_of(runs, reports, rows)
    if html is not None:
        write_page(html, runs, reports, families, same_rows=same_rows)
        sys.stderr.write(f"the comparison is in {html}\n")
    if as_json:
        take.print_json(
            {
                "primary": reports[0].primary,
                "same_test_rows": same_rows,
                "families": [each.model_dump(mode="json") for each in families],
                "runs": [
                    {"run": str(path), **network.model_dump(mode="json"), "whole": _whole_of(report)}
                    for path, network, report in zip(runs, networks, reports, strict=True)
                ],
            }
        )
        return
    console = take.console()
    table = _score_table([str(path) for path in runs], networks, first=reports[0].primary)
    _add_costs(table, reports)
    console.print(table)
    print_families(families, same_rows=same_rows, row="row" if reports[0].forecast is None else "window")


def _whole_of(report: Report) -> dict[str, object] | None:
    """The row of the whole model on the leaderboard of its run, or None where it has none."""
    found = () if report.leaderboard is None else report.leaderboard.rows
    return next((row.model_dump(mode="json") for row in found if row.kind == "ensemble"), None)


def _add_costs(table: Table, reports: Sequence[Report]) -> None:
    """Rows on the choice and the cost of each model: its validation score, with and without flattery, and the rest."""
    from assay.report.board import MISSING, board
    from assay.report.words import plain

    whole = [next((row for row in board(report) if row.kind == "whole model"), None) for report in reports]
    if not any(whole):
        return
    for label, field in (
        ("validation", "validation"), ("validation, corrected", "corrected"), ("time to fit", "fit"),
        ("us per row", "predict"), ("size", "size"),
    ):  # fmt: skip
        table.add_row(label, *(MISSING if row is None else plain(getattr(row, field)) for row in whole))


def _check_output(path: Path, data: str) -> None:
    """Refuse an output that cannot be written or would replace the input, before any work is done."""
    if path.suffix.lower() not in _WRITABLE:
        raise ConfigError(
            "the output must end in .csv or .parquet", f"{path.name!r} was given", "Change the ending of -o FILE."
        )
    if not path.parent.is_dir():
        raise ConfigError("the folder of the output must exist", f"{path.parent} does not", "Make it, or name another.")
    if path.exists() and Path(data).exists() and path.samefile(data):
        raise ConfigError("the answers must not replace the data", f"-o names {data} itself", "Name another file.")


def _score_table(names: Sequence[str], models: Sequence[ModelScores], *, first: str | None = None) -> Table:
    """Metrics down, models across; the best value of each metric in bold. `first` names the metric on top."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    labels = {score.name: score.label for model in models for score in model.scores}
    order = sorted(labels, key=lambda name: name != first)
    for name in order:
        cells = [next((score for score in model.scores if score.name == name), None) for model in models]
        values = [cell.estimate.value if cell is not None else None for cell in cells]
        higher = any(cell is not None and cell.higher_is_better for cell in cells)
        best = _best(values, higher=higher) if len(models) > 1 else None
        shown = [
            Text(_shown(cell.estimate) if cell is not None else "-", style="bold" if value == best is not None else "")
            for cell, value in zip(cells, values, strict=True)
        ]
        table.add_row(labels[name] + (" (primary)" if name == first else ""), *shown)
    return table


def _label_table(labels: Sequence[LabelScores]) -> Table:
    """Labels down, their scores across."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for heading in ("rows", "given", "from", "precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    for label in labels:
        shares = (_shown(each) for each in (label.precision, label.recall, label.f1))
        table.add_row(label.name, str(label.rows), str(label.given), f"{label.threshold:.3f}", *shares)
    return table


def _best(values: Iterable[float | None], *, higher: bool) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return max(known) if higher else min(known)


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"undefined: {estimate.method}"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"
