"""The report as one HTML page that opens anywhere: styles, pictures and one script inside, no request.

The script makes what is there easier to read - values under the pointer, zoom, sorting, filters - and nothing depends
on it: see docs/decisions/report.md.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from assay._imports import require
from assay.data.audit.audit import Severity
from assay.evaluate.earned import Ablation
from assay.evaluate.record import Report
from assay.ledger import Outcome
from assay.report import (
    board,
    carried_page,
    decision_page,
    fair_page,
    fair_words,
    fit_page,
    forecast_chart,
    mistakes_page,
    pictures,
    robustness_page,
    slices_page,
    spread_page,
    story,
    summary,
    tables,
    words,
)
from assay.report.ablation_words import earned
from assay.report.sections import sections_of

if TYPE_CHECKING:
    from jinja2 import Environment

SEVERITIES = (
    (Severity.SERIOUS, "Serious findings"),
    (Severity.WARNING, "Warnings"),
    (Severity.NOTE, "Notes"),
)
SIGNS = {
    Outcome.APPLIED: "✓",
    Outcome.PASSED: "✓",
    Outcome.WARNED: "!",
    Outcome.FAILED: "✗",
    Outcome.SKIPPED: "–",
    Outcome.NOT_APPLICABLE: "·",
}
BUNDLE = (
    ("model.onnx", "preprocessing, network and calibration: raw columns in, answers out"),
    ("weights.safetensors", "the network's parameters, to train on"),
    ("schema.json", "columns, kinds, target and classes"),
    ("config.yaml", "the configuration, fully resolved"),
    ("reference.json", "the profile of the training rows, for drift"),
    ("probe.parquet", "rows with their expected answers: the bundle tests itself with verify"),
    ("report.json, report.html", "this report"),
    ("card.md", "the model card"),
    ("datasheet.md", "the datasheet of the data"),
    ("manifest.json", "format version, signature, and a sha256 sum of every file"),
)
#: What most bundles hold too.
OUTLINED = ("outline.json", "what training rows look like, in quantiles and shares, to tell unusual rows by")


def draw_page(report: Report, ablation: Ablation | None = None) -> str:
    """The report as a self-contained HTML page, with what practices earned in its ledger where that was measured.

    Everything that came from the user's data is escaped; the page forbids every request by its content security policy,
    and every script but its own, which it names by its hash. Long lists are cut, and the page says by how much.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return environment().get_template("page.html.j2").render(
        report=report,
        sections=sections_of(report),
        severities=SEVERITIES,
        signs=SIGNS,
        bundle=BUNDLE if report.unusual is None else (*BUNDLE, OUTLINED),
        settings=list(report.config.items())[: tables.MOST_SETTINGS],
        script=script(),
        script_hash=f"sha256-{b64encode(sha256(script().encode()).digest()).decode()}",
        earned={} if ablation is None else {effect.practice: earned(effect) for effect in ablation.effects},
    )  # fmt: skip


@cache
def script() -> str:
    """The script of the page: what it shares with `assay ui`, and its own part."""
    folder = files("assay.report") / "templates"
    return "".join((folder / name).read_text("utf-8") for name in ("parts.js", "page.js"))


@cache
def environment() -> Environment:
    """Where the pages' templates are, with what they may call; they are compiled once in a process.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = require("jinja2", "drawing the report")
    found: Environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assay.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # What the parts of the page may call, one a line: the parts come from many hands.
    found.globals.update(
        story=story,
        tables=tables,
        boards=board,
        fit=fit_page,
        mistakes=mistakes_page,
        robust=robustness_page,
        slices=slices_page,
        spreads=spread_page,
        pictures=pictures,
        forecasts=forecast_chart,
        groups=fair_words,
        groups_page=fair_page,
        decisions=decision_page,
        certainty=carried_page,
        summaries=summary,
    )
    found.filters.update(
        visible=words.visible,
        short=words.short,
        count=words.count,
        counted=words.counted,
        fixed=words.fixed,
        number=words.number,
        percent=words.percent,
        seconds=words.seconds,
        listed=words.listed,
        row_list=words.row_list,
        spelled=_spelled,
        setting_number=_setting_number,
        day=_day,
    )
    return found


def _spelled(spellings: list[str]) -> str:
    """Spellings of 'missing' in quotes, the first few."""
    return words.listed((f"'{spelling}'" for spelling in spellings), 4)


def _setting_number(value: float) -> str:
    """A number of the configuration as one would type it: an option is not rounded."""
    return words.count(value) if isinstance(value, int) and value < 10**15 else f"{value:g}"


def _day(started: str) -> str:
    """The day of an ISO time as 14 January 2026; any other text as it is."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return words.short(started)
    return f"{moment.day} {moment:%B %Y}"
