"""Train small digit classifiers in PyTorch and export them, with a labelled test split, as fxnorm's examples.

The data are the 1797 handwritten digits inside scikit-learn: 8 x 8 grey images, pixels 0..16. The networks, which
``digit_networks.py`` describes, take those pixels as they are. No host divides by 16 or standardizes: normalization
does it, in the network, and so it becomes a matter of fixed point.

Run ``python examples/train_digits.py``, or ``make examples``, which brings its own environment. It needs::

    pip install 'torch==2.13.0' scikit-learn onnx onnxruntime onnxscript

It trains on the CPU in a minute, always for the same number of epochs; the test split is looked at once, at the end.
With one seed and one version of PyTorch the weights come out the same on every run of one machine; another processor
may round a sum differently.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUIREMENT = "pip install 'torch==2.13.0' scikit-learn onnx onnxruntime onnxscript"

try:
    import numpy as np
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  (PyTorch's newer exporter needs it)
    import torch
    from digit_networks import EXAMPLES, Example
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torch import nn
except ModuleNotFoundError as missing:
    raise SystemExit(f"train_digits.py: {missing.name} is not installed; run: {REQUIREMENT}") from None

TEST_SAMPLES = 450
BATCH = 64
LEAST_ACCURACY = 0.96


@dataclass(frozen=True)
class Split:
    """Digits for training and for testing, every class in the same proportion in both.

    Attributes
    ----------
    train_images, test_images
        float32, (samples, 8, 8), whole numbers 0..16.
    train_labels, test_labels
        int64, (samples,), 0..9.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def split_digits(seed: int) -> Split:
    """Split scikit-learn's digits into 1347 for training and 450 for testing."""
    digits = load_digits()
    train_rows, test_rows = train_test_split(
        np.arange(len(digits.target)), test_size=TEST_SAMPLES, stratify=digits.target, random_state=seed
    )
    images = digits.images.astype(np.float32)
    labels = digits.target.astype(np.int64)
    return Split(images[train_rows], labels[train_rows], images[test_rows], labels[test_rows])


def train(network: nn.Module, example: Example, images: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """Fit ``network`` in place, for a fixed number of epochs, and leave it in evaluation mode.

    Parameters
    ----------
    network
        Maps (batch, ...) float32 images to (batch, 10) logits.
    example
        How long and how fast.
    images, labels
        float32 (samples, ...) and int64 (samples,).
    seed
        Orders the batches.
    """
    order = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    steps = example.epochs * -(-len(x) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=example.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=example.rate, total_steps=steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    for _ in range(example.epochs):
        for batch in torch.randperm(len(x), generator=order).split(BATCH):
            optimizer.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def export(network: nn.Module, example: Example, sample: torch.Tensor, path: Path) -> None:
    """Write ``network`` as ONNX: batch size free, normalizations as nodes of their own."""
    names = {"input_names": [example.input], "output_names": ["logits"], "opset_version": example.opset}
    how: dict[str, Any]
    if example.dynamo:
        shapes = ({0: torch.export.Dim("batch")},)
        how = {"dynamo": True, "dynamic_shapes": shapes, "external_data": False, "verbose": False}
    else:
        # Left as it is, batch normalizations included, which the exporter would otherwise fold into convolutions.
        keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        how = {"dynamo": False, "dynamic_axes": {example.input: {0: "batch"}, "logits": {0: "batch"}}, **keep}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter is deprecated, and the newer one warns of its own parts
        if not example.dynamo:
            torch.onnx.export(network, (sample,), str(path), **names, **how)
            return
        with tempfile.TemporaryDirectory() as folder:
            torch.onnx.export(network, (sample,), str(Path(folder) / "model.onnx"), **names, **how)
            model = onnx.load(Path(folder) / "model.onnx")
    # What the newer exporter records of the source names folders of this machine.
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    path.write_bytes(model.SerializeToString())


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of samples whose largest logit is the label's."""
    return float(np.mean(logits.argmax(axis=-1) == labels))


def make(name: str, split: Split, seed: int, out: Path) -> float:
    """Train, export and check one example; return its accuracy on the test split as onnxruntime computes it."""
    example = EXAMPLES[name]
    # All of them draw their first weights, one after the other, so that each draws the same whichever are trained.
    torch.manual_seed(seed)
    network = {key: entry.build() for key, entry in EXAMPLES.items()}[name]
    train(network, example, split.train_images.reshape(-1, *example.shape), split.train_labels, seed)

    test = split.test_images.reshape(-1, *example.shape)
    with torch.no_grad():
        logits = network(torch.from_numpy(test)).numpy()

    model = out / f"digits_{name}.onnx"
    data = out / f"{example.data}.npz"
    export(network, example, torch.from_numpy(test[:2]), model)
    arrays = {example.input: test, "labels": split.test_labels}
    np.savez_compressed(data, allow_pickle=False, **arrays)

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    exported = session.run(["logits"], {example.input: test})[0]
    difference = float(np.abs(exported - logits).max())
    in_torch, in_onnx = accuracy(logits, split.test_labels), accuracy(exported, split.test_labels)
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{model.name}: {parameters} parameters, {model.stat().st_size / 1024:.0f} KiB")
    print(f"  accuracy on {len(test)} test images: {in_torch:.4f} in PyTorch, {in_onnx:.4f} in onnxruntime")
    print(f"  largest difference between the two: {difference:.1e} of logits up to {np.abs(logits).max():.1f}")
    print(f"{data.name}: {data.stat().st_size / 1024:.0f} KiB")
    if difference > 1e-3:
        raise SystemExit(f"{model.name}: what was exported does not compute what PyTorch does (off by {difference:g})")
    return in_onnx


def main() -> int:
    """Train and export every example; 1 if one of them is not accurate enough to be one."""
    parser = argparse.ArgumentParser(
        description="Train small digit classifiers and export them to ONNX with a labelled test split.",
        epilog=f"needs: {REQUIREMENT}",
    )
    here = Path(__file__).resolve().parent
    parser.add_argument(
        "--out", type=Path, default=here, metavar="DIR", help="where to write; default: beside the script"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the batches; default: 0")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; default: all of {', '.join(EXAMPLES)}")
    arguments = parser.parse_args()
    chosen = arguments.names or list(EXAMPLES)
    if unknown := [name for name in chosen if name not in EXAMPLES]:
        parser.error(f"there is no example {', '.join(unknown)}; they are {', '.join(EXAMPLES)}")

    # Sums in a fixed order: one thread, deterministic kernels.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    split = split_digits(arguments.seed)
    reached = {name: make(name, split, arguments.seed, arguments.out) for name in chosen}
    poor = [name for name, value in reached.items() if value < LEAST_ACCURACY]
    if poor:
        print(f"below {LEAST_ACCURACY} accuracy: {', '.join(poor)}")
    return 1 if poor else 0


if __name__ == "__main__":
    raise SystemExit(main())
