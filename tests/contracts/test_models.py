"""Every family keeps the contract that networks of other people are held to."""

import pytest
import torch

from assay.data.encoding.encode import Layout
from assay.models.build import build
from assay.models.config import TABULAR
from assay.models.families import DEFAULTS
from assay.testing.models import check_export, check_network, random_inputs

LAYOUT = Layout(numbers=3, extras=2, vocabularies=(4, 12, 5))
BARE = [Layout(2, 0, ()), Layout(0, 2, ()), Layout(0, 0, (4, 12)), Layout(0, 0, ()), Layout(1, 40, (3,))]
NUMBERS = ("plain", "piecewise", "piecewise_embedded", "piecewise_residual", "periodic", "pbld")
SMALL = {"width": 16, "number_bins": 4, "heads": 3, "attention_heads": 2, "frequencies": 3, "number_embedding": 4}


def made(family, layout=LAYOUT, outputs=2, members=3, **options):
    rows = random_inputs(layout, 100, seed=9)
    config = DEFAULTS[family].model_copy(update=SMALL | options)
    targets = torch.arange(100) % outputs if outputs > 1 else torch.linspace(-2.0, 2.0, 100)
    return build(
        config, layout, rows.numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=range(members), rows=rows,
        targets=targets,
    )  # fmt: skip


@pytest.mark.parametrize("family", TABULAR)
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_family_keeps_the_contract(family, outputs):
    check_network(made(family, outputs=outputs), LAYOUT)


@pytest.mark.parametrize("family", TABULAR)
@pytest.mark.parametrize("layout", BARE)
def test_a_family_keeps_the_contract_where_kinds_of_columns_lack(family, layout):
    check_network(made(family, layout), layout)


@pytest.mark.parametrize("family", TABULAR)
@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_family_keeps_the_contract_however_numbers_are_widened(family, numbers):
    check_network(made(family, numbers=numbers), LAYOUT)


@pytest.mark.parametrize("family", ["mlp", "resnet"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_norms_keep_the_contract(family, norm):
    check_network(made(family, norm=norm), LAYOUT)


@pytest.mark.parametrize("family", TABULAR)
def test_a_family_can_be_exported(family, tmp_path):
    check_export(made(family, members=2, layers=2), LAYOUT, tmp_path)


@pytest.mark.parametrize("numbers", NUMBERS)
def test_widened_numbers_can_be_exported(numbers, tmp_path):
    check_export(made("mlp", members=2, numbers=numbers, norm="batch"), LAYOUT, tmp_path)


@pytest.mark.parametrize("layout", [Layout(2, 0, ()), Layout(0, 0, (4, 12)), Layout(0, 40, ())])
def test_tables_of_one_kind_can_be_exported(layout, tmp_path):
    check_export(made("ft_transformer", layout, members=1, layers=1), layout, tmp_path)
