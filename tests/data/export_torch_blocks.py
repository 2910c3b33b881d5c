"""Normalization, attention and activations as PyTorch's two ONNX exporters spell them out.

Run ``python tests/data/export_torch_blocks.py`` after ``pip install 'torch==2.13.0' onnxscript onnx onnxruntime``.
"""

from __future__ import annotations

import numpy as np
import torch
from export_torch import SAMPLES, export, untrained
from recording import Arrays
from torch import nn
from torch.nn import functional


class RootMeanSquare(nn.Module):
    """RMS normalization as language models spell it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(torch.float32)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Encoder(nn.Module):
    """A causal transformer block by the functions that PyTorch has for it, then RMS normalization and a gate."""

    def __init__(self, width: int = 12, heads: int = 3, length: int = 6) -> None:
        super().__init__()
        self.heads = heads
        self.embedding = nn.Embedding(20, width)
        self.positions = nn.Parameter(torch.linspace(-1, 1, length * width).reshape(length, width).sin())
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.dense1 = nn.Linear(width, 2 * width)
        self.dense2 = nn.Linear(2 * width, width)
        self.norm3 = RootMeanSquare(width)
        self.gate = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) + self.positions
        shape = (*tokens.shape, 3, self.heads, -1)
        query, key, value = self.qkv(self.norm1(x)).reshape(shape).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        x = x + self.dense2(functional.gelu(self.dense1(self.norm2(x)), approximate="tanh"))
        value, gate = self.gate(self.norm3(x)).chunk(2, dim=-1)
        return self.head(functional.silu(value) * gate)


class Groups(nn.Module):
    """Group and instance normalization, Mish, hard-swish and L2 normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1)
        self.norm1 = nn.GroupNorm(3, 6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2)
        self.norm2 = nn.GroupNorm(1, 8, affine=False)
        self.norm3 = nn.InstanceNorm2d(8, affine=True)
        self.head = nn.Linear(8, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.mish(self.norm1(self.conv1(image)))
        x = functional.hardswish(self.norm2(self.conv2(x)))
        x = functional.relu(self.norm3(x)).mean(dim=(2, 3))
        return self.head(functional.normalize(x, dim=-1))


def main() -> None:
    """Write every file."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(5)
    words: Arrays = {"tokens": rng.integers(0, 20, size=(SAMPLES, 6))}
    images: Arrays = {"image": (rng.integers(-64, 65, size=(SAMPLES, 2, 8, 8)) / 32).astype(np.float32)}
    encoder, groups = untrained(Encoder(), 9), untrained(Groups(), 10)
    export("torch_script_encoder_opset16", encoder, words, dynamo=False, opset_version=16)
    export("torch_script_encoder_opset17", encoder, words, dynamo=False, opset_version=17)
    export("torch_dynamo_encoder_opset18", encoder, words, dynamo=True, opset_version=18)
    export("torch_dynamo_encoder_opset23", encoder, words, dynamo=True, opset_version=23)
    export("torch_script_groups_opset13", groups, images, dynamo=False, opset_version=13)
    export("torch_script_groups_opset17", groups, images, dynamo=False, opset_version=17)
    export("torch_dynamo_groups_opset18", groups, images, dynamo=True, opset_version=18)


if __name__ == "__main__":
    main()
