"""Rules of decision."""

import numpy as np
from sklearn.metrics import confusion_matrix

from assay.data.decision import LIKELIEST, Rule


def test_the_likeliest_and_of_two_the_positive_from_one_half_on():
    assert LIKELIEST(np.array([[0.5, 0.5], [0.51, 0.49]])).tolist() == [1, 0]
    assert LIKELIEST(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])).tolist() == [1, 0]


def test_a_threshold_counts_in_the_precision_of_the_probabilities():
    rows = np.array([[0.7, 0.3], [0.71, 0.29]], np.float32)
    assert Rule((0.3,))(rows).tolist() == [1, 0]
    assert Rule((0.3,)).threshold == 0.3
    assert Rule().threshold == 0.5


def test_the_class_of_the_least_expected_cost_is_decided():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([1, 1, 1], 500)
    costs = ((0.0, 1.0, 5.0), (2.0, 0.0, 1.0), (9.0, 1.0, 0.0))
    chosen = Rule(costs=costs)(rows)
    expected = [min(range(3), key=lambda k: sum(p[j] * costs[j][k] for j in range(3))) for p in rows]
    assert chosen.tolist() == expected
    # On rows drawn from the probabilities it costs less than the likeliest class.
    truth = np.array([rng.choice(3, p=p) for p in rows])
    paid = [(confusion_matrix(truth, rule(rows)) * np.array(costs)).sum() for rule in (Rule(costs=costs), LIKELIEST)]
    assert paid[0] < paid[1]
