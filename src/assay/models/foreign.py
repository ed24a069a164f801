"""Modules of the user's own behind the interface of a network: one member, a plain matrix in, logits out.

Shape legend: n rows, N numbers, X extras, C category columns, F features, M members; pictures of D channels, H by W.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from assay.data.encoding.encode import Layout
from assay.data.encoding.names import EncodedNames
from assay.errors import AssayError, ConfigError
from assay.models.blocks import MemberEmbedding
from assay.models.keras_module import KerasModule, steady_name
from assay.models.network import Network
from assay.models.quoting import form, quoted

#: A category column with more codes than this becomes a learned vector instead of one column a code.
ONE_HOT_CODES, VECTOR_LENGTH = 32, 8
#: The matrices a module can ask for by the names of its arguments.
PARTS = ("numbers", "extras", "codes", "pictures")
#: Pictures of one call without gradients.
_PICTURES_AT_ONCE = 64


class FeatureMatrix(nn.Module):
    """All inputs of a row as one plain vector: numbers, extras, one-hot categories, vectors of wide categories.

    Shapes: numbers (n, N), extras (n, X), codes (n, C) to (n, F) float32.
    """

    column: Tensor
    code: Tensor
    wide: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        sizes = layout.vocabularies
        slots = [(c, code) for c, size in enumerate(sizes) if size <= ONE_HOT_CODES for code in range(size)]
        wide = [c for c, size in enumerate(sizes) if size > ONE_HOT_CODES]
        self.vectors = MemberEmbedding(1, tuple(sizes[c] for c in wide), VECTOR_LENGTH) if wide else None
        self.register_buffer("column", torch.tensor([c for c, _ in slots], dtype=torch.int64))
        self.register_buffer("code", torch.tensor([code for _, code in slots], dtype=torch.int64))
        self.register_buffer("wide", torch.tensor(wide, dtype=torch.int64))
        self.width = layout.numbers + layout.extras + len(slots) + VECTOR_LENGTH * len(wide)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        parts = [numbers, extras]
        if len(self.column):
            parts.append((codes.index_select(1, self.column) == self.code).to(numbers.dtype))
        if self.vectors is not None:
            parts.append(self.vectors(codes.index_select(1, self.wide))[0])
        return torch.cat(parts, dim=1)


def is_of_pictures(layout: Layout) -> bool:
    """Whether rows are a picture each and nothing else."""
    beside = layout.numbers + layout.extras + len(layout.vocabularies)
    return bool(layout.places("pictures")) and not beside


def feature_names(names: EncodedNames) -> tuple[str, ...]:
    """What each column of a `FeatureMatrix` is: `age`, `colour = red`, `colour is unknown`, `city: vector 1`."""
    narrow = [(name, codes) for name, codes in names.codes if len(codes) <= ONE_HOT_CODES]
    wide = [name for name, codes in names.codes if len(codes) > ONE_HOT_CODES]
    hot = [f"{name} {'is' if place < 2 else '='} {code}" for name, codes in narrow for place, code in enumerate(codes)]
    vectors = [f"{name}: vector {place + 1}" for name in wide for place in range(VECTOR_LENGTH)]
    return (*names.numbers, *names.extras, *hot, *vectors)


class ForeignNetwork(Network):
    """A module of the user's own as a network of one member; its parameters are trained where they are.

    The module takes the matrix of features, or the arrays whose names its `forward` has; of rows that are a picture
    each and nothing else it takes the pictures, float32 (n, D, H, W) of 0 to 1. It answers with logits (n, classes),
    one logit (n, 1) or (n,) of two classes, or values (n, 1) or (n,); of two classes the first gets the logit 0, which
    gives the same probabilities. Of labels, of which a row has any number, there is a logit each, (n, labels).

    takes: names of the arrays it asks for; empty for the matrix of features, or for pictures alone.
    single: whether it answers with one number a row; None until it has answered rows.
    """

    def __init__(
        self, module: nn.Module, layout: Layout, outputs: int, takes: Sequence[str] = (), *, has_labels: bool = False
    ) -> None:
        super().__init__(members=1)
        self.only_pictures = not takes and is_of_pictures(layout)
        self.features = None if takes or self.only_pictures else FeatureMatrix(layout)
        if self.only_pictures or "pictures" in takes:
            self.reads, self.rows_at_once = layout.places("pictures"), _PICTURES_AT_ONCE
        self.module = module
        self.layout, self.outputs, self.takes = layout, outputs, tuple(takes)
        self.has_labels = has_labels
        self.single: bool | None = True if outputs == 1 else False if has_labels else None
        self._places: list[tuple[nn.Module, str, Tensor]] = []

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute; see `Network` for shapes; media[0] are the pictures, where it reads them.

        Raises:
            ConfigError: the module raised, or its answer is not of the shape it must have.
        """
        if torch.compiler.is_exporting():  # shapes are symbols here, and what is raised is for the exporter
            return self._logits(self.ask(self.inputs(numbers, extras, codes, *media)))
        given = self.inputs(numbers, extras, codes, *media)
        try:
            answer = self.ask(given)
        except AssayError:
            raise
        except Exception as error:
            raise raised("forward", given, error) from error
        self._check_shape(answer, len(numbers))
        if self.training:
            self.settle_buffers()
        return self._logits(answer)

    def inputs(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor | dict[str, Tensor]:
        """What the module is given: the matrix of features, the pictures, or the arrays it asks for by name."""
        pictures = [one.float() / 255.0 for one in media]
        if self.only_pictures:
            return pictures[0]
        if self.features is not None:
            matrix: Tensor = self.features(numbers, extras, codes)
            return matrix
        parts = zip(PARTS, (numbers, extras, codes.long(), *pictures), strict=False)
        return {name: part for name, part in parts if name in self.takes}

    def ask(self, given: Tensor | dict[str, Tensor]) -> Tensor:
        """The module's answer as it is."""
        answer: Tensor = self.module(**given) if isinstance(given, dict) else self.module(given)
        return answer

    def _logits(self, answer: Tensor) -> Tensor:
        """The answer as (1, n, outputs) float32."""
        answer = answer if answer.dtype == torch.float64 else answer.float()
        if not self.single:
            return answer.reshape(1, -1, self.outputs)
        values = answer.reshape(1, -1, 1)
        return values if self.outputs == 1 else torch.cat([torch.zeros_like(values), values], dim=2)

    def _check_shape(self, answer: object, rows: int) -> None:
        """Take note of the form of the first answer, and refuse one of another form."""
        if isinstance(answer, Tensor) and answer.is_floating_point():
            shape = tuple(answer.shape)
            if self.single is None and rows > 1 and shape in ((rows,), (rows, 1), (rows, self.outputs)):
                self.single = self.outputs == 2 and shape != (rows, 2)
            columns = 1 if self.single else self.outputs
            plain = (rows, columns) if columns > 1 else (rows, 1)
            squeezed = () if columns == 1 else (columns,)  # what `.squeeze()` makes of one row
            if shape == plain or (columns == 1 and shape == (rows,)) or (rows == 1 and shape == squeezed):
                return
        raise ConfigError(
            f"the model must return {self.wanted}",
            f"for {rows} rows it returned {form(answer)}",
            f"Let its last layer have {'one output' if self.outputs == 1 else f'{self.outputs} outputs'}, without an "
            "activation; `assay.describe_inputs` says what the model is given and has to return.",
        )

    @property
    def wanted(self) -> str:
        """The answer it must give, in words."""
        if self.outputs == 1:
            return "one number a row, of shape (rows, 1) or (rows,)"
        if self.has_labels:
            return f"a logit for each of the {self.outputs} labels, of shape (rows, {self.outputs})"
        one = ", or one logit, of shape (rows, 1) or (rows,)" if self.outputs == 2 else ""
        return f"a logit for each of the {self.outputs} classes, of shape (rows, {self.outputs}){one}"

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw the vectors of wide categories; the module keeps the weights it came with."""
        if self.features is not None and self.features.vectors is not None:
            self.features.vectors.reset(generators)

    def lasting_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """See `Network`; a Keras model's without the numbers that Keras counts its layers by in a process."""
        for place, (name, parameter) in enumerate(self.named_parameters()):
            yield steady_name(place, name) if isinstance(self.module, KerasModule) else name, parameter

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """See `Network`: what has two axes or more decays."""
        return {name: (1.0, float(parameter.ndim > 1)) for name, parameter in self.lasting_parameters()}

    def statistics(self) -> Mapping[str, Tensor]:
        """Every buffer of the module, and the parameters that no gradient moves (Keras keeps its statistics there).

        From here on the buffers stay these tensors, whatever the module puts in their places.
        """
        self._places = buffer_places(self.module)
        named = {f"module.{name}": buffer for name, buffer in self.module.named_buffers()}
        return named | {name: p.detach() for name, p in self.lasting_parameters() if not p.requires_grad}

    def penalty(self) -> Tensor | None:
        """See `Network`: the regularisers of a Keras model."""
        found = self.module.penalty() if isinstance(self.module, KerasModule) else None
        return None if found is None else found.reshape(1)

    def settle_buffers(self) -> None:
        """Where the module has put a new tensor in the place of a buffer, write it into the old one, which is kept."""
        for owner, name, kept in self._places:
            now = owner._buffers[name]
            if now is not None and now is not kept:
                with torch.no_grad():
                    kept.copy_(now)
                owner._buffers[name] = kept


def buffer_places(module: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """Every buffer with the module and the name it is held under."""
    return [
        (owner, name, buffer)
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None
    ]


def raised(where: str, given: object, error: Exception) -> ConfigError:
    """What to say of an exception of the user's own code."""
    return ConfigError(
        f"the model's {where} must take what it is given",
        f"given {form(given)}, it raised {type(error).__name__}: {quoted(error)}",
        "`assay.describe_inputs` says what the model is given; the whole traceback stands above this error.",
    )
