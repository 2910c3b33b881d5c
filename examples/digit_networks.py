"""The networks that ``train_digits.py`` trains, untrained, and how each one is to be trained and exported.

``dense``
    64 -> 32 -> 16 -> 10, batch normalization before each ReLU.
``conv``
    two padded 3 x 3 convolutions of 8 and 16 channels, each with batch normalization and ReLU; a 2 x 2 maximum pooling
    after the first, a stride of 2 in the second; then one dense layer.
``vit``
    a vision transformer: 16 patches of 2 x 2 pixels, learned positions, two encoder blocks (layer normalization before
    attention of 4 heads and before a GELU perceptron, each added to what went in), layer normalization, the mean over
    the patches, one dense layer.
``groupnorm``, ``instancenorm``
    two padded 3 x 3 convolutions of 12 and 24 channels, the second with a stride of 2, each followed by group
    normalization (groups of 3 channels) or instance normalization, and by ReLU; then one dense layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Example:
    """One network to train.

    Attributes
    ----------
    input, shape
        Name of its input and the shape of one sample.
    build
        Makes it; the first weights come from PyTorch's global seed.
    data
        Stem of the archive of test images, which networks with the same input share.
    rate
        Largest learning rate.
    epochs
        How often every image is seen.
    opset
        Version of the exported file.
    dynamo
        Whether PyTorch's newer exporter writes it: the older one knows no GroupNormalization, the newer one folds batch
        normalizations into convolutions by itself, which is what these examples are to show.
    """

    input: str
    shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    data: str
    rate: float = 1e-2
    epochs: int = 80
    opset: int = 17
    dynamo: bool = False


def dense() -> nn.Module:
    """Named layers give readable ONNX node names. No bias stands before a batch normalization: its own shift does that."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            dense1=nn.Linear(64, 32, bias=False),
            bn1=nn.BatchNorm1d(32),
            relu1=nn.ReLU(),
            dense2=nn.Linear(32, 16, bias=False),
            bn2=nn.BatchNorm1d(16),
            relu2=nn.ReLU(),
            dense3=nn.Linear(16, 10),
        )
    )


def conv() -> nn.Module:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(1, 8, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(8),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
            bn2=nn.BatchNorm2d(16),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            dense=nn.Linear(64, 10),
        )
    )


def groupnorm() -> nn.Module:
    return _normalized(nn.GroupNorm(4, 12), nn.GroupNorm(8, 24))


def instancenorm() -> nn.Module:
    return _normalized(nn.InstanceNorm2d(12, affine=True), nn.InstanceNorm2d(24, affine=True))


def _normalized(norm1: nn.Module, norm2: nn.Module) -> nn.Module:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(1, 12, 3, padding=1),
            norm1=norm1,
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(12, 24, 3, stride=2, padding=1),
            norm2=norm2,
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            dense=nn.Linear(24 * 16, 10),
        )
    )


class Attention(nn.Module):
    """Attention of several heads, spelled as two matrix products and a softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.depth = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, tokens, width] as [batch, heads, tokens, depth]."""
        return x.reshape(-1, x.shape[1], self.heads, self.depth).permute(0, 2, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the tokens of x, [batch, tokens, width]."""
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = query @ key.transpose(-2, -1) / self.depth**0.5
        mixed = scores.softmax(dim=-1) @ value
        return self.project(mixed.permute(0, 2, 1, 3).reshape(-1, x.shape[1], self.heads * self.depth))


class Block(nn.Module):
    """One encoder block, normalization first."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict[str, nn.Module](
                dense1=nn.Linear(width, hidden), gelu=nn.GELU(), dense2=nn.Linear(hidden, width)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Work on the tokens of x, [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Patches, positions, encoder blocks, the mean over the tokens, one dense layer."""

    def __init__(self, width: int = 32, heads: int = 4, hidden: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        with torch.no_grad():
            self.patches.weight /= 8  # pixels reach 16, and positions are to count from the start
        self.positions = nn.Parameter(0.5 * torch.randn(1, 16, width))
        self.blocks = nn.Sequential(*(Block(width, heads, hidden) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of the classes of images, [batch, 1, 8, 8]."""
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))


EXAMPLES: dict[str, Example] = {
    "dense": Example("pixels", (64,), dense, "digits_dense_test"),
    "conv": Example("image", (1, 8, 8), conv, "digits_conv_test"),
    "vit": Example("image", (1, 8, 8), VisionTransformer, "digits_conv_test", rate=3e-3, epochs=60),
    "groupnorm": Example("image", (1, 8, 8), groupnorm, "digits_conv_test", opset=21, dynamo=True),
    "instancenorm": Example("image", (1, 8, 8), instancenorm, "digits_conv_test"),
}
