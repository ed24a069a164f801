"""What the code never does: run code out of files, swallow what it does not know, or hide its arguments."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "assay"
FILES = sorted(SOURCE.rglob("*.py"))
RUNS_CODE = {"pickle", "_pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "torch.save",
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "numpy.load",
    "np.load",
    "polars.DataFrame.deserialize",
    "pl.DataFrame.deserialize",
    "os.system",
}


def faults(text: str) -> list[str]:
    """Each forbidden thing in a module's text, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            found += [f"{node.lineno}: imports {name}" for name in names if name.partition(".")[0] in RUNS_CODE]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS and not _refuses_pickle(node):
                found.append(f"{node.lineno}: calls {called}")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: bare except")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
            found.append(f"{node.lineno}: takes **{node.args.kwarg.arg}")
    return found


def _refuses_pickle(call: ast.Call) -> bool:
    """Whether an array file is opened with `allow_pickle=False` in plain sight."""
    return ast.unparse(call.func).endswith("p.load") and any(
        word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in call.keywords
    )


def open_ends(path: Path) -> list[str]:
    """Comments that promise work without the number of an issue."""
    with path.open("rb") as file:
        comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    return [
        f"{comment.start[0]}: {comment.string}"
        for comment in comments
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", comment.string) and not re.search(r"#\d+", comment.string)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_does_nothing_forbidden(path):
    assert faults(path.read_text(encoding="utf-8")) == []
    assert open_ends(path) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import pickle", "1: imports pickle"),
        ("from joblib import dump", "1: imports joblib"),
        ("import torch\ntorch.save(1, 'x')", "2: calls torch.save"),
        ("eval('1')", "1: calls eval"),
        ("np.load('x')", "1: calls np.load"),
        ("np.load('x', allow_pickle=True)", "1: calls np.load"),
        ("try:\n    pass\nexcept:\n    pass", "3: bare except"),
        ("def f(**kwargs): ...", "1: takes **kwargs"),
    ],
)
def test_the_check_sees_a_fault(text, fault):
    assert faults(text) == [fault]


def test_the_check_lets_good_code_pass():
    assert faults("model.eval()\nnp.load('x', allow_pickle=False)\ndef f(*rows): ...") == []
