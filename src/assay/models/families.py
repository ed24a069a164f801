"""The families of networks: the best known options of each, and the options each has no use for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from assay.models.config import PICTURES, SERIES, TEXTS, Family, ModelConfig, Numbers

_WAVES = frozenset({"frequencies", "frequency_scale", "frequency_spread"})
_NUMBERS = _WAVES | {"number_bins", "number_embedding"}
#: Options that say how numbers are widened.
OF_NUMBERS = _NUMBERS | {"numbers"}
_ONLY_SOME = frozenset({"expansion", "heads", "attention_heads"})
_TEXTS = frozenset({"augment_text", "wordnet"})
_OWN_WORDS = frozenset({"reads_texts"})
_TABLES = _NUMBERS | _ONLY_SOME | {"numbers", "embedding", "norm", "initialisation", "activation"}
_HIDDEN = frozenset({"layers", "width", "activation", "dropout", "norm", "initialisation"})

#: What each family starts from; the user's options go on top.
DEFAULTS: Mapping[Family, ModelConfig] = MappingProxyType(
    {
        "perceptron": ModelConfig(name="perceptron", dropout=0.0),
        # Ours: two narrow layers on 48 bins a number.
        "mlp": ModelConfig(name="mlp", activation="relu"),
        # Gorishniy et al. 2021 and the authors' package: 2 blocks of 192, twice as wide inside, dropout 0.15.
        "resnet": ModelConfig(
            name="resnet", layers=2, width=192, expansion=2.0, dropout=0.15, norm="batch", numbers="plain"
        ),
        # The same; their three default blocks drop 0.1 (0.2 in attention), 4/3 as wide inside because gated.
        "ft_transformer": ModelConfig(
            name="ft_transformer", layers=3, width=192, expansion=4 / 3, dropout=0.1, norm="layer", numbers="plain"
        ),
        # Holzmüller et al. 2024, table A.1 (TD).
        "realmlp": ModelConfig(
            name="realmlp", layers=3, width=256, dropout=0.15, numbers="pbld", number_embedding=4, frequencies=16,
            frequency_scale=0.1,
        ),
        # Gorishniy et al. 2025 with vectors of bins: 2 layers of 512 and 32 heads there; 256 and 8 for a CPU here.
        "tabm": ModelConfig(name="tabm", width=256, dropout=0.1, numbers="piecewise_residual", number_embedding=16),
        "tabm_mini": ModelConfig(
            name="tabm_mini", width=256, dropout=0.1, numbers="piecewise_residual", number_embedding=16
        ),
        # Fawaz et al. 2020; Wang, Yan & Oates 2017, half as wide for a CPU; the others are ours.
        "inception": ModelConfig(name="inception", layers=6, width=32, dropout=0.0),
        "fcn": ModelConfig(name="fcn", layers=3, width=64, dropout=0.0),
        "resnet1d": ModelConfig(name="resnet1d", layers=3, width=64, dropout=0.0),
        "gru": ModelConfig(name="gru", layers=1, width=64, dropout=0.1),
        "lstm": ModelConfig(name="lstm", layers=1, width=64, dropout=0.1),
        # Jordan 2024, narrower.
        "cnn": ModelConfig(name="cnn", width=32, members=1),
        "timm": ModelConfig(name="timm", members=1),
        "series_transformer": ModelConfig(name="series_transformer", layers=3, width=64, attention_heads=4),
        # Kim 2014, narrower; the others are ours.
        "text_cnn": ModelConfig(name="text_cnn", width=64, embedding=64, dropout=0.5),
        "text_gru": ModelConfig(name="text_gru", layers=1, width=64, embedding=64, dropout=0.3),
        "text_lstm": ModelConfig(name="text_lstm", layers=1, width=64, embedding=64, dropout=0.3),
        "text_transformer": ModelConfig(
            name="text_transformer", layers=2, width=64, attention_heads=4, dropout=0.2, activation="relu"
        ),
        "dlinear": ModelConfig(name="dlinear", dropout=0.0),
        # Nie et al. 2023 for small data: 16 wide, 3 layers, dropout 0.3; wider and shallower here.
        "patchtst": ModelConfig(name="patchtst", layers=2, width=32, attention_heads=4, dropout=0.2),
    }
)  # fmt: skip

_UNUSED: Mapping[Family, frozenset[str]] = MappingProxyType(
    {
        "perceptron": _HIDDEN | _ONLY_SOME,
        "mlp": _ONLY_SOME,
        "resnet": _ONLY_SOME - {"expansion"},
        "ft_transformer": frozenset({"norm", "initialisation", "embedding", "number_embedding", "heads"}),
        "realmlp": _ONLY_SOME | {"norm", "initialisation"},
        "tabm": frozenset({"norm", "initialisation", "expansion", "attention_heads"}),
        "tabm_mini": frozenset({"norm", "initialisation", "expansion", "attention_heads"}),
        "cnn": _TABLES | {"layers", "dropout"},
        "timm": _TABLES | {"layers", "dropout", "width", "members"},
        "inception": _TABLES,
        "fcn": _TABLES | {"layers"},
        "resnet1d": _TABLES,
        "gru": _TABLES,
        "lstm": _TABLES,
        "series_transformer": _TABLES - {"attention_heads"},
        "text_cnn": (_TABLES - {"embedding"}) | {"layers"},
        "text_gru": _TABLES - {"embedding"},
        "text_lstm": _TABLES - {"embedding"},
        "text_transformer": _TABLES - {"attention_heads", "expansion", "activation"},
        "dlinear": _TABLES | {"layers", "width", "dropout"},
        "patchtst": _TABLES - {"attention_heads"},
    }
)

_UNUSED_OF_NUMBERS: Mapping[Numbers, frozenset[str]] = MappingProxyType(
    {
        "plain": _NUMBERS,
        "piecewise": _NUMBERS - {"number_bins"},
        "piecewise_embedded": _WAVES,
        "piecewise_residual": _WAVES,
        "periodic": frozenset({"number_bins"}),
        "pbld": frozenset({"number_bins"}),
    }
)


def unused_options(name: Family, numbers: Numbers | None = None) -> frozenset[str]:
    """Options of `ModelConfig` that mean nothing to a family; with `numbers`, also what its widening has no use for."""
    return (
        _UNUSED[name]
        | (frozenset() if name in PICTURES + SERIES else {"augment"})
        | (frozenset() if name == "timm" else {"timm"})
        | (_OWN_WORDS if name in TEXTS else _TEXTS)
        | (frozenset() if numbers is None else _UNUSED_OF_NUMBERS[numbers])
    )
