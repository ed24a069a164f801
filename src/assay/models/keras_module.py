"""A Keras 3 model on the torch backend as a plain module that answers with logits.

Keras models usually end in a sigmoid or softmax. Training and calibration need what stands before it, so the last
activation is left out while the model is asked; the model itself stays as it is. Keras is not imported here: whoever
passes a model has done so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from assay.errors import ConfigError
from assay.models.quoting import quoted

#: Last activations that make probabilities of logits. Leaving them out and taking assay's softmax gives the same.
_COUNT = re.compile(r"_\d+$")
_SOFTMAX, _SIGMOID = ("softmax", "log_softmax"), ("sigmoid",)


def is_keras(model: object) -> bool:
    """Whether it is a model or a layer of Keras, of whatever version and backend."""
    cls = model if isinstance(model, type) else type(model)
    return any(base.__module__.partition(".")[0] in ("keras", "tf_keras") for base in cls.__mro__)


class KerasModule(nn.Module):
    """The model with its last activation left out: (n, F) to logits or values.

    shown: its layers in words. notes: what of it has no effect here.
    """

    def __init__(self, model: Any, inputs: int, outputs: int, *, has_labels: bool = False) -> None:  # noqa: ANN401  # Keras has no types
        """Build the model for `inputs` features.

        Raises:
            ConfigError: it is on another backend, has constraints, or ends in what does not fit the task.
        """
        super().__init__()
        _check_backend(model)
        if not model.built and _is_a(model, "Sequential"):
            _build(model, inputs)
        self.model = model
        self._end = _last_activation(model)
        self.shown = _layers_in_words(model)
        compiled = bool(getattr(model, "compiled", False))
        self.notes = ("what Keras's compile() was told has no effect: loss and optimiser are assay's",) * compiled
        if self._end is not None:
            _check_end(self._end[2], model.output_shape[-1], outputs, has_labels=has_labels)
            self.notes += (f"its last activation, {self._end[2]}, is taken off for logits, and is in the saved model",)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        with self._open_ended():
            answer: Tensor = self.model(rows, training=self.training)
        return answer

    def penalty(self) -> Tensor | None:
        """The sum of the model's own losses (regularisers), or None; after a forward pass."""
        found = list(self.model.losses)
        return sum(found[1:], start=found[0]) if found else None

    @contextmanager
    def _open_ended(self) -> Iterator[None]:
        if self._end is None:
            yield
            return
        layer, attribute, _ = self._end
        closed = getattr(layer, attribute)
        setattr(layer, attribute, _same)
        try:
            yield
        finally:
            setattr(layer, attribute, closed)


def steady_name(place: int, name: str) -> str:
    """`module.2.dense/kernel` for the third parameter, whatever the layers of a process were counted to."""
    path = name.rpartition("_torch_params.")[2]
    return f"module.{place}.{'/'.join(_COUNT.sub('', part) for part in path.split('/')[-2:])}"


def _same(rows: Tensor, mask: object = None) -> Tensor:
    """In the place of an activation, or of the call of a layer that is nothing else."""
    return rows


def _check_backend(model: Any) -> None:  # noqa: ANN401
    if isinstance(model, nn.Module):
        constrained = [v.path for v in getattr(model, "trainable_variables", ()) if v.constraint is not None]
        if constrained:
            raise ConfigError(
                "a Keras model must have no constraints, which only Keras's own optimisers apply",
                f"{constrained[0]} has one",
                "Remove the constraint; a regulariser or train.weight_decay can hold weights small.",
            )
        return
    keras = sys.modules.get("keras")
    backend = keras.config.backend() if keras is not None and hasattr(keras, "config") else "tensorflow"
    raise ConfigError(
        "a Keras model must be one of Keras 3 on the torch backend",
        f"it is on the backend {backend}",
        "Set KERAS_BACKEND=torch in the environment before keras is first imported, as in "
        "`import os; os.environ['KERAS_BACKEND'] = 'torch'`, and make the model anew.",
    )


def _build(model: Any, inputs: int) -> None:  # noqa: ANN401
    try:
        model.build((None, inputs))
    except Exception as error:
        raise ConfigError(
            "a Keras model must take the features as one matrix",
            f"building it for {inputs} features raised {type(error).__name__}: {quoted(error)}",
            "`assay.describe_inputs` says what the model is given.",
        ) from error


def _last_activation(model: Any) -> tuple[Any, str, str] | None:  # noqa: ANN401
    """The last layer with the attribute to replace and the activation's name, if it makes probabilities."""
    layer = _last_layer(model)
    if _is_a(layer, "Softmax"):
        return layer, "call", "softmax"
    activation: Callable[..., object] | None = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "")
    return (layer, "activation", name) if name in _SOFTMAX + _SIGMOID else None


def _last_layer(model: Any) -> Any:  # noqa: ANN401
    """The layer the answer comes from; None where the model does not say (a subclass with a `call` of its own)."""
    if _is_a(model, "Sequential"):
        return _last_layer(model.layers[-1]) if model.layers else None
    if _is_a(model, "Functional"):
        return _last_layer(model.outputs[0]._keras_history.operation) if len(model.outputs) == 1 else None
    return None if _is_a(model, "Model") else model


def _is_a(layer: object, name: str) -> bool:
    """Whether a class of Keras called `name` is among its classes."""
    return any(base.__name__ == name for base in type(layer).__mro__)


def _check_end(name: str, units: int, outputs: int, *, has_labels: bool) -> None:
    if outputs == 1:
        raise ConfigError(
            "a model for values must be able to give any number: the target is standardised",
            f"the Keras model ends in {name}",
            "Give its last layer no activation.",
        )
    if has_labels:
        fits, of, wanted = name in _SIGMOID and units == outputs, "labels", f"a sigmoid of {outputs} units"
    else:
        fits, of = units == 1 and outputs == 2 if name in _SIGMOID else units == outputs, "classes"
        wanted = f"{'a sigmoid of one unit, ' if outputs == 2 else ''}a softmax of {outputs} units"
    if not fits:
        raise ConfigError(
            f"a Keras model for {outputs} {of} must end in {wanted} or no activation",
            f"it ends in a {name} of {units} unit{'s' * (units != 1)}",
            "Change its last layer.",
        )


def _layers_in_words(model: Any) -> str:  # noqa: ANN401
    """`Sequential(Dense 10 relu, Dense 1 sigmoid)`."""
    layers = [layer for layer in getattr(model, "layers", ()) if type(layer).__name__ != "InputLayer"]
    words = []
    for layer in layers:
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        parts = [type(layer).__name__, getattr(layer, "units", ""), "" if activation == "linear" else activation]
        words.append(" ".join(str(part) for part in parts if part != ""))
    return f"{type(model).__name__}({', '.join(words)})"
