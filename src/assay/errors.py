"""Every error assay raises on purpose.

AssayError                       exit code 1
├── InputError                   exit code 2: what the user gave cannot be used
│   ├── DataError                a file, a table or a column of it
│   ├── ConfigError              an option, a key or a value
│   ├── BundleError              a bundle or run directory
│   ├── CheckpointError          a checkpoint that a run cannot go on from
│   └── MissingExtraError        an optional package (also an ImportError)
├── TerminatedError              exit code 143: the run was asked to end; a checkpoint holds what was done
└── GateError                    exit code 3: a gate said no
    ├── AuditError               the audit, under --strict
    ├── ParityError              the exported model does not agree with the trained one
    ├── BudgetError              the budget cannot hold the work
    └── DivergenceError          training produced numbers that are not finite

An error has three parts: what must hold, what came, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AssayError(Exception):
    """The root: what must hold (`must`), what came instead (`came`), what the reader can do (`do`)."""

    exit_code = 1

    def __init__(self, must: str, came: str, do: str) -> None:
        super().__init__(must, came, do)
        self.must = must
        self.came = came
        self.do = do

    def __str__(self) -> str:
        return f"{self.must}, but {self.came}. {self.do}"


class InputError(AssayError):
    """What the user gave cannot be used."""

    exit_code = 2


class DataError(InputError, ValueError):
    """A file, a table or a column cannot be used as it is."""


class ConfigError(InputError, ValueError):
    """An option, a key or a value is unknown or out of range."""


class BundleError(InputError, ValueError):
    """A bundle or run directory is missing, damaged or of a format this version does not know."""


class CheckpointError(InputError, ValueError):
    """A checkpoint is damaged, or of another version, configuration or data."""


class MissingExtraError(InputError, ImportError):
    """An optional package is needed and not installed."""


class TerminatedError(AssayError):
    """The run was asked to end (SIGTERM); what was done is in a checkpoint."""

    exit_code = 143


class GateError(AssayError):
    """A gate said no: the work was possible, its result must not be used."""

    exit_code = 3


class AuditError(GateError):
    """Serious findings in the data under --strict."""


class ParityError(GateError):
    """The exported model does not give the trained model's answers."""


class BudgetError(GateError):
    """The time or memory allowed cannot hold the work asked for."""


class DivergenceError(GateError):
    """Training produced a loss or a gradient that is not finite."""


def nearest(word: str, known: Iterable[str]) -> str:
    """One sentence that names the nearest valid names: `Did you mean 'income'?`."""
    names = [str(name) for name in known]
    if not names:
        return "There are none to choose from."
    folded = {name.casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {folded[close[0]]!r}?"
    shown = ", ".join(repr(name) for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"Valid names: {shown}{more}."
