"""A Hydra app of your own around assay: its options, your options, and sweeps.

    python examples/hydra_app.py table.data=data.csv table.target=churn
    python examples/hydra_app.py table.data=data.csv table.target=churn model=tabm train.lr=1e-3,3e-3 --multirun
    python examples/hydra_app.py --cfg job

Each run is in Hydra's directory of the job; `register()` also works for configs in YAML of your own, as
`defaults: [assay@fit]`, which puts our options under `fit`.
"""

from __future__ import annotations

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import assay
from assay.compose.hydra_store import register, run_config

register()


@hydra.main(version_base="1.3", config_path=None, config_name="assay")
def main(config: DictConfig) -> float:
    """Fit with what Hydra composed, and give a score back, which a sweeper may look for the best of."""
    options = run_config(config)
    run = assay.fit(
        options.table.data,
        options.table.target,
        config=options,
        out=Path(HydraConfig.get().runtime.output_dir) / "run",
    )
    score = run.scores[0].scores[0]
    print(f"{run.directory}: {score.label} {score.estimate.value:.4f}")
    return float(score.estimate.value or 0.0)


if __name__ == "__main__":
    main()
