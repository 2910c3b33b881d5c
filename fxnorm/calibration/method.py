"""How a range is taken from data, as the user spells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from fxnorm.errors import UsageError

METHODS: Final = ("minmax", "percentile:P", "mse", "entropy")
DEFAULT_PERCENT: Final = 99.9


@dataclass(frozen=True, slots=True)
class Method:
    """One of `METHODS`.

    Attributes
    ----------
    name
        minmax (everything seen), percentile, mse or entropy.
    percent
        For percentile: how much of the data the range keeps; half of the rest is cut off at each end.
    """

    name: str
    percent: float = 100.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``minmax``, ``percentile`` (99.9), ``percentile:99.99``, ``mse`` or ``entropy``.

        Raises
        ------
        UsageError
            If it is none of them, or the percentage is not above 0 and at most 100.
        """
        name, colon, number = text.partition(":")
        if name in {"minmax", "mse", "entropy"} and not colon:
            return cls(name)
        if name != "percentile":
            raise UsageError(f"--calibration: must be one of {', '.join(METHODS)}, not {text!r}")
        if not colon:
            return cls(name, DEFAULT_PERCENT)
        try:
            percent = float(number)
        except ValueError:
            percent = 0.0
        if not 0.0 < percent <= 100.0:
            raise UsageError(
                f"--calibration {text}: the percentage must be above 0 and at most 100, not {number!r}; "
                "for example percentile:99.9"
            )
        return cls(name, percent)

    @property
    def needs_histogram(self) -> bool:
        """Whether minimum and maximum alone do not decide."""
        return self.name != "minmax"
