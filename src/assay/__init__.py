"""assay: deep networks, trained by the book, with proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from assay.version import __version__

_HOME = {
    "AssayClassifier": "assay.estimators",
    "AssayError": "assay.errors",
    "AssayRegressor": "assay.estimators",
    "Bundle": "assay.bundle.load",
    "Report": "assay.evaluate.record",
    "Run": "assay.runs",
    "ablate": "assay.ablation",
    "describe_inputs": "assay.own",
    "fit": "assay.run",
    "load": "assay.bundle.load",
    "lr_find": "assay.rates",
    "synthesise": "assay.synthesis",
    "tune": "assay.tuning.tune",
}

__all__ = [
    "AssayClassifier",
    "AssayError",
    "AssayRegressor",
    "Bundle",
    "Report",
    "Run",
    "__version__",
    "ablate",
    "describe_inputs",
    "fit",
    "load",
    "lr_find",
    "synthesise",
    "tune",
]

if TYPE_CHECKING:
    from assay.ablation import ablate
    from assay.bundle.load import Bundle, load
    from assay.errors import AssayError
    from assay.estimators import AssayClassifier, AssayRegressor
    from assay.evaluate.record import Report
    from assay.own import describe_inputs
    from assay.rates import lr_find
    from assay.run import fit
    from assay.runs import Run
    from assay.synthesis import synthesise
    from assay.tuning.tune import tune


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that `import assay` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
