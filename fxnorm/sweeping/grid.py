"""What a sweep is asked for, and the configurations that it stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from fxnorm.calibration import Ranges
from fxnorm.errors import FxnormError, UsageError
from fxnorm.lowering.network import Network
from fxnorm.planning.options import LayerRule, Options
from fxnorm.planning.settings import PLAN_KEYS, option_name
from fxnorm.sweeping.alternatives import DEFAULT, alternatives, numbers
from fxnorm.sweeping.configuration import LAYER, Configuration

MOST_CONFIGURATIONS: Final = 100_000
WIDTHS: Final = range(1, 33)

Value = str | int | None


@dataclass(frozen=True)
class Grid:
    """Alternatives of every option; each combination of them is a configuration.

    Attributes
    ----------
    formats
        Formats of data; empty where widths are given.
    widths
        Widths of signed formats.
    integer_bits
        Of these, sign included; empty: those that hold every value of the calibration data, see `fitting_bits`.
    options
        Alternatives by the option's name in `Options`; None is an option that is not given.
    layers
        Rules for layers, each with its alternatives; None is a rule that does not hold.
    """

    formats: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    integer_bits: tuple[int, ...] = ()
    options: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    layers: tuple[tuple[str, tuple[str | None, ...]], ...] = ()

    @classmethod
    def read(cls, chosen: Mapping[str, Any], width: Any = None, integer_bits: Any = None) -> Grid:
        """Read what a command line, a file or the Python interface has.

        Parameters
        ----------
        chosen
            By the names of `Options`: a text with alternatives, or a sequence of them. `layers` are texts NAME:KEY=VALUE,VALUE.
        width, integer_bits
            A text such as "4:16", a number, or numbers.

        Raises
        ------
        UsageError
            If there is neither a format nor a width, or both, or something cannot be read.
        """
        for name in chosen:
            if name not in PLAN_KEYS:
                raise UsageError(f"sweep: there is no option {name!r}; the options are {', '.join(sorted(PLAN_KEYS))}")
        formats = _texts("format", chosen.get("format"))
        if width is not None and formats:
            raise UsageError("sweep: --width and --formats both say which formats are swept; give one of them")
        if width is None and not formats:
            raise UsageError("sweep: --width or --formats must say what is swept, for example --width 4:16")
        if width is None and integer_bits is not None:
            raise UsageError("sweep: --integer-bits goes with --width; a format has its own")
        if None in formats:
            raise UsageError("--formats: must be formats, and none is the default; for example --formats q5.3,q4.4")
        widths = _numbers("--width", width)
        for one in widths:
            if one not in WIDTHS:
                raise UsageError(f"--width: must lie in {WIDTHS[0]}..{WIDTHS[-1]}, not {one}")
        options = {
            name: _texts(name, chosen[name])
            for name in PLAN_KEYS
            if name not in ("format", "layers") and name in chosen
        }
        grid = cls(
            tuple(str(text) for text in formats),
            widths,
            _numbers("--integer-bits", integer_bits),
            {name: values for name, values in options.items() if values},
            tuple(_rule(text) for text in chosen.get("layers") or ()),
        )
        if len(grid) > MOST_CONFIGURATIONS:
            raise UsageError(
                f"sweep: must be at most {MOST_CONFIGURATIONS:,} configurations, not {len(grid):,}; sweep less at a time"
            )
        return grid

    def __len__(self) -> int:
        data = len(self.formats) or len(self.widths) * max(1, len(self.integer_bits))
        return data * math.prod(
            len(values) for values in (*self.options.values(), *(values for _, values in self.layers))
        )

    @property
    def axes(self) -> dict[str, list[Value]]:
        """What has more than one value, in the order in which it varies, the last one fastest."""
        found: dict[str, list[Value]] = {"format": list(self.formats), "width": list(self.widths)}
        found["integer_bits"] = list(self.integer_bits)
        found.update({name: list(values) for name, values in self.options.items()})
        for rule, values in self.layers:
            found[f"{LAYER}{rule}"] = list(values)
        return {name: values for name, values in found.items() if len(values) > 1}

    def record(self) -> dict[str, Any]:
        """The request as plain data."""
        return {
            "formats": list(self.formats),
            "width": list(self.widths),
            "integer_bits": list(self.integer_bits),
            "options": {name: list(values) for name, values in self.options.items()},
            "layers": [[rule, list(values)] for rule, values in self.layers],
        }

    def fits(self) -> bool:
        """Whether integer bits follow from data."""
        return bool(self.widths) and not self.integer_bits

    def settings(self, fitting: int | None = None) -> list[tuple[dict[str, Value], dict[str, Any]]]:
        """What varies, and keyword arguments of `Options.make`, of every configuration.

        Parameters
        ----------
        fitting
            Integer bits where they follow from data.
        """
        formats: list[tuple[str, dict[str, Value]]] = [(text, {"format": text}) for text in self.formats]
        for width, bits in product(self.widths, self.integer_bits or ([] if fitting is None else [fitting])):
            formats.append((f"q{bits}.{width - bits}", {"width": width, "integer_bits": bits}))
        axes = self.axes
        found = []
        for (text, varied), values, rules in product(
            formats, product(*self.options.values()), product(*(values for _, values in self.layers))
        ):
            chosen: dict[str, Any] = {"format": text, **dict(zip(self.options, values, strict=True))}
            named = [(rule, value) for (rule, _), value in zip(self.layers, rules, strict=True)]
            chosen["layers"] = [f"{rule}={value}" for rule, value in named if value is not None]
            everything = {**varied, **chosen, **{f"{LAYER}{rule}": value for rule, value in named}}
            found.append(({name: everything[name] for name in axes}, chosen))
        return found


def configurations(
    grid: Grid, reproduce: Callable[[Options], str], check: Callable[[Options], None], fitting: int | None = None
) -> list[Configuration]:
    """Every configuration of a grid, those that contradict themselves with the reason.

    Parameters
    ----------
    reproduce
        Makes the command line that runs one of them.
    check
        Refuses options that no plan of the network can have.
    fitting
        Integer bits where they follow from data.

    Raises
    ------
    FxnormError
        If a value of some option is wrong by itself, or every configuration is refused.
    """
    found: dict[str, Configuration] = {}
    errors: dict[str, FxnormError] = {}
    for varied, chosen in grid.settings(fitting):
        made, error = _made(chosen, check)
        one = Configuration.of(len(found), varied, chosen, made, None if error is None else str(error), reproduce)
        if one.id in found:
            continue
        found[one.id] = one
        if error is not None:
            errors[one.id] = error
    _refuse_what_never_holds(found.values(), errors, check)
    return list(found.values())


def _made(chosen: Mapping[str, Any], check: Callable[[Options], None]) -> tuple[Options | None, FxnormError | None]:
    made = None
    try:
        made = Options.make(**chosen)
        check(made)
    except FxnormError as error:
        return made, error
    return made, None


def _refuse_what_never_holds(
    found: Collection[Configuration], errors: Mapping[str, FxnormError], check: Callable[[Options], None]
) -> None:
    """Refuse a value that is wrong by itself; one that is right by itself may contradict all others there are."""
    if len(errors) == len(found):
        raise next(iter(errors.values()))
    by_value: dict[tuple[str, Value], list[Configuration]] = {}
    for one in found:
        for axis, value in one.varied.items():
            by_value.setdefault((axis, value), []).append(one)
    for (axis, value), those in by_value.items():
        if value is not None and all(one.id in errors for one in those):
            alone: dict[str, Any] = {"format": those[0].format}
            if axis.startswith(LAYER):
                alone["layers"] = [f"{axis.removeprefix(LAYER)}={value}"]
            elif axis not in ("format", "width", "integer_bits"):
                alone[axis] = value
            _, error = _made(alone, check)
            if error is not None:
                raise error


def fitting_bits(networks: Sequence[tuple[Network, Ranges]]) -> int:
    """Integer bits, the sign among them, of the format that holds every value of the networks on calibration data.

    What is infinite or NaN in FP32 does not count; where there are but zeros it is 1, the sign alone.
    """
    needed = []
    for network, ranges in networks:
        names = [name for name in network.inputs if name not in network.integers]
        names += [step.output for step in network.steps if step.traced]
        for name in names:
            low, high = ranges.low.get(name, 0.0), ranges.high.get(name, 0.0)
            if math.isfinite(low) and math.isfinite(high) and (low or high):
                # The lower end of a format is a power of two itself, the upper one lies below it.
                below = math.frexp(-low)[1] - (math.frexp(-low)[0] == 0.5) if low < 0.0 else -4096
                above = math.frexp(high)[1] if high > 0.0 else -4096
                needed.append(1 + max(below, above))
    return max(needed, default=1)


def _texts(name: str, given: Any) -> tuple[str | None, ...]:
    if given is None:
        return ()
    separator = ";" if name == "input_transform" else ","
    texts = alternatives(given, separator=separator) if isinstance(given, str) else list(given)
    if not texts:
        raise UsageError(f"{option_name(name)}: must have one value at least, not an empty list")
    for text in texts:
        if text is not None and not str(text):
            raise UsageError(f"{option_name(name)}: must be values separated by commas, not {given!r}")
    return tuple(dict.fromkeys(None if text is None or str(text) == DEFAULT else str(text) for text in texts))


def _numbers(option: str, given: Any) -> tuple[int, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(numbers(option, given))
    listed = list(given) if isinstance(given, Iterable) else [given]
    if not listed or not all(isinstance(one, int) and not isinstance(one, bool) for one in listed):
        raise UsageError(f"{option}: must be whole numbers, not {given!r}")
    return tuple(dict.fromkeys(listed))


def _rule(text: str) -> tuple[str, tuple[str | None, ...]]:
    rule = LayerRule.parse(text)
    return f"{rule.pattern}:{rule.key}", _texts("layers", rule.value)
