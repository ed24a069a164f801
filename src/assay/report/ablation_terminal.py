"""An ablation on a terminal: a sentence, a table, and how it was measured."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from assay.evaluate.earned import Ablation
from assay.report import ablation_words as words
from assay.report.words import counted, plain


def print_ablation(made: Ablation, console: Console, *, practices: bool = False) -> None:
    """Print what practices earned.

    practices: whether those that were asked for by name, so that each that was not measured has its reason.
    """
    console.print(f"{made.run}: {plain(words.headline(made))}")
    if made.effects:
        console.print()
        console.print(Padding(effects_table(made), (0, 0, 0, 1)), soft_wrap=False)
        others = dict.fromkeys(effect.label for effect in made.effects if effect.label != made.label)
        if others:
            console.print(f" * in {', '.join(others)}")
        console.print()
    for line in (words.how(made), *(f"{note[:1].upper()}{note[1:]}." for note in made.notes)):
        console.print(plain(line))
    if made.unmeasured and (practices or not made.effects):
        for each in made.unmeasured:
            console.print(f"not measured: {each.practice}, for {each.reason}")
    elif made.unmeasured:
        many = counted(len(made.unmeasured), "practice")
        console.print(f"{plain(many)} that the run applied cannot be switched off; the page says why.")
    if not made.complete:
        console.print("The time was over before everything was trained: run the same command again to go on.")


def effects_table(made: Ablation) -> Table:
    """Practices down, what gains most first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("practice", no_wrap=True)
    for heading in ("gain", "p", f"in\n{made.proper_label}", "costs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=len("measurable"))
    for effect in made.effects:
        own = "" if effect.label == made.label else "*"
        is_sure = effect.verdict in ("helps", "hurts", "needed")
        table.add_row(
            Text(effect.practice, style="bold" if is_sure else ""),
            plain(words.gain(effect.gain)) + own,
            plain(words.p_of(effect)),
            "-" if effect.proper is None else plain(words.signed(effect.proper.value, words.places(effect.proper))),
            plain(words.cost(effect)),
            words.verdict(effect),
        )  # fmt: skip
    return table
