"""The one door to optional packages: the package, or an error with the line that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from assay.errors import MissingExtraError

_EXTRA_OF = {
    "torch": "train",
    "sklearn": "train",
    "scipy": "train",
    "onnx": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "hydra": "train",
    "omegaconf": "train",
    "threadpoolctl": "train",
    "yaml": "train",
    "jinja2": "train",
    "einops": "train",
    "optuna": "tune",
    "cmaes": "tune",
    "ray": "ray",
    "fastexcel": "excel",
    "pandas": "pandas",
    "pyarrow": "pandas",
    "tensorboard": "track",
    "wandb": "track",
    "mlflow": "track",
    "sqlalchemy": "track",
    "alembic": "track",
    "keras": "keras",
    "pytorch_lightning": "lightning",
    "tokenizers": "tokens",
    "PIL": "pictures",
    "timm": "vision",
    "torchvision": "vision",
    "huggingface_hub": "vision",
}


def require(module: str, purpose: str) -> ModuleType:
    """Import `module`, which `purpose` needs, or say which extra brings it.

    Raises:
        MissingExtraError: the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise _missing(package, purpose) from error


def require_installed(package: str, purpose: str) -> None:
    """Say which extra brings `package`, which `purpose` will need, without the time that importing it takes.

    Raises:
        MissingExtraError: the package is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise _missing(package, purpose)


def _missing(package: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(
        f"{purpose} needs the package {package!r}",
        "it is not installed",
        f"Install it with: pip install 'assay[{_EXTRA_OF[package]}]'",
    )
