"""`assay export`: a model as it goes to where rows are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import arguments as take


def export(
    model: take.Model,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The directory to make; it must not exist yet.")],
    whole: Annotated[
        bool,
        typer.Option("--whole", help="With the weights for torch and the page, as in the run.", show_default="off"),
    ] = False,
    as_json: take.Json = False,
) -> None:
    """Copy a model without what it holds twice: the weights beside model.onnx, and the page beside report.json.

    The copy has answered its stored rows as the model did before this ends, and every verb takes it as it takes the
    model.
    """
    from assay.bundle.load import load  # onnxruntime and polars
    from assay.runs import open_run

    run = open_run(model)
    made = load(run.save(out, lean=not whole))
    difference, size, before = made.verify(), made.size, run.bundle.size
    if as_json:
        take.print_json({"model": str(out), "bytes": size, "bytes_before": before, "difference": difference})
        return
    take.console().print(
        f"model: {out}, {size / 1e6:.2f} MB ({before / 1e6:.2f} MB before); "
        f"its stored rows are answered as on saving, to {difference:.2g}",
        soft_wrap=True,
    )
