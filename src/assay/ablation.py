"""`assay.ablate`: what each practice that a run applied earned on its data, measured without a look at its test rows.

The run's bundle and report stay as they are; `ablation.json` and `ablation.html` are written beside them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from assay.apportion import text_plan
from assay.bundle.manifest import CONFIG, MANIFEST, PAGE, REPORT
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig, parse_budget, to_yaml
from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.reading.arrays import as_in_training
from assay.data.rows import Rows, joined, sample_of
from assay.errors import BundleError, ConfigError, DataError
from assay.evaluate.earned import ABLATION, Ablation, Measured, Unmeasured, told_apart
from assay.evaluate.kept import kept_of
from assay.evaluate.metrics import metric
from assay.evaluate.record import Report
from assay.ledger import Ledger
from assay.locking import locked
from assay.practices import PRACTICES
from assay.report.ablation_page import draw_ablation
from assay.report.page import draw_page
from assay.request import Request
from assay.search.ablation.design import Design, asked_practices, designed
from assay.search.ablation.effects import Asked, computed_effect, measured_by, trained_effect
from assay.search.ablation.trials import Fit, Fold, Trials
from assay.sources import decoded, read_tables, seal_tables
from assay.train.budget import Budget
from assay.train.threads import using_threads
from assay.train.watch import Unwatched, Watch
from assay.version import __version__
from assay.workspace import Workspace, refuse_unfinished, scratch

ABLATION_PAGE = "ablation.html"
#: The time of an ablation for which none was given, and the folder of what is done while it is not over.
BUDGET, _FOLDER = "10m", ".ablation"
#: Training rows that an encoder learns from which only says what the inputs are.
_FEW_ROWS = 2_000


def ablate(
    run: str | os.PathLike[str],
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    practices: Sequence[str] = (),
    seeds: int = 0,
    budget: float | str | None = BUDGET,
    watch: Watch | None = None,
    started: float | None = None,
) -> Ablation:
    """What each practice that a run applied earned, with an interval, beside what it costs.

    Networks of the family with the largest share are trained anew on folds of the training and validation rows, with
    everything and without each practice; settings of one shape are members of one network, and pairs share rows and
    seeds. Folds of forecasts are those of a backtest: blocks in time, judged by networks of what was over before.
    Weights, parts and temperatures are fitted anew to answers that the run kept. Test rows stay sealed.

    Killed or out of time, it goes on where it was when it is asked for again.

    Args:
        run: the directory of a finished run.
        data, test, valid: the table again, and files of their own beside it, where the run was made from frames or the
            files lie elsewhere now.
        practices: ids of those to measure; by default all that the run applied and that can be switched off.
        seeds: how often the folds are dealt anew, with other seeds; 0 for as often as there is time, up to 3.
        budget: seconds, or `10m`, `none`: it decides how many rows are used, and ends what takes longer.
        watch: an observer.
        started: `time.monotonic()` from which the budget counts; by default now.

    Raises:
        BundleError: there is no such run, or it is not finished.
        ConfigError: a practice cannot be measured.
        DataError: the table is not the one that the run was made from, or its series are too short for a backtest.
    """
    directory, watch = Path(run), watch or Unwatched()
    asked = asked_practices(practices)
    report, config = _opened(directory)
    if seeds < 0:
        raise ConfigError("seeds must be 0 or more", f"{seeds} was given", "Leave it out, or give 1 to 3.")
    whole = Budget(parse_budget(budget), monotonic() if started is None else started)
    table = config.table
    given = {"data": table.data if data is None else data, "test": table.test if test is None else test,
             "valid": table.valid if valid is None else valid}  # fmt: skip
    if given["data"] is None:
        raise ConfigError("the table must be given again, for the run was made from a frame", "no data was given",
                          f"In Python: assay.ablate({str(directory)!r}, data).")  # fmt: skip
    data, test, valid = (as_in_training(given[part], report.table_schema) for part in ("data", "test", "valid"))
    request = Request(data, test, valid, config, ())
    with _place(directory) as folder, scratch(folder) as scrap, using_threads(config.train.threads):
        try:
            made = _measured(directory, report, request, asked, seeds, whole, scrap, watch)
        except KeyboardInterrupt as error:
            error.add_note(f"What was trained is kept: `assay ablate {directory}` goes on.")
            raise
        _write(directory, report, made)
        if made.complete:
            shutil.rmtree(folder, ignore_errors=True)
    return made


@contextmanager
def _place(directory: Path) -> Iterator[Path]:
    """The locked folder of what is done; it is removed where nothing is in it to go on from."""
    folder = directory / _FOLDER
    with locked(folder):
        try:
            yield folder
        finally:
            if not any(folder.glob("*.npz")):
                shutil.rmtree(folder, ignore_errors=True)


def _opened(directory: Path) -> tuple[Report, RunConfig]:
    """The report and the configuration of a run whose practices can be measured.

    Raises:
        BundleError: it is no finished run.
    """
    refuse_unfinished(directory)
    came = ""
    if not directory.is_dir():
        came = "there is no such directory"
    elif (directory / MANIFEST).is_file():
        came = "it is a bundle, and an ablation lies beside one"
    elif not (directory / REPORT).is_file() or not (directory / CONFIG).is_file():
        came = "it has no report.json and config.yaml"
    if came:
        raise BundleError(f"{str(directory)!r} must be the directory of a finished run", came, "Check the path.")
    report = Report.read(directory / REPORT)
    return report, compose(None, directory / CONFIG)


# The paragraph --------------------------------------------------------------------------------------------------------


def _measured(
    directory: Path,
    report: Report,
    request: Request,
    asked: Sequence[str],
    seeds: int,
    budget: Budget,
    scrap: Path,
    watch: Watch,
) -> Ablation:
    """Read the rows of the run, design the pairs, train them, and say what came of it."""
    config, schema = request.config, report.table_schema
    watch.stage("read")
    rows, fit = _rows(request, report, scrap)
    learned = _some(rows, _FEW_ROWS, config.seed)
    design = designed(
        report.ledger, report.training.parts, fit(learned, config.data.encode), len(rows), schema, config.model,
        config.train, config.data.encode, asked=asked, seeds=seeds, seconds=budget.seconds,
    )  # fmt: skip
    for note in design.notes:
        watch.note(note)
    folds: list[Fold] = []
    is_over, judged_by = True, measured_by(schema, report.primary)
    if design.offs:
        trials = Trials(
            design, _some(rows, design.rows, config.seed), schema, config.data.split, fit, judged_by,
            seed=config.seed, folder=directory / _FOLDER, identity=_identity(report, config), budget=budget,
            watch=watch,
        )  # fmt: skip
        folds = trials.run()
        is_over = not trials.ended
    watch.stage("compare")
    asks = Asked(schema, judged_by, config.evaluate.confidence, config.evaluate.bootstrap, config.seed)
    found, unmeasured = _effects(directory, design, folds, asks)
    return Ablation(
        run=report.name, data=report.source.name, target=schema.target, label=metric(schema.task, judged_by).label,
        proper_label=asks.proper.label, confidence=asks.confidence, network=design.family or "",
        rows=design.rows if design.offs else 0, of_rows=len(rows), passes=design.passes, folds=design.folds,
        seeds=design.seeds, notes=design.notes, effects=told_apart(found, asks.confidence),
        unmeasured=unmeasured, complete=is_over, seconds=budget.used,
    )  # fmt: skip


def _rows(request: Request, report: Report, folder: Path) -> tuple[Rows, Fit]:
    """The training and validation rows of the run, and what encodes some of them.

    Raises:
        DataError: the table is not that of the run, or is not divided as it was.
    """
    config, ledger = request.config, Ledger()
    spill = config.data.spill(folder)
    sources = read_tables(request.data, request.valid, request.test, request.hints, config.data, ledger, spill)
    if sources.data.source.sha256 != report.source.sha256:
        raise DataError(
            "an ablation needs the table that the run was made from",
            f"{sources.data.source.name} has other contents ({sources.data.source.rows:,} rows, then "
            f"{report.source.rows:,})",
            "Put the file back as it was, name the right one with --data, or fit anew.",
        )
    sources, pictures = decoded(sources, config.data, folder)
    split = seal_tables(sources, config.data.split, seed=config.seed, ledger=ledger)
    if split.record.sealed_sha256 != report.split.sealed_sha256:
        raise DataError(
            "the test rows must be those that the run sealed", "another part of the table would be sealed now",
            "Give the same --test and --valid files, or fit anew with this version of assay.",
        )  # fmt: skip
    texts = text_plan(request, split, sources.schema, Budget(config.budget), ledger)

    def fit(rows: Rows, encode: EncodeConfig) -> Encoder:
        of_texts = {name: getattr(texts.encode, name) for name in EncodeConfig.model_fields if name.startswith("text_")}
        return Encoder.fit(
            rows, sources.schema, encode.model_copy(update=of_texts), Ledger(), frozen=texts.frozen, pictures=pictures,
            words=texts.words,
        )  # fmt: skip

    return joined(split.train, split.valid), fit


def _some(rows: Rows, most: int, seed: int) -> Rows:
    """So many of the rows, drawn at random, as training rows."""
    sample = sample_of(len(rows), most, seed)
    return rows.at(np.arange(len(rows)) if sample is None else sample, "train")


def _identity(report: Report, config: RunConfig) -> str:
    """What the networks that were kept must have in common with those of an ablation that goes on."""
    parts = [report.source.sha256, str(report.split.sealed_sha256), to_yaml(config), __version__, version("torch")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _effects(
    directory: Path, design: Design, folds: Sequence[Fold], asked: Asked
) -> tuple[list[Measured], tuple[Unmeasured, ...]]:
    """What was found of each practice, and why nothing was of others."""
    judged = kept_of(directory).judged if design.computed else None
    made = {name: computed_effect(name, judged, asked) for name in design.computed}
    made |= {off.practice: trained_effect(off, design, folds, asked) for off in design.offs}
    why = {**design.unmeasured, **{name: each for name, each in made.items() if isinstance(each, str)}}
    order = {name: place for place, name in enumerate(PRACTICES)}
    unmeasured = sorted(why.items(), key=lambda item: order[item[0]])
    measured = [made[name] for name in sorted(made, key=order.__getitem__)]
    return (
        [each for each in measured if isinstance(each, Measured)],
        tuple(Unmeasured(practice=name, reason=reason) for name, reason in unmeasured),
    )


def _write(directory: Path, report: Report, made: Ablation) -> None:
    """The document, its page, and the run's page with what practices earned in its ledger; the bundle stays as is."""
    work = Workspace(directory, directory)
    work.write(ABLATION, made.to_json())
    work.write(ABLATION_PAGE, draw_ablation(made))
    work.write(PAGE, draw_page(report, made))
