"""Two small networks through both of PyTorch's ONNX exporters, old and new opsets, free and fixed batch.

Run ``python tests/data/export_torch.py`` after ``pip install 'torch==2.13.0' onnxscript onnx onnxruntime``.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from recording import Arrays, save
from torch import nn
from torch.nn import functional

SAMPLES = 5


class Image(nn.Module):
    """A residual network as people write them: functional calls, and a view with the batch taken from the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.mix = nn.Conv2d(16, 8, 3)
        self.hidden = nn.Linear(8 * 3 * 3, 12)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(12, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.norm(self.stem(image)))
        x = x + self.pointwise(functional.leaky_relu(self.depthwise(x), 0.1))
        small = functional.avg_pool2d(x, 2)
        large = functional.interpolate(small, scale_factor=2, mode="nearest")
        x = functional.relu(self.mix(torch.cat([x, large], dim=1)))
        x = functional.max_pool2d(x, 2)
        x = x.view(x.shape[0], -1)
        x = functional.dropout(functional.hardswish(self.hidden(x)), 0.5, training=self.training)
        return self.head(self.drop(x))


class Tokens(nn.Module):
    """An embedding, a dilated 1-D convolution, half of its channels gating the others, the mean over time, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(32, 6)
        self.conv = nn.Conv1d(6, 16, 3, padding=2, dilation=2)
        self.norm = nn.BatchNorm1d(16)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens).permute(0, 2, 1)
        value, gate = self.norm(self.conv(x)).chunk(2, dim=1)
        x = functional.gelu(value) * torch.sigmoid(gate)
        x = x[:, :, 1:].mean(dim=-1)
        return functional.softmax(self.head(x), dim=-1)


def untrained(network: nn.Module, seed: int) -> nn.Module:
    """Return ``network`` for evaluation, with weights that use their range and statistics that differ by channel."""
    generator = torch.Generator().manual_seed(seed)

    def fill(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                fill(module.weight, 0.5, 1.5)
                fill(module.bias, -0.5, 0.5)
                fill(module.running_mean, -0.5, 0.5)
                fill(module.running_var, 0.3, 2.0)
            elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                reach = (6 / module.weight[0].numel()) ** 0.5
                fill(module.weight, -reach, reach)
                if module.bias is not None:
                    fill(module.bias, -0.2, 0.2)
            elif isinstance(module, nn.Embedding):
                fill(module.weight, -2.0, 2.0)
    return network.eval()


def export(
    name: str, network: nn.Module, inputs: Arrays, *, dynamo: bool, batch: int | None = None, **how: Any
) -> None:
    """Export by one of the two exporters, with a free batch unless ``batch`` fixes it, and record PyTorch's results."""
    ((key, array),) = inputs.items()
    x = torch.from_numpy(array)
    with torch.no_grad():
        outputs = {"scores": network(x).numpy()}
    if dynamo:
        how |= {"external_data": False, "verbose": False}
        if batch is None:
            how["dynamic_shapes"] = {key: {0: torch.export.Dim("batch")}}
    elif batch is None:
        how["dynamic_axes"] = {key: {0: "batch"}, "scores": {0: "batch"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter is deprecated, and its files are what people have
        path = Path(folder) / "model.onnx"
        names = {"input_names": [key], "output_names": ["scores"]}
        torch.onnx.export(network, (x[:batch],), str(path), dynamo=dynamo, **names, **how)
        save(name, onnx.load(path), inputs, outputs)


def main() -> None:
    """Write every file."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(3)
    # Multiples of 1/32, which compress well.
    images = {"image": (rng.integers(-64, 65, size=(SAMPLES, 3, 16, 16)) / 32).astype(np.float32)}
    words = {"tokens": rng.integers(0, 32, size=(SAMPLES, 12))}
    image, tokens = untrained(Image(), 7), untrained(Tokens(), 8)
    unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}

    export("torch_dynamo_image", image, images, dynamo=True)
    export("torch_dynamo_image_unoptimized", image, images, dynamo=True, optimize=False)
    export("torch_dynamo_image_batch1", image, images, dynamo=True, batch=1)
    export("torch_script_image_opset17", image, images, dynamo=False, opset_version=17)
    export("torch_script_image_opset13_unfolded", image, images, dynamo=False, opset_version=13, **unfolded)
    export(
        "torch_script_image_opset9_weights_as_inputs",
        image,
        images,
        dynamo=False,
        batch=1,
        opset_version=9,
        keep_initializers_as_inputs=True,
    )
    export("torch_dynamo_tokens", tokens, words, dynamo=True)
    export("torch_dynamo_tokens_unoptimized", tokens, words, dynamo=True, optimize=False)
    export("torch_script_tokens_opset12", tokens, words, dynamo=False, opset_version=12)


if __name__ == "__main__":
    main()
