"""A subject by its name: `package.module:function` or `folder/file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from assay.doctor.subject import Subject, subject_of
from assay.errors import ConfigError, nearest

_EXAMPLE = "Example: assay doctor train.py:subject"


def opened(name: str) -> Subject:
    """The subject that the named function returns; its code runs, as it would be imported.

    Raises:
        ConfigError: the name is not MODULE:FUNCTION, there is no such module or function, or what it returns is none.
    """
    module, colon, function = name.rpartition(":")
    if not colon or not module or not function:
        raise ConfigError("a subject is named MODULE:FUNCTION", f"{name!r} was given", _EXAMPLE)
    loaded = _loaded(module)
    made = getattr(loaded, function, None)
    if not callable(made):
        known = [each for each, value in vars(loaded).items() if callable(value) and not each.startswith("_")]
        came = f"{module} has no function {function!r}"
        raise ConfigError("the function must be in the module", came, nearest(function, known))
    return subject_of(made())


def _loaded(module: str) -> ModuleType:
    """The module, by its file or from the path that Python has in this folder.

    Raises:
        ConfigError: there is none.
    """
    path = Path(module)
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigError("the file must exist", f"{module} does not", _EXAMPLE)
        return _from_file(path)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        came = f"Python finds no module {error.name!r} from this folder"
        raise ConfigError(
            "the module must exist", came, f"Name a file instead: {module.replace('.', '/')}.py"
        ) from None


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # data classes and workers of a loader look their module up
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.insert(0, folder)
    spec.loader.exec_module(module)
    return module
