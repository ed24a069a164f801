"""Importing is light, and answering rows needs no training package."""

import json
import subprocess
import sys

TRAINING = {"torch", "lightning", "lightning_fabric", "hydra", "omegaconf", "optuna", "sklearn", "scipy", "onnx"}
HEAVY = TRAINING | {"onnxscript", "onnxruntime", "polars", "numpy", "pandas", "pyarrow", "pydantic", "rich", "typer"}


def modules_after(code: str, *arguments: str) -> set[str]:
    """Every module a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_assay_is_light():
    loaded = modules_after("import assay")
    assert len(loaded) < 150
    assert not loaded & HEAVY


def test_importing_assay_sets_up_no_logging_and_no_environment():
    modules_after(
        "import logging, os\nbefore = dict(os.environ)\nimport assay\n"
        "assert dict(os.environ) == before\nassert not logging.getLogger().handlers"
    )


def test_importing_the_loader_loads_no_training_package():
    assert not modules_after("import assay.bundle.load") & TRAINING


def test_importing_the_command_line_loads_no_training_package():
    assert not modules_after("import assay.cli") & (TRAINING | {"polars", "onnxruntime"})


def test_predicting_loads_no_training_package(small_run, adult_small, tmp_path):
    rows = tmp_path / "rows.parquet"
    adult_small.drop("income").head(5).write_parquet(rows)
    loaded = modules_after(
        "import sys, polars, assay\n"
        "answers = assay.load(sys.argv[1]).predict(polars.read_parquet(sys.argv[2]))\n"
        "assert answers.height == 5",
        str(small_run.directory),
        str(rows),
    )
    assert "onnxruntime" in loaded
    assert not loaded & TRAINING
