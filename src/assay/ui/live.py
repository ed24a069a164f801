"""The epochs of a run as they are written: whole lines from where the reader has got to."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from assay.records import Record
from assay.train.watch import Epoch

#: Bytes that one answer reads at most; a reader that is behind asks again.
MOST_BYTES = 2_000_000


class Epochs(Record):
    """Epochs after a place in the file. `start` is 0 where the file was begun anew, `end` the place to ask from next.

    more: there is more to be had at once. unreadable: lines that hold no epoch.
    """

    start: int
    end: int
    more: bool
    unreadable: int
    epochs: tuple[Epoch, ...]


def epochs_after(path: Path, start: int) -> Epochs:
    """The epochs from byte `start` of the file on; from its beginning where it has become shorter than that.

    A run that goes on writes its file anew, and a line may be half-written: only what ends with a newline is read.
    """
    try:
        size = path.stat().st_size
        start = start if 0 <= start <= size else 0
        with path.open("rb") as stream:
            stream.seek(start)
            block = stream.read(MOST_BYTES)
    except OSError:  # the run has taken its final name meanwhile
        return Epochs(start=start, end=start, more=False, unreadable=0, epochs=())
    whole = block[: block.rfind(b"\n") + 1]
    found, unreadable = [], 0
    for line in whole.splitlines():
        try:
            found.append(Epoch.model_validate_json(line))
        except ValidationError:
            unreadable += 1
    end = start + len(whole)
    return Epochs(start=start, end=end, more=bool(whole) and end < size, unreadable=unreadable, epochs=tuple(found))
