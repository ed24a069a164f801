"""The end of a synthesis on a terminal."""

from __future__ import annotations

from rich.console import Console

from assay.report import synth_words as words
from assay.report.terminal import say
from assay.report.words import counted
from assay.synth.record import Quality


def summarise(quality: Quality, console: Console) -> None:
    """Print what was made and what the tests found; on anything but a terminal it is plain text."""
    for label, text in (
        ("Made", words.headline(quality)),
        ("Method", f"{quality.made.generator} ({quality.made.chosen})"),
        ("Use", words.usefulness(quality)),
        ("Likeness", words.likeness(quality)),
        ("Copies", words.copying(quality)),
        ("Members", words.telling(quality)),
        ("Warning", quality.guarantee),
    ):
        say(console, label, text, "yellow" if label == "Warning" else "")
    for note in quality.notes:
        say(console, "Note", note)
    if quality.without_target:
        say(console, "Note", f"{counted(quality.without_target, 'row')} without a target were left out")
    if quality.tested_rows > quality.rows:
        more = f"the tests used {quality.tested_rows:,} rows of the same generator, for {quality.rows:,} are few"
        say(console, "Note", more)
    console.print()
