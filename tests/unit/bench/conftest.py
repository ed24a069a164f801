"""A small comparison on disk, and results as if its runs had been done."""

import pytest

from assay.bench.result import CellResult
from assay.bench.run import plan
from assay.evaluate.record import Estimate, Score


@pytest.fixture
def bench_file(tmp_path):
    """Two tables, two configurations, two seeds: eight runs."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))

    def write(text=None, **lines):
        path = tmp_path / "try.yaml"
        parts = {
            "data": "[{name: one, path: one.csv, target: y}, {name: two, path: two.csv, target: y, task: binary}]",
            "configs": "[{name: plain}, {name: wide, budget: 30s, overrides: [model=mlp, model.width=256]}]",
            "seeds": "[0, 1]",
            "out": str(tmp_path / "out"),
        }
        parts |= lines
        path.write_text(text or "".join(f"{key}: {value}\n" for key, value in parts.items() if value is not None))
        return path

    return write


def done(cell, value, *, low=None, high=None):
    """The result of a cell as if it had run."""
    score = Score(
        name="auroc", label="AUROC", higher_is_better=True,
        estimate=Estimate(value=value, low=low, high=high, method="made up"),
    )  # fmt: skip
    return CellResult(
        request=cell.request, data=cell.data, config=cell.config, seed=cell.seed, status="done", task="binary",
        primary="auroc", scores=(score,), rows=5, seconds=12.5, predict_us=40.0, bytes=2_000_000, chosen="an mlp",
    )  # fmt: skip


@pytest.fixture
def finished(bench_file):
    """The plan of a comparison whose runs are all done but one, which failed."""
    made = plan(bench_file())
    for place, cell in enumerate(made.grid.cells):
        result = done(cell, 0.8 + place / 100, low=0.7, high=0.95)
        if cell.name == "two, wide, seed 1":
            result = result.model_copy(update={"status": "failed", "reason": "it <broke>, & badly", "scores": ()})
        result.write(cell.result(made.out))
    (made.out / "bench.json").write_text(made.config.to_json())
    return plan(bench_file())
