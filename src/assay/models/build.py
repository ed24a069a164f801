"""The one registry of networks: typed options to a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor

from assay.data.encoding.encode import Encoded, Layout
from assay.models.config import FORECASTING, SERIES, TEXTS, ModelConfig
from assay.models.forecast import build_forecast
from assay.models.ft_transformer import FtTransformer
from assay.models.image import build_cnn
from assay.models.mlp import Mlp
from assay.models.network import Network
from assay.models.realmlp import RealMlp
from assay.models.resnet import ResNet
from assay.models.series import build_series
from assay.models.tabm import TabM
from assay.models.text import build_text
from assay.models.timm_network import build_timm

Builder = Callable[[int, Layout, Tensor, int, ModelConfig], Network]

#: All families but realmlp, which is fitted to whole rows when it is built.
NETWORKS: Mapping[str, Builder] = MappingProxyType(
    {
        "perceptron": Mlp,
        "mlp": Mlp,
        "resnet": ResNet,
        "ft_transformer": FtTransformer,
        "tabm": TabM,
        "tabm_mini": TabM,
    }
)


def build(
    config: ModelConfig,
    layout: Layout,
    training_numbers: Tensor,
    *,
    outputs: int,
    prior: Tensor,
    seeds: Sequence[int],
    targets: Tensor | None = None,
    rows: Encoded | None = None,
) -> Network:
    """The network that `config` names with a member for each of `seeds` (whatever `config.members` says).

    training_numbers: scaled numbers of the training rows, (n, N), from which bins are learned.
    prior: starting output, (outputs,) or (M, outputs): log class shares, or zero for a standardised target.
    targets: of the training rows, (n,) classes or standardised values; a realmlp's answers keep to their range. Of a
        forecast (n, H), from which its linear part begins.
    rows: all inputs of training rows, to which a realmlp fits its initial weights.

    Raises:
        ValueError: `config` leaves the family open, or a realmlp or a network of series, texts or pictures is given no
            rows.
    """
    if not config.reads_texts:
        layout = layout.without_texts()
    if config.name in FORECASTING and (config.name not in SERIES or (targets is not None and targets.ndim == 2)):
        forecast: Network = build_forecast(config, layout, outputs, len(seeds), rows, targets)
        forecast.reset(seeds, prior)
        return forecast
    if config.name in SERIES:
        network: Network = build_series(config, layout, outputs, len(seeds), rows)
    elif config.name in TEXTS:
        network = build_text(config, layout, outputs, len(seeds), rows)
    elif config.name == "cnn":
        network = build_cnn(config, layout, outputs, len(seeds), rows)
    elif config.name == "timm":
        network = build_timm(config, layout, outputs, len(seeds), rows)
    elif config.name == "realmlp":
        if rows is None or not len(rows):
            raise ValueError("a realmlp needs training rows to fit its initial weights to: give rows")
        network = RealMlp(len(seeds), layout, training_numbers, outputs, config, rows, targets)
    elif config.name == "auto":
        raise ValueError("the family must be chosen before a network is built; config.name is still 'auto'")
    else:
        network = NETWORKS[config.name](len(seeds), layout, training_numbers, outputs, config)
    network.reset(seeds, prior)
    return network
