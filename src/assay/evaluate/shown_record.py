"""The records of rows that are shown: small pictures, short series, and cells in words."""

from __future__ import annotations

from assay.records import Record


class Thumbnail(Record):
    """A small picture as training saw it: JPEG in base64, what it shows, and its size in pixels."""

    label: str
    jpeg: str
    width: int
    height: int


class SeenSeries(Record):
    """A series before and after the changes of training, None where nothing was measured; `after` is empty for none."""

    label: str
    channel: str
    before: tuple[float | None, ...]
    after: tuple[float | None, ...] = ()
