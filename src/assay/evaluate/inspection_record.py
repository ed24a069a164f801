"""The records of a closer look at a model: weak subgroups, mistakes, what data would bring, and what it withstands."""

from __future__ import annotations

from typing import Literal

from assay.evaluate.estimate import Estimate
from assay.evaluate.shown_record import SeenSeries, Thumbnail
from assay.records import Record

SliceVerdict = Literal["weaker", "stronger", "not distinguishable", "too few rows"]


class Slice(Record):
    """A subgroup of the test rows beside the rest of them.

    condition: as it can be typed after --slice. share: of the test rows. loss, loss_rest: mean of the rows. difference:
    of the two. p_value: one-sided, Holm-corrected over the slices of its list. wrong, wrong_rest: shares of wrong
    answers; expected_wrong: what the model's own probabilities let expect. score: the primary metric within the slice,
    None where it is not computed. found_difference: on the rows that found it; None of a slice that the user named.
    """

    condition: str
    rows: int
    share: float
    loss: float | None
    loss_rest: float | None
    difference: Estimate
    p_value: float | None
    wrong: float | None = None
    wrong_rest: float | None = None
    expected_wrong: float | None = None
    score: Estimate | None = None
    score_rest: float | None = None
    found_difference: float | None = None
    verdict: SliceVerdict


#: The kind of parts of a forecast of which it is no news that the later ones are harder.
STEPS_AHEAD = "steps ahead"


class SliceFamily(Record):
    """Subgroups of one kind, such as the days of the week."""

    name: str
    slices: tuple[Slice, ...]


class Slices(Record):
    """Weak subgroups: searched for on rows that nothing was learned from, and tested on the sealed rows.

    loss: what it is called. searched_rows, candidates: what the search looked at; no candidates where there was none,
    which `reason` explains. smallest: rows that a candidate had at least. tested_on: rows.
    families: of a forecast, in place of a search: kinds of parts of the steps that are forecast, which are its rows.
    Their p-values are two-sided, and corrected over all families together.
    """

    loss: str
    metric: str
    searched_rows: int
    candidates: int
    smallest: int
    tested_on: int
    found: tuple[Slice, ...] = ()
    named: tuple[Slice, ...] = ()
    families: tuple[SliceFamily, ...] = ()
    reason: str = ""


class ShownRow(Record):
    """A row with what was answered to it. number: in its source, from 1. part: of the split; `file` where of its own.

    probability: of what was predicted; own: of what was given. missed: prediction less truth, of a number.
    models: how many of the models answered it wrongly, where that is told.
    """

    number: int
    part: Literal["train", "valid", "test"]
    file: str = ""
    given: str
    predicted: str
    probability: float | None = None
    own: float | None = None
    missed: float | None = None
    reason: str
    cells: tuple[str, ...] = ()
    picture: Thumbnail | None = None
    series: SeenSeries | None = None


class ListedRow(Record):
    """A row of the list for relabelling, without its cells."""

    number: int
    part: Literal["train", "valid", "test"]
    file: str = ""
    given: str
    predicted: str
    probability: float | None = None
    reason: str


class MixedUp(Record):
    """A pair of classes that are mixed up; `share` is of the rows of the true class."""

    truth: str
    predicted: str
    rows: int
    share: float


class Mistakes(Record):
    """Rows that were answered wrongly, and rows whose label is likely wrong.

    judged: test rows. wrong: of these; None for numbers. columns: of the cells that are shown. surest: test rows that
    are wrong with most confidence, or by most. hardest: those that all models together do worst. doubted: rows with a
    likely wrong label, of which there are `doubted_count` among `doubted_of`. listed: for relabelling, of
    `listed_of`.
    """

    judged: int
    wrong: int | None
    columns: tuple[str, ...] = ()
    surest: tuple[ShownRow, ...] = ()
    hardest: tuple[ShownRow, ...] = ()
    pairs: tuple[MixedUp, ...] = ()
    doubted: tuple[ShownRow, ...] = ()
    doubted_count: int = 0
    doubted_of: int = 0
    listed: tuple[ListedRow, ...] = ()
    listed_of: int = 0


class CurvePoint(Record):
    """A point of a learning curve: so many training rows, and the error of networks that learned from them."""

    rows: int
    error: Estimate


class LearningCurve(Record):
    """What more training rows bring. error: what it is called; fitted: rows to the error a * rows^-b + c.

    gain: what twice the rows would bring, in the primary metric; positive is better.
    """

    error: str
    model: str
    points: tuple[CurvePoint, ...]
    a: float
    b: float
    c: float
    gain: Estimate
    seconds: float


class CapacityPoint(Record):
    """A point of a capacity curve: networks of one width, and their error on rows learned from and on others.

    parameters: learned numbers of one network.
    """

    width: int
    parameters: int
    train: Estimate
    valid: Estimate


class CapacityCurve(Record):
    """What a wider network brings. error: what it is called.

    rows: learned from. enough: the smallest width that does as well as the best, as far as seeds can tell. is_rising:
    whether the widest is better than all others. words: what that says.
    """

    error: str
    model: str
    rows: int
    points: tuple[CapacityPoint, ...]
    enough: int
    is_rising: bool
    words: str
    seconds: float


class Diagnosis(Record):
    """Training, validation and test losses beside those of the baselines, and what they say in plain words.

    loss: what it is called. trivial, rival: of the baselines on the test rows, the best by its name. gap: test less
    training loss. kept: of what the network gained on training rows over the trivial answer, the share that holds on
    the test rows.
    """

    verdict: Literal["fine", "underfit", "overfit", "noise ceiling", "unknown"]
    words: str
    loss: str
    rows: int
    train: Estimate
    valid: Estimate
    test: Estimate
    gap: Estimate
    trivial: float | None
    rival: str
    rival_loss: float | None
    kept: float | None


class Harm(Record):
    """What a change of the input costs: loss that it adds to a row, and the primary metric with it.

    kind: of change. strength: in words. flipped: share of answers that are other classes; None for numbers.
    """

    kind: str
    strength: str
    columns: int
    loss: Estimate
    score: float | None
    flipped: float | None = None


class Robustness(Record):
    """What changes of the input cost the model, on `rows` test rows; `score` is of the rows as they are."""

    rows: int
    loss: str
    metric: str
    score: float | None
    harms: tuple[Harm, ...]
    columns: tuple[Harm, ...] = ()
    left_out: int = 0


class Inspection(Record):
    """A closer look at the model; each part is None where it was not made."""

    slices: Slices | None = None
    mistakes: Mistakes | None = None
    diagnosis: Diagnosis | None = None
    curve: LearningCurve | None = None
    capacity: CapacityCurve | None = None
    robustness: Robustness | None = None
