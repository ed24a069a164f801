import warnings

import pytest
import torch
from torch import nn

from assay.errors import ConfigError
from assay.models.opening import Sizes, is_factory, open_model

SIZES = Sizes(inputs=7, outputs=3, numbers=4, extras=1, vocabularies=(4, 40))


class Net(nn.Module):
    def __init__(self, inputs, outputs, width=5):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.Linear(width, outputs))

    def forward(self, x):
        return self.layers(x)


class Named(nn.Module):
    def __init__(self, numbers, vocabularies, outputs):
        super().__init__()
        self.linear = nn.Linear(numbers, outputs)
        self.tables = nn.ModuleList(nn.Embedding(size, outputs) for size in vocabularies)

    def forward(self, numbers, codes):
        return self.linear(numbers) + sum(table(codes[:, place]) for place, table in enumerate(self.tables))


class Lit(nn.Linear):
    def training_step(self, batch, batch_idx): ...
    def configure_optimizers(self): ...


def test_a_module_is_taken_as_it_is():
    module = nn.Linear(7, 3)
    opened = open_model(module, SIZES)
    assert opened.module is module
    assert (opened.kind, opened.takes, opened.name) == ("torch", (), "torch.nn.modules.linear.Linear")
    assert opened.shown == "Linear(in_features=7, out_features=3, bias=True)"
    assert not is_factory(module)


@pytest.mark.parametrize(
    "factory",
    [
        lambda inputs, outputs: nn.Linear(inputs, outputs),
        lambda n_in, n_out: nn.Linear(n_in, n_out),
        lambda outputs, inputs: nn.Linear(inputs, outputs),
        lambda: nn.Linear(7, 3),
        lambda inputs, *, outputs, bias=True: nn.Linear(inputs, outputs, bias),
        Net,
    ],
)
def test_a_factory_is_told_the_sizes_it_names(factory):
    assert is_factory(factory)
    made = open_model(factory, SIZES)
    assert made.module(torch.zeros(2, 7)).shape == (2, 3)


def test_an_option_with_a_default_is_not_taken_for_a_size():
    assert open_model(Net, SIZES).module.layers[0].out_features == 5


def test_a_class_may_ask_for_the_sizes_of_its_matrices():
    opened = open_model(Named, SIZES)
    assert opened.takes == ("numbers", "codes")
    assert [table.num_embeddings for table in opened.module.tables] == [4, 40]
    assert opened.name.endswith("test_opening.Named")


def test_a_lightning_module_is_known_by_its_methods():
    assert open_model(Lit(7, 3), SIZES).kind == "lightning"


def test_a_compiled_module_is_opened():
    module = nn.Linear(7, 3)
    assert open_model(torch.compile(module, backend="eager"), SIZES).module is module


def test_a_long_description_is_cut():
    opened = open_model(lambda inputs, outputs: nn.Sequential(*(nn.Linear(7, 7) for _ in range(30))), SIZES)
    assert len(opened.shown) == 300
    assert opened.shown.endswith("…")


@pytest.mark.parametrize("given", ["mlp", 3, {"layers": 2}, [nn.Linear(7, 3)]])
def test_what_is_no_module_is_refused(given):
    with pytest.raises(ConfigError, match=f"but it is a {type(given).__name__}. Example: assay.fit"):
        open_model(given, SIZES)


def test_a_factory_must_return_a_module():
    with pytest.raises(ConfigError, match="the factory returned a int"):
        open_model(lambda inputs, outputs: inputs, SIZES)


def test_what_a_factory_raises_is_quoted_with_its_arguments():
    with pytest.raises(
        ConfigError, match=r"called with \(inputs=7, outputs=3\), it raised ZeroDivisionError: "
    ) as caught:
        open_model(lambda inputs, outputs: nn.Linear(inputs // 0, outputs), SIZES)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_arguments_nobody_knows_are_named():
    with pytest.raises(ConfigError, match="it also needs depth"):
        open_model(lambda inputs, outputs, depth: nn.Linear(inputs, outputs), SIZES)
    with pytest.raises(ConfigError, match="it also needs a, b, c"):
        open_model(lambda a, b, c: nn.Linear(a, b), SIZES)


def test_a_torchscript_module_is_refused_with_the_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        scripted = torch.jit.script(nn.Linear(7, 3))
    for model in (scripted, nn.Sequential(scripted)):
        with pytest.raises(ConfigError, match="TorchScript module, which is compiled already"):
            open_model(model, SIZES)
