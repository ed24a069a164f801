"""Recipes: a network family with the training its authors found to work."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from assay.data.schema import Task
from assay.models.config import Family, ModelConfig
from assay.models.families import DEFAULTS
from assay.records import Record
from assay.train.config import OPTIMISERS_OF, SCHEDULES_OF, TrainConfig


class Recipe(Record):
    """A family's options of the network and of its training, for each task; `source` says whose."""

    model: ModelConfig
    binary: TrainConfig
    multiclass: TrainConfig
    regression: TrainConfig
    forecasting: TrainConfig
    source: str

    @property
    def labels(self) -> TrainConfig:
        """The training for labels: as for two classes, without smoothing, the best weights being of the lowest loss."""
        return training_options(self.binary, TrainConfig(label_smoothing=0.0, select="loss"))

    def train(self, task: Task) -> TrainConfig:
        """The training for the task; that of labels, each of which is a binary task, is that of two classes."""
        found = {
            Task.BINARY: self.binary, Task.MULTICLASS: self.multiclass, Task.MULTILABEL: self.labels,
            Task.REGRESSION: self.regression, Task.FORECASTING: self.forecasting,
        }  # fmt: skip
        return found[task]


def network_options(own: ModelConfig, said: ModelConfig) -> ModelConfig:
    """The recipe's `own` options of the network with those the user `said` instead."""
    return ModelConfig.model_validate(_overlaid(own, said))


def training_options(own: TrainConfig, said: TrainConfig) -> TrainConfig:
    """The recipe's `own` options of training with those the user `said` instead.

    What the recipe says of another optimiser or schedule than the user's falls away, and its patience is not longer
    than the user's epochs.

    Raises:
        ValueError: the user's options contradict the recipe's.
    """
    chosen = _overlaid(own, said)
    unsaid = own.model_fields_set - said.model_fields_set
    for part, owners in (("optimiser", OPTIMISERS_OF), ("schedule", SCHEDULES_OF)):
        name = chosen.get(part, TrainConfig.model_fields[part].default)
        for option in unsaid & set(owners):
            if name not in owners[option]:
                del chosen[option]
    if "patience" in unsaid and "epochs" in chosen:
        chosen["patience"] = min(chosen["patience"], chosen["epochs"])
    return TrainConfig.model_validate(chosen)


def _overlaid(own: Record, said: Record) -> dict[str, Any]:
    chosen = {name: getattr(own, name) for name in own.model_fields_set}
    return chosen | {name: getattr(said, name) for name in said.model_fields_set}


_PLAIN = TrainConfig()
#: Appendix A of the paper; no early stopping there, the best epoch is kept. Of two classes without label smoothing,
#: which cost log loss on every table tried and helped no score (docs/decisions/ensembles.md).
_REALMLP = TrainConfig(
    epochs=256, batch=256, lr=0.04, beta2=0.95, schedule="coslog4", warmup=0.0, weight_decay=0.02, easing="flat_cosine",
    label_smoothing=0.1, clip_norm=0.0, patience=256, select="metric",
)  # fmt: skip
#: Section 5.1 of the paper and the authors' example.
_TABM = TrainConfig(epochs=256, lr=2e-3, schedule="constant", warmup=0.0, weight_decay=3e-4, clip_norm=1.0, patience=16)
#: Gorishniy et al. 2021, appendix E.
_RESNET = TrainConfig(epochs=200, lr=3e-4, schedule="constant", warmup=0.0, weight_decay=1e-5, patience=16)
#: Of the convolutions of series, after Fawaz et al. 2020, with a cosine in place of their plateaus.
_SERIES = TrainConfig(epochs=300, batch=64, lr=2e-3, schedule="cosine", weight_decay=1e-4, clip_norm=1.0, patience=100)
#: Of the network of pictures, with Muon as in the later versions of Jordan's work.
_CNN = TrainConfig(
    epochs=60, batch=256, optimiser="muon", lr=1e-2, beta2=0.95, schedule="cosine", warmup=0.15, weight_decay=0.02,
    label_smoothing=0.1, clip_norm=0.0, patience=60, select="metric",
)  # fmt: skip
#: Of networks of timm from random weights; Wightman et al. train with LAMB for 100 to 600 epochs of ImageNet.
_TIMM = TrainConfig(
    epochs=100, batch=64, lr=1e-3, schedule="cosine", warmup=0.1, weight_decay=0.05, label_smoothing=0.1, clip_norm=1.0,
    patience=100, select="metric",
)  # fmt: skip
#: Of networks that read words; Kim 2014 has batches of 50 and early stopping.
_TEXT_CNN = TrainConfig(epochs=20, batch=64, lr=2e-3, schedule="cosine", weight_decay=1e-2, clip_norm=1.0, patience=6)
_TEXT_GRU = TrainConfig(epochs=15, batch=64, lr=2e-3, schedule="cosine", weight_decay=1e-2, clip_norm=1.0, patience=5)
_TEXT_TRANSFORMER = TrainConfig(
    epochs=20, batch=64, lr=1e-3, schedule="cosine", warmup=0.1, weight_decay=1e-2, clip_norm=1.0, patience=6
)
#: Of networks that forecast: ours, after the rates and batches of Zeng et al. 2023 and Nie et al. 2023.
_DLINEAR = TrainConfig(epochs=60, batch=64, lr=5e-4, schedule="cosine", weight_decay=1e-2, clip_norm=1.0, patience=10)
_PATCHTST = TrainConfig(epochs=60, batch=128, lr=1e-3, schedule="cosine", weight_decay=1e-2, clip_norm=1.0, patience=10)
_FT_TRANSFORMER = TrainConfig(epochs=200, lr=1e-4, schedule="constant", warmup=0.0, weight_decay=1e-5, patience=16)


def _recipe(
    family: Family,
    train: TrainConfig,
    source: str,
    binary: TrainConfig | None = None,
    regression: TrainConfig | None = None,
    forecasting: TrainConfig | None = None,
) -> Recipe:
    return Recipe(
        model=DEFAULTS[family],
        binary=binary or train,
        multiclass=train,
        regression=regression or train,
        forecasting=forecasting or train,
        source=source,
    )


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "perceptron": _recipe("perceptron", _PLAIN, "Rosenblatt (1958), trained as the mlp"),
        "mlp": _recipe("mlp", _PLAIN, "assay, with piecewise-linear numbers of Gorishniy et al. (NeurIPS 2022)"),
        "resnet": _recipe("resnet", _RESNET, "Gorishniy et al. (NeurIPS 2021)"),
        "ft_transformer": _recipe("ft_transformer", _FT_TRANSFORMER, "Gorishniy et al. (NeurIPS 2021)"),
        "realmlp": _recipe(
            "realmlp", _REALMLP, "Holzmueller et al., RealMLP-TD (NeurIPS 2024)",
            binary=training_options(_REALMLP, TrainConfig(label_smoothing=0.0, select="loss")),
            regression=training_options(_REALMLP, TrainConfig(lr=0.2, label_smoothing=0.0, select="loss")),
        ),
        "tabm": _recipe("tabm", _TABM, "Gorishniy et al. (ICLR 2025)"),
        "tabm_mini": _recipe("tabm_mini", _TABM, "Gorishniy et al. (ICLR 2025)"),
        "cnn": _recipe(
            "cnn", _CNN, "Jordan, airbench (arXiv 2404.00498)",
            regression=training_options(_CNN, TrainConfig(label_smoothing=0.0, select="loss")),
        ),
        "timm": _recipe(
            "timm", _TIMM, "Wightman et al., ResNet strikes back (2021), shortened",
            regression=training_options(_TIMM, TrainConfig(label_smoothing=0.0, select="loss")),
        ),
        "inception": _recipe("inception", _SERIES, "Fawaz et al., InceptionTime (DMKD 2020)"),
        "fcn": _recipe("fcn", _SERIES, "Wang, Yan & Oates (IJCNN 2017)"),
        "resnet1d": _recipe("resnet1d", _SERIES, "Wang, Yan & Oates (IJCNN 2017)"),
        "gru": _recipe("gru", _SERIES, "Cho et al. (EMNLP 2014)", forecasting=_PATCHTST),
        "lstm": _recipe("lstm", _SERIES, "Hochreiter & Schmidhuber (1997)"),
        "dlinear": _recipe("dlinear", _DLINEAR, "Zeng et al., DLinear and NLinear (AAAI 2023)"),
        "patchtst": _recipe("patchtst", _PATCHTST, "Nie et al., PatchTST (ICLR 2023)"),
        "series_transformer": _recipe("series_transformer", _SERIES, "Nie et al., PatchTST (ICLR 2023)"),
        "text_cnn": _recipe("text_cnn", _TEXT_CNN, "Kim (EMNLP 2014)"),
        "text_gru": _recipe("text_gru", _TEXT_GRU, "Cho et al. (EMNLP 2014)"),
        "text_lstm": _recipe("text_lstm", _TEXT_GRU, "Hochreiter & Schmidhuber (1997)"),
        "text_transformer": _recipe("text_transformer", _TEXT_TRANSFORMER, "Vaswani et al. (NeurIPS 2017)"),
    }
)  # fmt: skip
