"""Ranges that the FP32 model's values have on data, and the intervals that formats are fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fxnorm.calibration.entropy import entropy_threshold
from fxnorm.calibration.histogram import Histogram
from fxnorm.calibration.method import Method
from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest number of every value, and their distributions where those were asked for.

    One object serves any number of plans: nothing in it depends on a format.

    Attributes
    ----------
    low, high
        By value name; NaN where the value was NaN somewhere.
    samples
        How many samples were seen.
    model_sha256
        Whose values they are.
    data, data_sha256
        Where the samples came from, in words, and their digest.
    histograms
        By value name; empty where none were asked for.
    """

    low: Mapping[str, float]
    high: Mapping[str, float]
    samples: int
    model_sha256: str
    data: str
    data_sha256: str
    histograms: Mapping[str, Histogram] = field(default_factory=dict)

    def of(self, name: str) -> tuple[float, float]:
        """Range of a value."""
        if name not in self.low:
            raise PlanError(f"calibration: no range of {name} was taken; calibrate with the model that is planned")
        return self.low[name], self.high[name]

    def histogram(self, name: str) -> Histogram:
        """Distribution of a value."""
        if name not in self.histograms:
            raise PlanError(
                f"calibration: no histogram of {name} was taken, which every method but minmax needs; calibrate with histograms"
            )
        return self.histograms[name]

    def interval(self, name: str, method: Method, format_: Format) -> tuple[float, float]:
        """Part of a value's range that a format should hold; for mse, where the format itself decides, all of it.

        Percentile keeps the given share of the data and cuts half of the rest off at each end (so does ONNX Runtime's
        PercentileCalibrater for ranges that need not be symmetric). Entropy is one threshold for both signs, see `entropy_threshold`.
        """
        low, high = self.of(name)
        if method.name in {"minmax", "mse"}:
            return low, high
        histogram = self.histogram(name)
        if not histogram.counts.size:
            return low, high
        if method.name == "percentile":
            tail = (100.0 - method.percent) / 200.0
            return histogram.quantile(tail), histogram.quantile(1.0 - tail)
        threshold = entropy_threshold(histogram, 1 << (format_.width - format_.signed))
        return max(low, -threshold), min(high, threshold)
