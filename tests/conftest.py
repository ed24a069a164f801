"""What every test stands on: no test leaves anything behind, and one small real run is made once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings

import assay

#: Options of one small network: what is tested is not what the plan would choose.
ONE = ["model.name=mlp", "model.members=4", "ensemble.folds=1"]
ADULT = Path(__file__).parents[1] / "examples" / "adult"

# What pytest, scikit-learn, torch, Lightning and Keras set while they run or are first imported.
_NOT_OURS = ("PYTEST_", "KMP_", "TORCHINDUCTOR_", "PYTORCH_NVML_BASED_CUDA_CHECK", "TF_FORCE_GPU_ALLOW_GROWTH")
_PATIENCE = 2.0  # seconds a thread has to end by itself

# A busy machine is no failure; and what continuous integration finds, it finds again.
settings.register_profile("assay", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("assay")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Fail a test that leaks an environment variable or a thread that would keep the process alive."""
    variables, threads = _environment(), set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    for thread in left:
        thread.join(_PATIENCE)
    alive = [thread.name for thread in left if thread.is_alive()]
    now = _environment()
    changed = {name for name in variables.keys() | now.keys() if variables.get(name) != now.get(name)}
    assert not alive, f"the test left threads running: {alive}"
    assert not changed, f"the test left environment variables changed: {sorted(changed)}"


@pytest.fixture(scope="session")
def adult_train() -> Path:
    """The path of the official training part of Adult: 32,561 rows."""
    return ADULT / "train.csv.gz"


@pytest.fixture(scope="session")
def adult_small(adult_train) -> pl.DataFrame:
    """600 rows of Adult in random order with the official share of high incomes: 144 of 600."""
    whole = pl.read_csv(adult_train)
    parts = [
        whole.filter(pl.col("income") == income).sample(rows, seed=0, shuffle=True)
        for income, rows in (("<=50K", 456), (">50K", 144))
    ]
    return pl.concat(parts).sample(fraction=1.0, seed=0, shuffle=True)


@pytest.fixture(scope="session")
def small_run(adult_small, tmp_path_factory) -> assay.Run:
    """A finished run on `adult_small`, made once a session; nothing may change its directory."""
    out = tmp_path_factory.mktemp("small") / "run"
    return assay.fit(
        adult_small, target="income", out=out, overrides=[*ONE, "train.epochs=8", "evaluate.bootstrap=100"]
    )


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    """Keras on the torch backend; its own configuration file goes to a folder of the tests."""
    before = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path_factory.mktemp("keras"))}
    try:
        return pytest.importorskip("keras")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
