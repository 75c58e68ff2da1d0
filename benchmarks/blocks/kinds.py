"""The kinds of module the block format is measured on, each with a builder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of module: how to build a small one, and what it takes and gives.

    example: arguments, where the signature cannot say them (sequences of tokens, dictionaries).
    """

    name: str
    build: Callable[[], nn.Module]
    signature: str
    example: Callable[[], tuple[Any, ...]] | None = None


class Residual(nn.Module):
    """x + branch(x), then an activation."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.branch(x) + self.shortcut(x))


def conv_norm(a: int, b: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias and batch norm."""
    conv = nn.Conv2d(a, b, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b))


def basic_block(a: int, b: int, stride: int = 1) -> Residual:
    """The block of ResNet-18. He et al. 2016."""
    branch = nn.Sequential(*conv_norm(a, b, 3, stride), nn.ReLU(inplace=True), *conv_norm(b, b))
    shortcut = conv_norm(a, b, 1, stride) if stride != 1 or a != b else None
    return Residual(branch, shortcut)


def conv4(channels: int = 64, image_channels: int = 1) -> nn.Sequential:
    """Four blocks of convolution, batch norm, ReLU and pooling. Vinyals et al. 2016."""
    layers: list[nn.Module] = []
    for inputs in (image_channels, channels, channels, channels):
        layers += [
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*layers, nn.Flatten())


def resnet12() -> nn.Module:
    """Four blocks of three convolutions, pooled after each. Lee et al. 2019 (narrow)."""
    blocks: list[nn.Module] = []
    for a, b in ((3, 8), (8, 16), (16, 24), (24, 32)):
        branch = nn.Sequential(
            *conv_norm(a, b), nn.LeakyReLU(0.1), *conv_norm(b, b), nn.LeakyReLU(0.1),
            *conv_norm(b, b),
        )  # fmt: skip
        blocks += [Residual(branch, conv_norm(a, b, 1)), nn.MaxPool2d(2), nn.Dropout(0.1)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet18() -> nn.Module:
    """ResNet-18 of a quarter of the width."""
    widths = (16, 32, 64, 128)
    blocks: list[nn.Module] = [*conv_norm(3, 16, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 16
    for width in widths:
        blocks += [basic_block(before, width, 1 if width == 16 else 2), basic_block(width, width)]
        before = width
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class SqueezeExcite(nn.Module):
    """Channels weighed by what their means say. Hu et al. 2018."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, 4), nn.Linear(4, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.up(functional.relu(self.down(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


class ConvNextBlock(nn.Module):
    """Depthwise convolution, layer norm over channels, two linear maps. Liu et al. 2022."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen, self.narrow = nn.Linear(channels, 32), nn.Linear(32, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(functional.gelu(self.widen(y)))
        moved: Tensor = x + y.permute(0, 3, 1, 2)
        return moved


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` of a sequence with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return y


class CausalAttention(nn.Module):
    """Attention to what came before, through scaled_dot_product_attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.project(x).chunk(3, dim=-1)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed: Tensor = self.out(y.transpose(1, 2).reshape(batch, length, width))
        return mixed


class TransformerBlock(nn.Module):
    """Pre-norm attention and a feed-forward net, each added."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention
        self.feed = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        y: Tensor = x + self.feed(self.second(x))
        return y


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, two blocks. Dosovitskiy et al. 2021."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 17, 16) * 0.02)
        self.blocks = nn.Sequential(*(TransformerBlock(16, SelfAttention()) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(y.shape[0], -1, -1), y], 1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(y))[:, 0])
        return logits


class Gpt(nn.Module):
    """Two causal blocks over tokens; the output shares the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(32, 16), nn.Embedding(12, 16)
        blocks = (TransformerBlock(16, CausalAttention(16, 4)) for _ in range(2))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 32, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.positions(places)
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits


class LastState(nn.Module):
    """The last output of a recurrent net."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        last: Tensor = self.net(x)[0][:, -1]
        return last


class CosineHead(nn.Module):
    """Cosine similarity to a vector per class, scaled. Gidaris and Komodakis 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.randn(5, 16))
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * functional.normalize(x) @ functional.normalize(self.classes).T


class PairBilinear(nn.Module):
    """`nn.Bilinear` of a vector with its reverse."""

    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(8, 8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bilinear(x, x.flip(1))
        return y


class Lora(nn.Module):
    """A frozen linear map and a trained one of low rank. Hu et al. 2022."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(16, 8).requires_grad_(False)
        self.down = nn.Parameter(torch.randn(2, 16) * 0.1)
        self.up = nn.Parameter(torch.randn(8, 2) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base(x) + 2.0 * (x @ self.down.T @ self.up.T)
        return y


class Film(nn.Module):
    """Features scaled and shifted by a condition. Perez et al. 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = nn.Linear(6, 16)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition).chunk(2, dim=1)
        return functional.relu(self.conv(image) * scale[..., None, None] + shift[..., None, None])


class UNet(nn.Module):
    """One level down and up again with a skip. Ronneberger et al. 2015."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.down = conv_norm(1, 4), conv_norm(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.leave = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = functional.relu(self.enter(x))
        deep = functional.relu(self.down(functional.max_pool2d(skip, 2)))
        y: Tensor = self.leave(torch.cat([skip, self.up(deep)], 1))
        return y


class DeepSets(nn.Module):
    """A function of the mean of a function. Zaheer et al. 2017."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.all = nn.Linear(6, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.all(functional.relu(self.each(x)).mean(1))
        return y


class DistanceHead(nn.Module):
    """Minus the distance to a vector per class, through torch.cdist."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.randn(5, 16))

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(x, self.classes)


class Einsum(nn.Module):
    """A tensor contraction written as einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.Parameter(torch.randn(6, 5, 4) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bij,jkl->bikl", x, self.core).flatten(1)


class SinusoidalPositions(nn.Module):
    """A sequence plus sines of its positions. Vaswani et al. 2017."""

    def __init__(self, length: int = 12, width: int = 16) -> None:
        super().__init__()
        place = torch.arange(length)[:, None]
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        table = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], -1).flatten(1)
        self.register_buffer("table", table, persistent=False)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(x + self.get_buffer("table")[: x.shape[1]])
        return y


class SpectralConv(nn.Module):
    """A product with learned numbers in frequency. Li et al. 2021."""

    def __init__(self) -> None:
        super().__init__()
        self.real = nn.Parameter(torch.randn(4, 4, 5) * 0.3)
        self.imaginary = nn.Parameter(torch.randn(4, 4, 5) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.fft.rfft(x)[..., :5]
        weight = torch.complex(self.real, self.imaginary)
        mixed = torch.einsum("bik,iok->bok", waves, weight)
        y: Tensor = torch.fft.irfft(mixed, n=x.shape[-1])
        return y


class Mixture(nn.Module):
    """Experts that all run, weighed by a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(8, 6) for _ in range(3))
        self.gate = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        answers = torch.stack([expert(x) for expert in self.experts], 1)
        weights = torch.softmax(self.gate(x), -1)
        return (weights[..., None] * answers).sum(1)


class Trees(nn.Module):
    """Takes a dictionary and a tuple; gives a dictionary with a tuple in it."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, named: Mapping[str, Tensor], pair: tuple[Tensor, Tensor]) -> dict[str, Any]:
        one, other = self.left(named["a"]) + pair[0], self.right(named["b"]) * pair[1]
        return {"sum": one + other, "both": (one, other)}


def _activations() -> nn.Module:
    kinds = (
        nn.ReLU(), nn.GELU(), nn.SiLU(), nn.ELU(), nn.Hardswish(), nn.Tanh(), nn.LeakyReLU(0.1),
        nn.Sigmoid(), nn.Softplus(), nn.ReLU6(), nn.PReLU(), nn.Mish(), nn.SELU(),
    )  # fmt: skip
    layers: list[nn.Module] = []
    for kind in kinds:
        layers += [nn.Linear(8, 8), kind]
    return nn.Sequential(*layers)


def _pooling() -> nn.Module:
    return nn.Sequential(
        nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1), nn.MaxPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(18, 4),
    )  # fmt: skip


def _around(layer: nn.Module, channels: int = 8) -> nn.Module:
    """A normalisation or the like between two convolutions, with dropout of channels."""
    first, last = nn.Conv2d(3, channels, 3), nn.Conv2d(channels, 2, 3, stride=2)
    return nn.Sequential(first, layer, nn.ReLU(inplace=True), last)


def _tokens(length: int = 7) -> tuple[Tensor, ...]:
    return (torch.arange(3 * length).reshape(3, length) % 32,)


IMAGE = "image[3,12,12] -> image[2,4,4]"
SEQUENCE = "table[12,16] -> table[12,16]"

KINDS: tuple[Kind, ...] = (
    Kind("linear", lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)),
         "vec[8] -> logits[4]"),
    Kind("conv1d", lambda: nn.Sequential(nn.Conv1d(3, 6, 5, 2, 2, 1), nn.ReLU(),
         nn.Conv1d(6, 4, 3, dilation=2, padding="same")), "table[3,20] -> table[4,10]"),
    Kind("conv2d", lambda: _around(nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")), IMAGE),
    Kind("conv3d", lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(1)),
         "table[1,5,6,7] -> vec[240]"),
    Kind("conv_transpose2d", lambda: nn.ConvTranspose2d(3, 4, 3, 2, 1, 1),
         "image[3,5,6] -> image[4,10,12]"),
    Kind("depthwise_conv", lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4),
         nn.Conv2d(8, 2, 1)),
         "image[4,6,6] -> image[2,4,4]"),
    Kind("grouped_conv", lambda: nn.Conv2d(6, 8, 3, groups=2), "image[6,6,6] -> image[8,4,4]"),
    Kind("batch_norm", lambda: _around(nn.BatchNorm2d(8)), IMAGE),
    Kind("group_norm", lambda: _around(nn.GroupNorm(4, 8)), IMAGE),
    Kind("layer_norm", lambda: nn.Sequential(nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 4)),
         "vec[8] -> vec[4]"),
    Kind("instance_norm", lambda: _around(nn.InstanceNorm2d(8, affine=True)), IMAGE),
    Kind("rms_norm", lambda: nn.Sequential(nn.Linear(8, 6), nn.RMSNorm(6), nn.Linear(6, 4)),
         "vec[8] -> vec[4]"),
    Kind("pooling", _pooling, "image[3,12,12] -> vec[4]"),
    Kind("upsample", lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3),
         nn.Upsample(size=(9, 7), mode="bilinear", align_corners=False)),
         "image[3,4,4] -> image[4,9,7]"),
    Kind("embedding", lambda: nn.Sequential(nn.Embedding(32, 8), nn.Linear(8, 4)),
         "table[7] -> table[7,4]", _tokens),
    Kind("embedding_bag", lambda: nn.EmbeddingBag(32, 8, mode="mean"), "table[7] -> vec[8]",
         _tokens),
    Kind("activations", _activations, "vec[8] -> vec[8]"),
    Kind("softmax", lambda: nn.Sequential(nn.Linear(8, 5), nn.Softmax(-1), nn.Linear(5, 4),
         nn.LogSoftmax(1)), "vec[8] -> logits[4]"),
    Kind("dropout", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(0.2), nn.Flatten(),
         nn.Dropout(0.5), nn.Linear(64, 4)), "image[3,6,6] -> vec[4]"),
    Kind("residual_block", lambda: basic_block(3, 8, 2), "image[3,8,8] -> image[8,4,4]"),
    Kind("conv4", lambda: conv4(16), "image[1,28,28] -> vec[16]"),
    Kind("resnet12", resnet12, "image[3,32,32] -> vec[32]"),
    Kind("resnet18", resnet18, "image[3,32,32] -> logits[10]"),
    Kind("wide_resnet_block", lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True),
         nn.Conv2d(4, 8, 3, padding=1), nn.Dropout(0.3), nn.BatchNorm2d(8), nn.ReLU(),
         nn.Conv2d(8, 8, 3, padding=1)), "image[4,6,6] -> image[8,6,6]"),
    Kind("squeeze_excite", lambda: SqueezeExcite(8), "image[8,5,5] -> image[8,5,5]"),
    Kind("mobilenet_block", lambda: nn.Sequential(*conv_norm(4, 16, 1), nn.ReLU6(inplace=True),
         *conv_norm(16, 16, 3, 2, 16), nn.ReLU6(inplace=True), *conv_norm(16, 6, 1)),
         "image[4,8,8] -> image[6,4,4]"),
    Kind("convnext_block", lambda: ConvNextBlock(8), "image[8,8,8] -> image[8,8,8]"),
    Kind("multihead_attention", SelfAttention, SEQUENCE),
    Kind("transformer_encoder_layer", lambda: nn.TransformerEncoderLayer(16, 4, 32, 0.1,
         batch_first=True), SEQUENCE),
    Kind("vit", VisionTransformer, "image[3,16,16] -> logits[10]"),
    Kind("gpt", Gpt, "table[7] -> table[7,32]", _tokens),
    Kind("gru", lambda: LastState(nn.GRU(16, 8, batch_first=True)), "table[12,16] -> vec[8]"),
    Kind("lstm", lambda: LastState(nn.LSTM(16, 8, batch_first=True)), "table[12,16] -> vec[8]"),
    Kind("cosine_head", CosineHead, "vec[16] -> logits[5]"),
    Kind("bilinear", PairBilinear, "vec[8] -> vec[4]"),
    Kind("lora", Lora, "vec[16] -> vec[8]"),
    Kind("adapter", lambda: nn.Sequential(nn.Linear(16, 16), Residual(nn.Sequential(
         nn.LayerNorm(16), nn.Linear(16, 4), nn.GELU(), nn.Linear(4, 16)))), "vec[16] -> vec[16]"),
    Kind("film", Film, "image[3,6,6] -> vec[6] -> image[8,6,6]"),
    Kind("unet", UNet, "image[1,8,8] -> image[1,8,8]"),
    Kind("deep_sets", DeepSets, "table[9,6] -> vec[4]"),
    Kind("cdist_head", DistanceHead, "vec[16] -> logits[5]"),
    Kind("einsum", Einsum, "table[3,6] -> vec[60]"),
    Kind("pixel_shuffle", lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2)),
         "image[3,6,6] -> image[2,8,8]"),
    Kind("sinusoidal_positions", SinusoidalPositions, SEQUENCE),
    Kind("spectral_conv", SpectralConv, "table[4,16] -> table[4,16]"),
    Kind("mixture_of_experts", Mixture, "vec[8] -> vec[6]"),
    Kind("trees", Trees, "vec[4] -> vec[3]", lambda: ({"a": torch.zeros(3, 4),
         "b": torch.zeros(3, 5)}, (torch.zeros(3, 3), torch.zeros(3, 3)))),
)  # fmt: skip
"""Every kind, in the order of the documentation."""
