"""Pieces of the Markdown documents: the user's text made harmless, lists, tables, and blanks that people fill in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from assay.report.words import listed, short, visible

#: What stands before each thing that only a person can say.
BLANK = "_To be filled in by the owner:_"

# What starts or ends a Markdown or HTML construct anywhere in a line; an underscore inside a word does not.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~&]|(?<!\w)_|_(?!\w))")


def safe(text: str, limit: int = 400) -> str:
    """Text of the user's, cut to `limit` characters, in which nothing is Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", short(text, limit))


def names(given: Iterable[str]) -> str:
    """Names in one line, or `none`."""
    return safe(listed(given, 40), 2400) or "none"


def code(text: str) -> str:
    """Text as code, in a fence of backticks longer than any in it."""
    shown = visible(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, cells as they are."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
