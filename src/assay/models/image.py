"""A small convolutional network for small pictures, quick to learn on a CPU.

Shape legend: M members, n rows, C channels, H height, W width, F features, N numbers, X extras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Encoded, Layout
from assay.models.blocks import Generators
from assay.models.config import ModelConfig
from assay.models.image_config import ImageConfig
from assay.models.network import MemberModule, rows_within
from assay.models.picture_network import PictureNetwork

#: Patches that the first layer's whitening is fitted to, about; pictures whose pixels are summed at a time.
_PATCHES, _AT_ONCE = 500_000, 64
#: Added to the variance of each direction of patches before its root is divided by (airbench: 5e-4, of pixels with
#: deviation 1).
_WHITENING = 5e-4
#: The learning rate of the shifts of normalisations over that of weights. Jordan: 64, for SGD. Adam moves everything by
#: the rate itself, so less was taken here; other factors were not compared.
_SHIFT_RATE = 4.0
#: Shorter side that larger pictures are averaged to, at least: the network is one for small pictures.
_SMALL = 40
#: Shorter side from which patches lie two pixels apart, which costs a quarter.
_STRIDED_FROM = 24
#: Training pictures that the whitening is fitted to at most.
_FITTED_TO = 4000
#: Bytes that the first layer may take for the rows of one call without gradients.
_WORK = 64 << 20


def channels_last(pictures: Tensor) -> Tensor:
    """The same (n, C, H, W) with the channels of a pixel side by side, which convolutions here take 0.7 of the time."""
    return pictures.contiguous(memory_format=torch.channels_last)


class Whitening(nn.Module):
    """A frozen convolution whose outputs are uncorrelated on training patches: (n, C, H, W) to (n, 2 * C * k * k, ...).

    The eigenvectors of the patches' covariance, each over the root of its variance, and their negatives, so that an
    activation behind loses nothing (Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498, 3.2).
    Pixels are normalised here too: centre and spread are those of the training pixels, one each a channel.
    """

    centre: Tensor
    spread: Tensor
    weight: Tensor

    def __init__(self, pixels: Tensor, patch: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        centre, spread = moments(pixels)
        self.register_buffer("centre", centre.float().view(1, -1, 1, 1))
        # Pictures of one colour have no spread; they stay as they are.
        self.register_buffer("spread", spread.clamp_min(1.0).float().view(1, -1, 1, 1))
        step = -(-pixels[:, 0].numel() // _PATCHES)
        self.register_buffer("weight", _whitening_weight(self.normalise(pixels[::step]), patch))

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return len(self.weight)

    def normalise(self, pictures: Tensor) -> Tensor:
        """Pixels 0 to 255 of any type to float32 of mean 0 and deviation 1 a channel."""
        return (pictures.float() - self.centre) / self.spread

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return functional.conv2d(channels_last(self.normalise(pictures)), self.weight, stride=self.stride)


def moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, float64 (C,), without a copy of all pixels in double precision."""
    count = pixels[:, 0].numel()
    total = torch.zeros(pixels.shape[1], dtype=torch.float64)
    square = torch.zeros_like(total)
    for block in pixels.split(_AT_ONCE):
        values = block.double()
        total += values.sum((0, 2, 3))
        square += values.square().sum((0, 2, 3))  # exact: whole numbers far below 2^53
    mean = total / count
    return mean, (square / count - mean.square()).clamp_min(0.0).sqrt()


def _whitening_weight(pictures: Tensor, patch: int) -> Tensor:
    """float32 (2 * C * k * k, C, k, k) out of normalised pictures (s, C, H, W)."""
    channels = pictures.shape[1]
    patches = functional.unfold(pictures, patch).transpose(1, 2).flatten(0, 1)  # (s * places, C * k * k)
    patches = patches.double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()  # LAPACK's own signs are no fact
    rows = (vectors * signs / (values.clamp_min(0.0) + _WHITENING).sqrt()).T.flip(0)
    weight = rows.view(-1, channels, patch, patch)
    return torch.cat([weight, -weight]).float()


class MemberConv(MemberModule):
    """A 3x3 convolution of each member, as groups of one: (n, M * D, H, W) to (n, M * F, H, W), no bias.

    It starts as the identity of the first channels, the rest as torch's own (Jordan, 3.3).

    weight: (M, F, D * 9), a matrix for each member, so that Muon steps it as one.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared  # the inputs are the same for all members: (n, D, H, W)
        self.kernel = (inputs, 3, 3)
        self.weight = nn.Parameter(torch.empty(members, outputs, inputs * 9))

    def reset(self, generators: Generators) -> None:
        """Identity first, then uniform between -1 and 1 over the root of the inputs."""
        bound = 1.0 / math.sqrt(self.weight.shape[2])
        for weight, generator in zip(self.weight.data, generators, strict=True):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
            nn.init.dirac_(weight[: self.kernel[0]].view(-1, *self.kernel))

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        groups = 1 if self.shared else len(self.weight)
        kernels = self.weight.reshape(-1, *self.kernel)  # several members lie apart in the matrix that is trained
        return functional.conv2d(pictures, kernels, padding=1, groups=groups)


class MemberShiftNorm(MemberModule):
    """Batch normalisation over rows and places with a learned shift and no gain: (n, M * F, H, W) to the same.

    The activation behind it and the next normalisation undo a gain, and shifts learn faster than weights (Jordan, 3.4).
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, units: int, momentum: float = 0.4, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.shift = nn.Parameter(torch.zeros(members, units))
        self.register_buffer("mean", torch.zeros(members, units))
        self.register_buffer("variance", torch.ones(members, units))

    def reset(self, generators: Generators) -> None:
        """No shift, and no rows seen."""
        nn.init.zeros_(self.shift)
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.variance)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        single = pictures.shape[0] * pictures.shape[2] * pictures.shape[3] < 2
        return functional.batch_norm(
            pictures,
            self.mean.view(-1),
            self.variance.view(-1),
            None,
            self.shift.flatten(),
            training=self.training and not single,
            momentum=self.momentum,
            eps=self.epsilon,
        )


class Block(nn.Module):
    """Convolution, pooling, norm, GELU, convolution, norm, GELU: (n, M * D, H, W) to (n, M * F, H / 2, W / 2)."""

    def __init__(self, members: int, inputs: int, outputs: int, *, shared: bool, pools: bool) -> None:
        super().__init__()
        self.pools = pools
        self.first = MemberConv(members, inputs, outputs, shared=shared)
        self.first_norm = MemberShiftNorm(members, outputs)
        self.second = MemberConv(members, outputs, outputs)
        self.second_norm = MemberShiftNorm(members, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        inside = self.first(pictures)
        if self.pools:
            inside = functional.max_pool2d(inside, 2)
        inside = functional.gelu(self.first_norm(inside))
        return functional.gelu(self.second_norm(self.second(inside)))


class ImageNetwork(PictureNetwork):
    """Whitened patches, blocks of convolutions, the largest value of each channel, and a linear layer.

    After airbench94 (Jordan, arXiv 2404.00498), narrower, with as many blocks as the picture has room for. The head
    starts at the prior instead of at random, and its features are divided by their number's root instead of by 9.

    Members are groups of the same convolutions. Unlike the networks of tables, a member in company ends a few bits off
    from the same member alone, because convolutions of one group are summed in another order. On a CPU groups save
    nothing, except the whitening, which all share.

    See `PictureNetwork` for shapes.
    """

    def __init__(self, members: int, layout: Layout, pixels: Tensor, outputs: int, config: ImageConfig) -> None:
        """pixels: training pictures, uint8 (s, C, H, W); a few thousand will do to fit the whitening to."""
        super().__init__(members)
        self.shrink = config.shrink
        pixels = self._shrunk(pixels)
        _, _, height, width = pixels.shape
        patch = min(config.patch, height, width)
        self.whitening = Whitening(pixels, patch, config.stride)
        side = [(size - patch) // config.stride + 1 for size in (height, width)]
        self.rows_at_once = rows_within(_WORK, 4 * self.whitening.outputs * side[0] * side[1], least=16, most=1024)
        blocks, channels = [], self.whitening.outputs
        for place, factor in enumerate(config.growth):
            units = max(1, round(config.width * factor))
            pools = min(side) >= 4
            blocks.append(Block(members, channels, units, shared=place == 0, pools=pools))
            side, channels = [size // 2 for size in side] if pools else side, units
        self.blocks = nn.ModuleList(blocks)
        self.features = channels
        self.set_head(layout, channels, outputs, config.embedding)

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """Shifts of normalisations learn faster."""
        faster = {name: (_SHIFT_RATE, 0.0) for name, _ in self.named_parameters() if name.endswith("norm.shift")}
        return {**super().factors(), **faster}

    def _shrunk(self, pictures: Tensor) -> Tensor:
        return pictures if self.shrink == 1 else functional.avg_pool2d(pictures.float(), self.shrink)

    def pooled(self, pictures: Tensor) -> Tensor:
        """The features of pictures, (M, n, F)."""
        inside = functional.gelu(self.whitening(self._shrunk(pictures)))
        for block in self.blocks:
            inside = block(inside)
        largest = inside.amax((2, 3)) / math.sqrt(self.features)
        return largest.view(-1, self.members, self.features).transpose(0, 1)


def build_cnn(config: ModelConfig, layout: Layout, outputs: int, members: int, rows: Encoded | None) -> ImageNetwork:
    """The network of pictures, its first layer fitted to training `rows`.

    Raises:
        ValueError: there are no rows, or they have no pictures.
    """
    places = layout.places("pictures")
    if rows is None or not places or not len(rows):
        raise ValueError("a cnn needs training rows with pictures")
    pixels = rows.media[places[0]][:_FITTED_TO]
    side = min(pixels.shape[2:])
    shrink = max(1, side // _SMALL)
    stride = 2 if side // shrink >= _STRIDED_FROM else 1
    network = ImageNetwork(
        members, layout, pixels, outputs, ImageConfig(width=config.width, stride=stride, shrink=shrink)
    )
    network.reads = places
    return network
