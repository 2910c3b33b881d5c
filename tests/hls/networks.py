"""Whole networks with which emitted C++ is compared: trained examples, and models of the MLPerf Tiny benchmark and the like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MODELS = ROOT.parent / "shared" / "models"
"""Folder of models that are no part of the repository."""
FRAMES = 45


@dataclass(frozen=True)
class Network:
    """A model, its samples, and how many of them are run.

    Attributes
    ----------
    model
        Its file.
    data
        Labelled samples; None: numbers drawn from `range`.
    range
        Of the numbers that its inputs hold.
    frames
        Samples that are run.
    dense
        Whether it is small and dense enough for a design without streams.
    """

    model: Path
    data: Path | None = None
    range: tuple[float, float] = (-1.0, 1.0)
    frames: int = FRAMES
    dense: bool = False

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.stem

    @property
    def there(self) -> bool:
        """Whether its files are."""
        return self.model.is_file() and (self.data is None or self.data.is_file())


DIGITS = EXAMPLES / "digits_conv_test.npz"
NETWORKS = (
    Network(EXAMPLES / "digits_dense.onnx", EXAMPLES / "digits_dense_test.npz", dense=True),
    Network(EXAMPLES / "digits_conv.onnx", DIGITS),
    Network(EXAMPLES / "digits_groupnorm.onnx", DIGITS),
    Network(EXAMPLES / "digits_instancenorm.onnx", DIGITS),
    Network(EXAMPLES / "digits_vit.onnx", DIGITS),
    Network(MODELS / "sww.onnx", MODELS / "sww_samples.npz"),
    Network(MODELS / "dscnn.onnx", range=(-120.0, 30.0)),
    Network(MODELS / "ad_autoencoder.onnx", range=(-80.0, 0.0), dense=True),
    Network(MODELS / "resnet8.onnx", range=(0.0, 255.0)),
)
