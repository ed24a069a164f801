"""The estimators keep scikit-learn's own contract: every check of it, none expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from assay import AssayClassifier, AssayRegressor

SMALL = {"epochs": 12, "width": 32, "layers": 1, "number_bins": 8, "learning_rate": 1e-2}


@parametrize_with_checks([AssayClassifier(**SMALL), AssayRegressor(**SMALL)])
def test_scikit_learn_agrees(estimator, check):
    check(estimator)
