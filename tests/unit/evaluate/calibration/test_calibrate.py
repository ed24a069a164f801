"""Temperature scaling and the reliability diagram."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from assay.evaluate.calibration.calibrate import (
    apply_temperature,
    class_answers,
    describe_calibration,
    fit_temperature,
    mixed_probabilities,
    reliability_bins,
)
from assay.evaluate.intervals import wilson
from assay.evaluate.plain_metrics import ece, log_loss
from assay.ledger import Ledger, Outcome
from assay.models.answer import Head
from assay.models.calibration import CalibrationChoice, CalibrationMap, KindLoss


def honest(seed, rows=4000, classes=3, members=1):
    """Logits whose softmax is the truth's own distribution."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (members, rows, classes))
    target = np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=2).mean(axis=0)])
    return logits, target


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_built_in_is_found(factor):
    logits, target = honest(0)
    assert fit_temperature(logits * factor, target) == pytest.approx(factor, rel=0.08)


def test_members_are_averaged_after_the_softmax():
    logits, _ = honest(1, rows=50, members=3)
    expected = softmax(logits / 2.5, axis=2).mean(axis=0)
    assert apply_temperature(logits, 2.5) == pytest.approx(expected, abs=1e-15)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), temperature=st.floats(0.05, 20))
def test_one_member_keeps_its_decisions_at_every_temperature(seed, temperature):
    logits = np.random.default_rng(seed).normal(size=(1, 20, 4))
    probabilities = apply_temperature(logits, temperature)
    assert (probabilities.argmax(axis=1) == logits[0].argmax(axis=1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(20))


def test_huge_logits_overflow_nowhere():
    probabilities = apply_temperature(np.array([[[1e6, -1e6], [0.0, 1e4]]], np.float32), 0.05)
    assert probabilities.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_scaling_never_raises_the_loss_it_was_fitted_on():
    logits, target = honest(2, rows=60)
    temperature = fit_temperature(logits, target)
    assert log_loss(target, apply_temperature(logits, temperature)) <= log_loss(target, apply_temperature(logits, 1.0))


def test_no_rows_and_equal_logits_leave_the_temperature_at_one():
    assert fit_temperature(np.empty((1, 0, 2)), np.empty(0, int)) == 1.0
    assert fit_temperature(np.zeros((1, 5, 2)), np.array([0, 1, 0, 1, 1])) == 1.0
    assert fit_temperature(np.ones((1, 2, 2)), np.array([0, 1]), np.zeros(2)) == 1.0


def test_weights_are_repeated_rows():
    logits, target = honest(3, rows=200)
    logits *= 3
    times = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [66, 68, 66]))  # 1 in the mean
    weighted = fit_temperature(logits, target, times.astype(float))
    assert weighted == pytest.approx(
        fit_temperature(np.repeat(logits, times, axis=1), np.repeat(target, times)), rel=1e-3
    )


def test_reliability_bins_add_up_to_the_ece_and_have_wilson_intervals():
    rng = np.random.default_rng(0)
    stated = rng.random(1000)
    truth = (rng.random(1000) < stated**2).astype(int)
    bins = reliability_bins(truth, np.stack([1 - stated, stated], axis=1))
    assert sum(b.rows for b in bins) == 1000
    gaps = sum(b.rows * abs(b.confidence - b.frequency.value) for b in bins) / 1000
    assert gaps == pytest.approx(ece(truth, stated))
    first = bins[0]
    expected = wilson(first.frequency.value, first.rows, 0.95)
    assert (first.frequency.low, first.frequency.high) == pytest.approx(expected)


def test_weighted_bins_count_effective_rows():
    truth, stated = np.array([1, 0, 1]), np.tile([0.1, 0.9], (3, 1))
    (found,) = reliability_bins(truth, stated, np.array([2.0, 1.0, 1.0]))
    assert found.rows == 3
    assert found.frequency.value == pytest.approx(0.75)
    assert (found.frequency.low, found.frequency.high) == pytest.approx(wilson(0.75, 16 / 6, 0.95))
    assert found.frequency.method == "Wilson, effective rows"


def test_no_rows_make_no_bins():
    assert reliability_bins(np.empty(0, int), np.empty((0, 2))) == ()


def test_calibration_is_described_and_written_to_the_ledger():
    logits, target = honest(4)
    before, after, ledger = apply_temperature(logits * 4, 1.0), apply_temperature(logits * 4, 4.0), Ledger()
    losses = (KindLoss("none", 0.9, 0.1), KindLoss("temperature", 0.8, 0.0))
    choice = CalibrationChoice("temperature", losses, 99, "temperature has the least log loss")
    record = describe_calibration(choice, 4.0, target, before, after, None, ledger=ledger)
    assert record.ece_after < 0.03 < 0.1 < record.ece_before
    assert (ledger["evaluate.calibration"].outcome, ledger["evaluate.calibration"].value) == (Outcome.APPLIED, 4.0)
    assert ledger["evaluate.calibration"].reason.startswith("temperature 4.00: temperature has the least log loss; on")
    assert [(one.kind, one.loss, one.error) for one in record.losses] == [("none", 0.9, 0.1), ("temperature", 0.8, 0.0)]
    worse = Ledger()
    describe_calibration(choice, 4.0, target, after, before, None, ledger=worse)
    assert worse["evaluate.calibration"].outcome is Outcome.WARNED


def test_a_kind_that_few_rows_were_there_for_is_a_warning():
    logits, target = honest(4)
    stated, ledger = apply_temperature(logits, 1.0), Ledger()
    choice = CalibrationChoice("beta", (), 9, "beta was asked for, though 9 validation rows are few", is_doubtful=True)
    record = describe_calibration(choice, 1.0, target, stated, stated, None, ledger=ledger)
    assert (record.kind, ledger["evaluate.calibration"].outcome) == ("beta", Outcome.WARNED)
    assert ledger["evaluate.calibration"].reason.startswith("beta: beta was asked for")


def test_answers_of_a_head_go_through_its_map():
    logits, _ = honest(5, rows=50, classes=2, members=2)
    found = CalibrationMap("vector", (0.5,), (0.5,), (1.0,))
    head = Head((0.5, 0.5), (1.0, 2.0))
    plain = class_answers(head, logits)
    assert plain == pytest.approx(mixed_probabilities(logits, (1.0, 2.0), (0.5, 0.5)))
    assert class_answers(replace(head, calibration=found), logits) == pytest.approx(found.apply(plain))
