"""The command line: one thin command a verb. Nothing heavy is imported before a verb runs."""

from assay.cli.app import main

__all__ = ["main"]
