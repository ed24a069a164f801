"""The practice linter: rules of good training as numbers with limits, held against a training of your own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_HOME = {
    "RULES": "assay.doctor.rules",
    "Diagnosis": "assay.doctor.diagnosis",
    "Finding": "assay.doctor.diagnosis",
    "Rule": "assay.doctor.rules",
    "Subject": "assay.doctor.subject",
    "examine": "assay.doctor.visit",
}

__all__ = ["RULES", "Diagnosis", "Finding", "Rule", "Subject", "examine"]

if TYPE_CHECKING:
    from assay.doctor.diagnosis import Diagnosis, Finding
    from assay.doctor.rules import RULES, Rule
    from assay.doctor.subject import Subject
    from assay.doctor.visit import examine


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that the list of rules needs no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'assay.doctor' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
