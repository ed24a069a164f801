"""Distillation: when a student is not exported."""

import pytest

from assay.search.ensemble.distill import few_rows_seen
from assay.train.loop import Trained


@pytest.mark.parametrize(
    ("steps", "limited", "told"), [(3, True, "would have seen 768 of 1,000 rows"), (4, True, ""), (3, False, "")]
)
def test_a_student_that_had_no_time_for_its_rows_is_not_exported(steps, limited, told):
    trained = Trained(
        epochs=(), best_epochs=(1,), best_losses=(1.0,), lost=(), steps=steps, horizon=steps, batch=256, threads=1,
        precision="float32", seconds=1.0, stopped="", clipped=0.0, skipped=0, interrupted=False,
        limited_by_budget=limited,
    )  # fmt: skip
    found = few_rows_seen(trained, 1000)
    assert told in found
    assert bool(found) == bool(told)
