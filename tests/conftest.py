"""What every test stands on: no test leaves anything behind, and one small real run is made once."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

import assay

#: Options of one small network: what is tested is not what the plan would choose.
ONE = ["model.name=mlp", "model.members=4", "ensemble.folds=1"]
ADULT = Path(__file__).parents[1] / "examples" / "adult"

# What pytest, scikit-learn, torch, Lightning and Keras set while they run or are first imported.
_NOT_OURS = ("PYTEST_", "KMP_", "TORCHINDUCTOR_", "PYTORCH_NVML_BASED_CUDA_CHECK", "TF_FORCE_GPU_ALLOW_GROWTH")
_PATIENCE = 2.0  # seconds a thread has to end by itself

# A busy machine is no failure; and what continuous integration finds, it finds again.
settings.register_profile("assay", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("assay")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Fail a test that leaks an environment variable or a thread that would keep the process alive."""
    variables, threads = _environment(), set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    for thread in left:
        thread.join(_PATIENCE)
    alive = [thread.name for thread in left if thread.is_alive()]
    now = _environment()
    changed = {name for name in variables.keys() | now.keys() if variables.get(name) != now.get(name)}
    assert not alive, f"the test left threads running: {alive}"
    assert not changed, f"the test left environment variables changed: {sorted(changed)}"


@pytest.fixture(autouse=True, scope="session")
def numbers_are_those_of_any_processor():
    """Some processors train in bfloat16 unasked; what tests compare is then the same as on others."""
    device = importlib.import_module("assay.train.device")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "_cpu_flags", set)
        yield


@pytest.fixture(autouse=True)
def translations_are_read_once():
    """torch's exporter parses the source of its 500 translations for every export, two seconds each time.

    Within a process they are the same, so from the second test that exports on they are remembered.
    """
    registration = sys.modules.get("torch.onnx._internal.exporter._registration")
    if registration is not None:
        _remember_translations(registration)


def _remember_translations(registration: ModuleType) -> None:
    """Give every export a copy of one table, to which it may add its own."""
    registry = registration.ONNXRegistry
    read = registry.from_torchlib
    if getattr(read, "is_remembered", False):
        return
    tables = {}

    def from_torchlib(opset_version=registration._constants.TORCHLIB_OPSET):
        if opset_version not in tables:
            tables[opset_version] = read(opset_version=opset_version)
        copy = registry()
        copy._opset_version = opset_version
        copy.functions = {name: list(found) for name, found in tables[opset_version].functions.items()}
        return copy

    from_torchlib.is_remembered = True
    registry.from_torchlib = staticmethod(from_torchlib)


@pytest.fixture(scope="session")
def adult_train() -> Path:
    """The path of the official training part of Adult: 32,561 rows."""
    return ADULT / "train.csv.gz"


@pytest.fixture(scope="session")
def adult_small(adult_train) -> pl.DataFrame:
    """600 rows of Adult in random order with the official share of high incomes: 144 of 600."""
    whole = pl.read_csv(adult_train)
    parts = [
        whole.filter(pl.col("income") == income).sample(rows, seed=0, shuffle=True)
        for income, rows in (("<=50K", 456), (">50K", 144))
    ]
    return pl.concat(parts).sample(fraction=1.0, seed=0, shuffle=True)


@pytest.fixture(scope="session")
def small_run(adult_small, tmp_path_factory) -> assay.Run:
    """A finished run on `adult_small`, made once a session; nothing may change its directory."""
    out = tmp_path_factory.mktemp("small") / "run"
    return assay.fit(
        adult_small, target="income", out=out, overrides=[*ONE, "train.epochs=8", "evaluate.bootstrap=100"]
    )


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    """Keras on the torch backend; its own configuration file goes to a folder of the tests."""
    before = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path_factory.mktemp("keras"))}
    try:
        return pytest.importorskip("keras")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium without a window; tests of pages are skipped, with the reason, where there is none.

    It is closed with the module, for while it is open there is an event loop in this thread.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are looked at with the package playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("pages are looked at in Chromium, and none is installed (on Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser):
    """Opens pages in a fresh profile, and fails the test when one of them complains in its console."""
    said, contexts = [], []

    def opened(url, *, scheme="light", width=1280, scripts=True):
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.set_default_timeout(10_000)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


WORDS = [
    "the", "a", "film", "is", "was", "good", "great", "fine", "bad", "poor", "dull", "plot", "actors", "and", "but",
    "not", "very", "never", "!", ".", "##s", "##ly",
]  # fmt: skip


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory) -> Path:
    """A folder with a text encoder of BERT's kind that knows two dozen words; its weights are random, but fixed."""
    torch = pytest.importorskip("torch")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    splitter = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    splitter.normalizer = tokenizers.normalizers.BertNormalizer()
    splitter.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    splitter.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    splitter.save(str(folder / "tokenizer.json"))
    sizes = {
        "model_type": "bert", "hidden_act": "gelu", "vocab_size": len(vocabulary), "hidden_size": 16,
        "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64,
        "layer_norm_eps": 1e-12,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(sizes))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    drawn = torch.Generator().manual_seed(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(vocabulary), 16),
        "embeddings.position_embeddings.weight": (64, 16),
        "embeddings.token_type_embeddings.weight": (2, 16),
        "embeddings.LayerNorm.weight": (16,), "embeddings.LayerNorm.bias": (16,),
    }  # fmt: skip
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}{name}.weight": (16, 16), f"{layer}{name}.bias": (16,)}
        shapes |= {f"{layer}intermediate.dense.weight": (32, 16), f"{layer}intermediate.dense.bias": (32,)}
        shapes |= {f"{layer}output.dense.weight": (16, 32), f"{layer}output.dense.bias": (16,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}{name}.weight": (16,), f"{layer}{name}.bias": (16,)}
    tensors = {name: torch.randn(shape, generator=drawn) * 0.3 for name, shape in shapes.items()}
    importlib.import_module("safetensors.torch").save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def reviews() -> pl.DataFrame:
    """300 made-up reviews, stars among them: a good word or a bad one decides, `not` turns it round."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(300):
        good, turned = rng.random() < 0.5, rng.random() < 0.3
        word = rng.choice(["good", "great", "fine"] if good else ["bad", "poor", "dull"])
        noun = rng.choice(["film", "plot"])
        text = f"The {noun} {rng.choice(['is', 'was'])} {'not very ' if turned else ''}{word}{rng.choice(['!', '.'])}"
        liked = good != turned
        rows.append((text, int(rng.integers(1, 4)) + 2 * liked, "liked" if liked else "not liked"))
    return pl.DataFrame(rows, schema=["review", "stars", "verdict"], orient="row")
