"""Which of the encoder's inputs a trained model reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from assay.data.encoding.encode import Encoder
from assay.data.inputs import Input, ViewKind
from assay.data.schema import Kind
from assay.models.ensemble import Ensemble

#: What an input says of an array that no network reads; windows are read by the text encoder anyway.
_UNREAD: Mapping[ViewKind, Mapping[str, object]] = MappingProxyType(
    {"grams": {"grams": 0}, "words": {"words": 0}, "series": {"length": 0}, "pictures": {"picture": None}}
)


def inputs_of(encoder: Encoder, ensemble: Ensemble) -> tuple[Input, ...]:
    """The inputs of the model, of texts only those arrays that it reads."""
    media = encoder.layout.media
    taken = {media[place].name for place in ensemble.reads}
    unread = [view for view in media if view.name not in taken and view.kind in _UNREAD]
    without: dict[str, dict[str, object]] = {}
    for view in unread:
        for item in view.items:
            without.setdefault(item.name, {}).update(_UNREAD[view.kind])
    trimmed = (item.model_copy(update=without.get(item.name, {})) for item in encoder.inputs)
    return tuple(
        item for item in trimmed if item.kind not in (Kind.SEQUENCE, Kind.IMAGE) or item.length or item.picture
    )
