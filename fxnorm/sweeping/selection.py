"""Which configurations of a sweep a gate is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.planning.settings import PLAN_KEYS
from fxnorm.sweeping.alternatives import DEFAULT, alternatives, numbers
from fxnorm.sweeping.configuration import Configuration

NUMBERS: Final = ("width", "integer_bits", "fraction_bits")
KEYS: Final = (*NUMBERS, *(name for name in PLAN_KEYS if name != "layers"))


@dataclass(frozen=True)
class Selection:
    """Configurations whose options have certain values; all of them where nothing is said.

    Attributes
    ----------
    wanted
        Values by option; None is an option that is not given.
    """

    wanted: tuple[tuple[str, frozenset[Any]], ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str]) -> Selection:
        """Read KEY=VALUE,VALUE texts, all of which must hold.

        Raises
        ------
        UsageError
            If one is misspelled or its key is no option.
        """
        found = []
        for text in texts:
            name, equals, values = text.partition("=")
            key = name.strip().replace("-", "_")
            if not equals or not values or key not in KEYS:
                keys = ", ".join(key.replace("_", "-") for key in KEYS)
                raise UsageError(f"--gate-on: must be KEY=VALUE with one of the keys {keys}, not {text!r}")
            if key in NUMBERS:
                found.append((key, frozenset[Any](numbers("--gate-on", values))))
            else:
                listed = alternatives(values, separator=";" if key == "input_transform" else ",")
                found.append((key, frozenset[Any](None if one == DEFAULT else one for one in listed)))
        return cls(tuple(found))

    def holds(self, configuration: Configuration) -> bool:
        """Whether a configuration is one of them."""
        for key, values in self.wanted:
            value = getattr(configuration, key) if key in NUMBERS else configuration.options.get(key)
            if value not in values:
                return False
        return True

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Refuse to select nothing.

        Raises
        ------
        UsageError
            If there is none.
        """
        if self.wanted and not any(self.holds(one) for one in configurations):
            names = ", ".join(one.name for one in configurations[:8])
            raise UsageError(f"--gate-on: must hold for a configuration of the sweep, and holds for none of {names}, …")
