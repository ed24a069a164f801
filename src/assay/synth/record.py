"""What is known of synthetic rows: the record behind `quality.json` and its page."""

from __future__ import annotations

from assay.data.schema import Task
from assay.evaluate.record import Estimate
from assay.ledger import Verdict
from assay.records import Record

GUARANTEE = (
    "These rows carry no privacy guarantee: the generator was trained without differential privacy, so there is no "
    "epsilon. Tests that find nothing do not prove that nothing can be found."
)


class ColumnFidelity(Record):
    """How one column's distribution was met.

    `measure` is `KS` (Kolmogorov-Smirnov) for numbers and dates or `TV` (total variation) for categories, 0 where the
    distributions are equal and 1 where they share nothing. `distance` is of synthetic rows from those learned from,
    `held_back` that of held-back real rows from the same: what chance alone makes.
    """

    name: str
    kind: str
    measure: str
    distance: float
    held_back: float
    missing_real: float
    missing_synthetic: float


class PairFidelity(Record):
    """How far columns hang together: associations from 0 to 1 (absolute values), real and synthetic.

    Rank correlation of two numbers, correlation ratio of a number's ranks and a category, Cramer's V of two categories.
    `differences` are synthetic less real, of the columns in `names`; `mean_difference` is of all pairs (absolute),
    `held_back` that of held-back rows from those learned from.
    """

    names: tuple[str, ...] = ()
    differences: tuple[tuple[float, ...], ...] = ()
    mean_difference: float | None = None
    held_back: float | None = None
    pairs: int = 0
    worst: tuple[str, ...] = ()


class Utility(Record):
    """The same quick model trained on real and on synthetic rows, both tested on the held-back real rows.

    `difference` favours synthetic rows where it is above 0, whatever the metric. `reason` says why a number is missing.
    """

    metric: str
    label: str
    model: str
    real: Estimate
    synthetic: Estimate
    difference: Estimate
    p_value: float | None = None
    test: str = ""
    real_rows: int
    synthetic_rows: int
    test_rows: int
    reason: str = ""


class Detection(Record):
    """How well boosted trees tell real rows from synthetic ones (out of fold): AUROC 0.5 where they cannot."""

    auroc: Estimate
    rows: int


class Closeness(Record):
    """How near synthetic rows are to the rows learned from, and held-back real rows to the same.

    `copies` are synthetic rows that equal one of these in every column but ids, counted over all `rows` written;
    `held_back_copies` is the share of held-back rows that do. `closer` is the share of synthetic rows that lie nearer
    to the rows learned from than to as many held-back ones: 0.5 where they were not learned by heart. `median` and
    `low` (the nearest twentieth) are of the distances of synthetic rows to the closest row learned from.
    """

    rows: int
    copies: int
    held_back_copies: float
    median: float | None = None
    held_back_median: float | None = None
    low: float | None = None
    held_back_low: float | None = None
    closer: Estimate
    compared: int


class Membership(Record):
    """An attack that takes rows near a synthetic row for rows learned from: AUROC 0.5 where it cannot tell."""

    auroc: Estimate
    members: int
    others: int


class Generation(Record):
    """How rows were made: the method and why it was chosen, what the generator says of itself, the file of the rows.

    `augments` says that the rows are to be added to the real ones, and were tested so.
    """

    method: str
    chosen: str
    generator: str
    augments: bool
    file: str


class Quality(Record):
    """How good synthetic rows are, and what they give away.

    `rows` were written, `tested_rows` of the same generator stood the tests. `notes` are what the user should know,
    `left_out` columns that are not written, with reasons.
    """

    format: int = 1
    assay: str
    source: str
    sha256: str
    target: str
    task: Task
    made: Generation
    rows: int
    tested_rows: int
    fit_rows: int
    held_back_rows: int
    without_target: int
    seed: int
    left_out: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    utility: Utility
    detection: Detection
    columns: tuple[ColumnFidelity, ...]
    pairs: PairFidelity
    closeness: Closeness
    membership: Membership
    epsilon: float | None = None
    guarantee: str = GUARANTEE
    ledger: tuple[Verdict, ...] = ()
    seconds: dict[str, float] = {}
