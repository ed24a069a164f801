"""The command line: one thin command a verb. Nothing heavy is imported before a verb runs."""

from assay.cli.app import command_line, main

__all__ = ["command_line", "main"]
