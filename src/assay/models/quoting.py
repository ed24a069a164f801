"""How errors speak of what a user's own code gave or said."""

from __future__ import annotations

import re

from torch import Tensor

#: Characters of a message that are quoted.
_MOST = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def quoted(error: Exception) -> str:
    """The message of an exception in one line, without colours, cut to a readable length."""
    message = " ".join(_COLOURS.sub("", str(error)).split())
    return message[:_MOST] or "no message"


def form(value: object) -> str:
    """What something is, in a few words: `a float32 tensor of shape (32, 5)`."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {form(part)}" for name, part in value.items()) or "nothing"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
