"""Calibration maps, thresholds and costs are in the file, which answers and decides as the network and the rule do."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from assay.bundle.export import export
from assay.bundle.load import TOLERANCE, load
from assay.bundle.manifest import MANIFEST, MODEL, PROBE, WEIGHTS, Manifest
from assay.data.inputs import feed
from assay.errors import BundleError
from assay.evaluate.calibration.calibrate import class_answers
from assay.models.calibration import CalibrationMap

OF_TWO = {
    "vector": CalibrationMap("vector", (0.6,), (0.6,), (0.4,)),
    "beta": CalibrationMap("beta", (0.5,), (2.5,), (-0.2,)),
    "isotonic": CalibrationMap("isotonic", knots=(-3.0, -0.5, -0.4, 4.0), heights=(-2.0, -1.5, -0.8, 1.5)),
}
OF_THREE = {
    "vector": CalibrationMap("vector", (0.6, 1.0, 3.0), (), (0.1, -0.5, 0.0)),
    "beta": CalibrationMap("beta", (0.5, 1.0, 2.0), (1.5, 1.0, 0.1), (0.1, -0.2, 0.0)),
    "isotonic": OF_TWO["isotonic"],
}
COSTS = ((0.0, 1.0, 4.0), (1.0, 0.0, 1.0), (9.0, 2.0, 0.0))


def saved(made, directory, rewrite, **changes):
    """The bundle anew with another head, and its logits on the frame it was made of."""
    shutil.copytree(made.directory, directory)
    head = replace(made.model.head, **changes)
    parity, _ = export(made.model.encoder, made.model.ensemble, head, made.schema, made.frame.tail(50), directory)
    rewrite(directory, thresholds=head.thresholds or (), costs=head.costs)
    return load(directory, threads=1), head, parity


def from_file(bundle, frame):
    """What the file alone decides, as class positions, and its probabilities."""
    names = [bundle.manifest.output_prediction, bundle.manifest.output_probability]
    words, stated = bundle._session.run(names, feed(frame, bundle.manifest.inputs))
    return np.array([bundle.manifest.classes.index(word) for word in words]), stated


@pytest.mark.parametrize("kind", OF_TWO)
def test_two_classes(binary, tmp_path, rewrite, kind):
    bundle, head, parity = saved(binary, tmp_path / "bundle", rewrite, calibration=OF_TWO[kind], thresholds=(0.3125,))
    assert parity.difference <= TOLERANCE
    assert bundle.verify() <= TOLERANCE
    expected = class_answers(head, binary.model.outputs(binary.frame))
    stated = bundle.answer(binary.frame)
    np.testing.assert_allclose(stated, expected, atol=1e-5)
    decided, _ = from_file(bundle, binary.frame)
    assert (decided == (stated[:, 1] >= 0.3125)).all()
    assert (decided != (stated[:, 1] >= 0.5)).any()
    assert (bundle.predict(binary.frame)["prediction"].to_numpy() == (decided == 1)).all()


@pytest.mark.parametrize("kind", OF_THREE)
def test_many_classes_and_costs(multiclass, tmp_path, rewrite, kind):
    bundle, head, parity = saved(multiclass, tmp_path / "bundle", rewrite, calibration=OF_THREE[kind], costs=COSTS)
    assert parity.difference <= TOLERANCE
    expected = class_answers(head, multiclass.model.outputs(multiclass.frame))
    stated = bundle.answer(multiclass.frame)
    np.testing.assert_allclose(stated, expected, atol=1e-5)
    decided, _ = from_file(bundle, multiclass.frame)
    assert (decided == head.rule(stated)).all()
    assert (decided != stated.argmax(axis=1)).any()
    names = np.array(bundle.manifest.classes)[decided].astype(int)
    assert (bundle.predict(multiclass.frame)["prediction"].to_numpy() == names).all()


def test_without_a_threshold_a_bundle_decides_from_one_half_on(binary):
    bundle = binary.load()
    assert bundle.manifest.thresholds == ()
    stated = np.array([[0.5, 0.5], [0.6, 0.4]], np.float32)
    assert bundle.decide(stated).tolist() == [1, 0]


@pytest.mark.parametrize("wrong", [{"thresholds": (0.1, 0.2)}, {"costs": COSTS}, {"costs": ((0.0, 1.0), (1.0,))}])
def test_decisions_of_another_task_are_refused(copy, rewrite, wrong):
    rewrite(copy, **wrong)
    with pytest.raises(BundleError, match="must take the inputs"):
        load(copy)


def test_a_manifest_from_before_costs_is_read(binary, tmp_path):
    text = (binary.directory / MANIFEST).read_text(encoding="utf-8")
    assert '"costs"' in text
    lines = [line for line in text.splitlines() if '"costs"' not in line]
    found = Manifest.from_json("\n".join(lines), "made")
    assert found.costs == ()
    assert {MODEL, PROBE, WEIGHTS} <= found.files.keys()
