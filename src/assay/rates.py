"""`assay.lr_find`: the learning-rate range test of the networks that a fit would train, without the fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.compose.run_config import RunConfig
from assay.data.encoding.encode import Encoder
from assay.data.reading.arrays import as_given
from assay.data.schema import Kind, Task
from assay.errors import ConfigError
from assay.ledger import Ledger
from assay.own import check_model
from assay.records import Record
from assay.report.rate_chart import rate, rate_caption, rate_chart
from assay.report.rate_page import draw_rates
from assay.report.standalone import sheet
from assay.request import Request, resolve, with_table
from assay.search.fit.rates import find_rates
from assay.search.planning.asked import reads_words
from assay.sources import decoded, read_tables, seal_tables
from assay.train.budget import Budget
from assay.train.rate_curve import STEPS, RateCurve
from assay.train.threads import using_threads
from assay.train.watch import Unwatched, Watch
from assay.workspace import scratch

#: What a plot may be written as.
ENDINGS = (".svg", ".html", ".json")


class RateTest(Record):
    """The range tests of the networks of a plan on one table: `curves` in the plan's order; nothing was trained."""

    data: str
    target: str
    rows: int
    """Training rows; validation rows were not looked at, and test rows stayed sealed."""
    seed: int
    curves: tuple[RateCurve, ...]

    @property
    def suggestions(self) -> dict[str, float | None]:
        """The rate suggested for each network by its name; None where the loss fell at no rate."""
        return {curve.network: curve.suggestion for curve in self.curves}

    @property
    def advice(self) -> tuple[str, ...]:
        """What to add to `assay fit` to train with the suggestions, network by network."""
        alone = len(self.curves) == 1
        return tuple(
            f"assay fit ... {'' if alone else f'model.name={curve.network} '}train.lr={rate(curve.suggestion)}"
            for curve in self.curves
            if curve.suggestion is not None
        )

    def svg(self) -> str:
        """The curves as one SVG that stands alone, the rates used and suggested marked."""
        label = f"Learning-rate range tests on {self.data}, target {self.target}"
        return sheet(label, [(f"Range test of {curve.network}", rate_chart(curve)) for curve in self.curves])

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Write the curves to `path`: a picture (.svg), a page with a table (.html), or the numbers (.json).

        Raises:
            ConfigError: the ending is another one, or the folder does not exist.
        """
        final = checked_output(path)
        texts = {".svg": self.svg, ".json": self.to_json, ".html": self._page}
        final.write_text(texts[final.suffix.lower()](), encoding="utf-8")
        return final

    def _page(self) -> str:
        return draw_rates(self.data, self.target, self.rows, self.curves, self.advice)

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg()

    def __str__(self) -> str:
        return "\n".join([*map(rate_caption, self.curves), *self.advice])


def checked_output(path: str | os.PathLike[str]) -> Path:
    """The path, if a plot can be written there.

    Raises:
        ConfigError: its ending is not known, its folder does not exist, or it is a folder itself.
    """
    final = Path(path)
    if final.suffix.lower() not in ENDINGS:
        raise ConfigError(
            f"a range test is written as {', '.join(ENDINGS)}", f"{os.fspath(path)!r} was given", "Change the ending."
        )
    if not final.parent.is_dir():
        came = f"{final.parent} does not"
        raise ConfigError("the folder of the output must exist", came, "Make it, or name another file.")
    if final.is_dir():
        raise ConfigError("the output must be a file", f"{final} is a folder", "Name a file in it.")
    return final


def lr_find(
    data: Any = None,  # noqa: ANN401  # whatever read() takes
    target: Any = None,  # noqa: ANN401  # as for fit
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    kinds: dict[str, Kind] | None = None,
    task: Task | str | None = None,
    positive: str | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    preset: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    config: str | os.PathLike[str] | RunConfig | None = None,
    overrides: Sequence[str] = (),
    steps: int = STEPS,
    low: float | None = None,
    high: float | None = None,
    watch: Watch | None = None,
) -> RateTest:
    """Which learning rates teach the networks that `fit` with the same arguments would train; nothing is trained.

    The table is read, split and encoded as `fit` does it, with the same seed; test rows stay sealed. Each network takes
    `steps` steps on training rows whose rate grows exponentially (Smith, Cyclical Learning Rates, WACV 2017, section
    3.3), until the smoothed loss is more than 4 times its best or not finite. The suggestion is the middle of the
    longest descent (fastai's valley); the steepest fall and a tenth of the rate with the least loss stand beside it.

    Args:
        data, target, test, valid, kinds, task, positive, drop, group, time, weight: as for `fit`.
        preset, seed, config, overrides: as for `fit`; `model.name=mlp` tests one network instead of all of the plan.
        budget: of the fit that is to come, which decides the plan; the test itself does not keep to it.
        steps: from 24 to 2,000.
        low, high: the first and the last rate, as `train.lr` counts them; by default from 1e-6 to 1, or to 10 for SGD.
        watch: an observer.

    Raises:
        InputError: something given cannot be used.
        DivergenceError: a network has no finite loss even at the lowest rates.
    """
    composed = resolve(config, preset, overrides, budget=budget, seed=seed, strict=False)
    given = as_given(data, target, test=test, valid=valid, kinds=kinds)
    said: dict[str, object] = {
        "target": given.target, "kinds": given.kinds, "task": task, "positive": positive, "drop": tuple(drop),
        "group": group, "time": time, "weight": weight,
    }  # fmt: skip
    request = Request(given.data, given.test, given.valid, with_table(composed, said), ())
    check_model(request.config, None)
    return _find(request, steps, low, high, watch or Unwatched())


def _find(request: Request, steps: int, low: float | None, high: float | None, watch: Watch) -> RateTest:
    config, ledger = request.config, Ledger()
    with scratch() as folder, using_threads(config.train.threads):
        spill = config.data.spill(folder)
        watch.stage("read")
        read_in = read_tables(request.data, request.valid, request.test, request.hints, config.data, ledger, spill)
        schema = read_in.schema
        read_in, pictures = decoded(read_in, config.data, folder, watch.steps)
        watch.stage("split")
        split = seal_tables(read_in, config.data.split, seed=config.seed, ledger=ledger)
        watch.stage("encode")
        encoder = Encoder.fit(
            split.train, schema, config.data.encode, ledger, pictures=pictures,
            words=bool(reads_words(config.model, config.ensemble)),
        )  # fmt: skip
        curves = find_rates(
            encoder, split, schema, config.model, config.train, config.ensemble, dealing=config.data.split,
            seed=config.seed, budget=Budget(config.budget), steps=steps, low=low, high=high, watch=watch, spill=spill,
        )  # fmt: skip
    return RateTest(
        data=read_in.data.source.name, target=schema.target, rows=len(split.train), seed=config.seed, curves=curves
    )
