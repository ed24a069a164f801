"""What a report tells of groups that are named as sensitive: rates, gaps between them, and what chance would give."""

from __future__ import annotations

from typing import Literal

from assay.records import Record


class Share(Record):
    """A rate or a mean of a group with its interval; None where no row of the group counts for it.

    rows: that it is a share or a mean of.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int


class Measure(Record):
    """What is measured of every group. `of` says of which rows it is a share or a mean; others than shares have units.

    is_primary: of those that are shown first.
    """

    id: str
    label: str
    of: str
    is_share: bool
    is_primary: bool = False


class GroupRates(Record):
    """One group: its measures by id, in the order of `Fairness.measures`.

    is_counted: whether it has rows enough for its rates to count in gaps.
    """

    name: str
    rows: int
    is_counted: bool
    rates: dict[str, Share]


class Gap(Record):
    """The largest difference (or the smallest ratio) between two groups in one measure, or the largest of several.

    measure: in which it is largest. low, high: hold for all pairs of groups at once. groups: that were compared.
    by_chance: what groups of these sizes reach in 95 of 100 cases where they do not differ, at the report's confidence.
    p_value: of no difference, Holm-corrected over all gaps of the report.
    """

    id: str
    label: str
    measure: str
    value: float
    low: float
    high: float
    lowest: str
    highest: str
    groups: int
    by_chance: float
    p_value: float
    is_ratio: bool = False


class Attribute(Record):
    """A sensitive column, or several crossed.

    problem: why nothing, or no gap, is measured; empty where all is. is_banded: whether groups are bands of numbers.
    """

    columns: tuple[str, ...]
    groups: tuple[GroupRates, ...] = ()
    gaps: tuple[Gap, ...] = ()
    problem: str = ""
    is_banded: bool = False


class Cuts(Record):
    """Where a column of numbers or dates (seconds since 1970) is cut into bands; a band holds its upper edge."""

    column: str
    edges: tuple[float, ...]
    is_date: bool = False


class Cost(Record):
    """A score with and without the mitigation; the difference is with less without, on the same rows."""

    id: str
    label: str
    higher_is_better: bool
    value: float
    without: float
    difference: float
    low: float | None
    high: float | None
    p_value: float
    test: str


class Mitigation(Record):
    """The same model trained without `train.fairness`: what it scores, and the groups' rates and gaps under it.

    attributes: in the order of those of the model. p-values of costs are Holm-corrected over these costs.
    """

    costs: tuple[Cost, ...]
    attributes: tuple[Attribute, ...]


class GroupThreshold(Record):
    """From which probability on a row of a group is decided positive; `rows` it was chosen by."""

    group: str
    threshold: float
    rows: int


class GroupThresholds(Record):
    """What thresholds of each group's own would give on the rows of the report.

    aim: the share that they make alike. costs: with them and with one threshold for all. attributes: rates and gaps
    with them. The bundle does not use them: it would have to be told the sensitive columns to answer.
    """

    aim: Literal["demographic_parity", "equal_opportunity"]
    thresholds: tuple[GroupThreshold, ...]
    costs: tuple[Cost, ...]
    attributes: tuple[Attribute, ...]


class Fairness(Record):
    """Groups of the rows that the scores are on: one attribute a sensitive column, then their crossings.

    overall: the measures of all rows. least: rows of a group below which it is listed, and left out of gaps.
    mitigation: against the same without, where training did something about groups. thresholds: of groups, where asked.
    decided: how probabilities became decisions.
    method: how intervals and chance were found.
    """

    rows: int
    part: Literal["test", "valid", "new"]
    decided: str
    measures: tuple[Measure, ...]
    overall: dict[str, Share] = {}
    attributes: tuple[Attribute, ...]
    cuts: tuple[Cuts, ...] = ()
    least: int
    confidence: float
    method: str
    mitigation: Mitigation | None = None
    thresholds: GroupThresholds | None = None
