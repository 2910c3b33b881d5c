"""What a user may choose for a plan: formats, modes, normalization, for the whole network or by layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from fxnorm.calibration.method import Method
from fxnorm.errors import FormatError, UsageError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.kernel import NormPolicy, Operation, Policy
from fxnorm.kernels.transform import Transformation

NORMALIZATIONS: Final = ("none", "pow2", "affine")
BATCHNORMS: Final = ("fold", "rescale")
PATTERNS: Final = ("fuse", "keep")
MULTIPLIERS: Final = ("channel", "tensor")
NORM_ALGORITHMS: Final = ("exact", "two_pass", "one_pass")
NORM_STAGES: Final = ("mean", "square", "variance", "root")
ACCUMULATOR_WIDTH: Final = 128
LAYER_KEYS: Final = (
    "format",
    "weight-format",
    "accumulator",
    "product-format",
    "rounding",
    "overflow",
    "normalize",
    "multiplier",
    "calibration",
    "norm-algorithm",
    *(f"{stage}-format" for stage in NORM_STAGES),
)

_RULE = re.compile(r"(?P<pattern>.+):(?P<key>[a-z-]+)=(?P<value>[^=]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LayerRule:
    """One `--layer NAME:KEY=VALUE`.

    Attributes
    ----------
    pattern
        A layer's name, or a glob pattern of it.
    key, value
        One of `LAYER_KEYS` and its text.
    """

    pattern: str
    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> LayerRule:
        """Read `NAME:KEY=VALUE`; the name may hold colons."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise UsageError(f"--layer: must be NAME:KEY=VALUE, not {text!r}; for instance --layer 'conv*:format=q8.8'")
        if match["key"] not in LAYER_KEYS:
            raise UsageError(f"--layer {text!r}: the key must be one of {', '.join(LAYER_KEYS)}, not {match['key']!r}")
        return cls(match["pattern"], match["key"], match["value"])

    def matches(self, name: str) -> bool:
        """Whether it speaks of a layer."""
        return self.pattern == name or fnmatchcase(name, self.pattern)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides a plan but the model and the data.

    Attributes
    ----------
    format
        Format of data, as text (see `fxnorm.fixed.format.Format.parse`).
    weight_format
        Format of constants; by default signed, of the data's width and fractional bits.
    accumulator, product_format
        Explicit formats, obeyed at every addition; None: exact.
    rounding, overflow
        Modes of formats that are spelled without them.
    normalize
        "none", "pow2" or "affine".
    multiplier
        For affine: "channel" (linear layers have one multiplier an output channel; weights use their whole range in each) or "tensor"
        (one a layer; steps of weights are powers of two). None: channel.
    calibration
        How ranges are taken from data; see `fxnorm.calibration.method.Method`.
    batchnorm
        "fold" (into the weights) or "rescale" (a layer of its own).
    patterns
        "fuse" (normalizations and activations that are spelled out in several nodes become one) or "keep" (they run as spelled).
    norm_algorithm
        How normalization layers compute their moments: "exact", "two_pass" or "one_pass".
    mean_format, square_format, variance_format, root_format
        Formats of the stages of the last two; None: as wide as is usual.
    input_transform
        Nonlinear normalization of inputs before the model sees them: "log", "log2", "log10", "sqrt" or "power:P", for all of them or
        as "NAME=log", several separated by commas; None: none.
    layers
        Rules for single layers; the last one that matches wins.
    """

    format: str
    weight_format: str | None = None
    accumulator: str | None = None
    product_format: str | None = None
    rounding: str | None = None
    overflow: str | None = None
    normalize: str = "pow2"
    multiplier: str | None = None
    calibration: str = "minmax"
    batchnorm: str = "fold"
    patterns: str = "fuse"
    norm_algorithm: str = "exact"
    mean_format: str | None = None
    square_format: str | None = None
    variance_format: str | None = None
    root_format: str | None = None
    input_transform: str | None = None
    layers: tuple[LayerRule, ...] = field(default=())

    def __post_init__(self) -> None:
        _one_of("--normalize", self.normalize, NORMALIZATIONS)
        _one_of("--batchnorm", self.batchnorm, BATCHNORMS)
        _one_of("--patterns", self.patterns, PATTERNS)
        for option, value, kind in (("--rounding", self.rounding, Rounding), ("--overflow", self.overflow, Overflow)):
            if value is not None:
                _one_of(option, value, tuple(kind))
        _one_of("--norm-algorithm", self.norm_algorithm, NORM_ALGORITHMS)
        self._refuse_idle_stages()
        if self.multiplier is not None:
            _one_of("--multiplier", self.multiplier, MULTIPLIERS)
            if not self.any_affine:
                raise UsageError("--multiplier: goes with --normalize affine; no layer has a multiplier without it")
        self.policy("")
        for rule in self.layers:
            if rule.key == "calibration":
                Method.parse(rule.value)
        Method.parse(self.calibration)
        self.transformations(())

    @classmethod
    def make(cls, format: str, *, layers: Iterable[str] = (), **chosen: Any) -> Options:
        """Build from keyword arguments as the Python API and the command line have them; None means "not given"."""
        names = {entry.name for entry in fields(cls)}
        for name in chosen:
            if name not in names:
                raise UsageError(f"plan: there is no option {name!r}; the options are {', '.join(sorted(names))}")
        given = {name: value for name, value in chosen.items() if value is not None}
        return cls(str(format), layers=tuple(LayerRule.parse(text) for text in layers), **given)

    def transformations(self, inputs: Sequence[str]) -> dict[str, Transformation]:
        """Nonlinear normalizations by input.

        Parameters
        ----------
        inputs
            Floating-point inputs of the model; empty: only the spelling is looked at.

        Raises
        ------
        UsageError
            If one is misspelled, is given twice, or speaks of no such input.
        """
        found: dict[str, Transformation] = {}
        for text in (self.input_transform or "").split(",") if self.input_transform is not None else ():
            name, equals, function = text.strip().rpartition("=")
            transformation = Transformation.parse(function)
            if inputs and equals and name not in inputs:
                raise UsageError(
                    f"--input-transform {text}: the model has no floating-point input {name!r}; its inputs are {', '.join(inputs)}"
                )
            for one in [name] if equals else inputs:
                if one in found:
                    raise UsageError(f"--input-transform {self.input_transform}: {one!r} is given twice; give it once")
                found[one] = transformation
        return found

    def policy(self, name: str) -> Policy:
        """What holds for one layer."""
        return _policy(self._chosen(name))

    def method(self, name: str) -> Method:
        """How the range of one layer's output is taken from data."""
        text = self._chosen(name)["calibration"]
        assert text is not None
        return Method.parse(text)

    @staticmethod
    def without_idle_multiplier(chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `make` without what is said of multipliers where nothing has any: a search tries plans with and without."""
        layers = tuple(LayerRule.parse(text) for text in chosen.get("layers") or ())
        if "affine" in (chosen.get("normalize"), *(rule.value for rule in layers if rule.key == "normalize")):
            return dict(chosen)
        kept = [text for text, rule in zip(chosen.get("layers") or (), layers, strict=True) if rule.key != "multiplier"]
        return {**chosen, "multiplier": None, "layers": kept}

    @property
    def any_affine(self) -> bool:
        """Whether the options ask for an affine normalization anywhere."""
        return "affine" in (self.normalize, *(rule.value for rule in self.layers if rule.key == "normalize"))

    def renormalized(self, normalize: str, rules: Iterable[LayerRule] = ()) -> Options:
        """The same but for the normalization: of the network, and of layers by rules before those that there are.

        What is said of multipliers is left out where nothing has any.
        """
        layers = (*rules, *self.layers)
        if "affine" in (normalize, *(rule.value for rule in layers if rule.key == "normalize")):
            return replace(self, normalize=normalize, layers=layers)
        layers = tuple(rule for rule in layers if rule.key != "multiplier")
        return replace(self, normalize=normalize, multiplier=None, layers=layers)

    @property
    def needs_histograms(self) -> bool:
        """Whether minimum and maximum do not suffice for some layer."""
        texts = [self.calibration, *(rule.value for rule in self.layers if rule.key == "calibration")]
        return any(Method.parse(text).needs_histogram for text in texts)

    def _chosen(self, name: str) -> dict[str, str | None]:
        chosen: dict[str, str | None] = {
            "format": self.format,
            "weight-format": self.weight_format,
            "accumulator": self.accumulator,
            "product-format": self.product_format,
            "rounding": self.rounding,
            "overflow": self.overflow,
            "normalize": self.normalize,
            "multiplier": self.multiplier or "channel",
            "calibration": self.calibration,
            "norm-algorithm": self.norm_algorithm,
            **{f"{stage}-format": getattr(self, f"{stage}_format") for stage in NORM_STAGES},
        }
        for rule in self.layers:
            if rule.matches(name):
                chosen[rule.key] = rule.value
        return chosen

    def unused(self, names: Iterable[str]) -> tuple[LayerRule, ...]:
        """Rules that speak of no layer."""
        listed = list(names)
        return tuple(rule for rule in self.layers if not any(rule.matches(name) for name in listed))

    def idle(self, operations: Iterable[tuple[str, Operation]]) -> tuple[LayerRule, ...]:
        """Rules about normalization that no layer of those named has a use for."""
        listed = list(operations)

        def used(rule: LayerRule) -> bool:
            if rule.key == "multiplier":
                matched = [(name, operation) for name, operation in listed if rule.matches(name)]
                return self.any_affine and any(operation.has_channels for _, operation in matched)
            stage = rule.key.removesuffix("-format")
            for name, operation in listed:
                if rule.matches(name) and operation.stages:
                    algorithm = self._chosen(name)["norm-algorithm"]
                    if rule.key == "norm-algorithm" or (stage in operation.stages and algorithm != "exact"):
                        return True
            return False

        keys = ("multiplier", "norm-algorithm", *(f"{stage}-format" for stage in NORM_STAGES))
        return tuple(rule for rule in self.layers if rule.key in keys and not used(rule))

    def _refuse_idle_stages(self) -> None:
        staged = [self.norm_algorithm, *(rule.value for rule in self.layers if rule.key == "norm-algorithm")]
        for stage in NORM_STAGES:
            if getattr(self, f"{stage}_format") is not None and all(algorithm == "exact" for algorithm in staged):
                raise UsageError(
                    f"--{stage}-format: goes with --norm-algorithm two_pass or one_pass; the exact algorithm has no such stage"
                )

    def record(self) -> Mapping[str, Any]:
        """The options as plain data, for the plan's file."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        if plain["multiplier"] is None:
            # It came later: plans that were made before keep their digests.
            del plain["multiplier"]
        plain["layers"] = [f"{rule.pattern}:{rule.key}={rule.value}" for rule in self.layers]
        return plain


def _policy(chosen: Mapping[str, str | None]) -> Policy:
    for key, kind in (("rounding", Rounding), ("overflow", Overflow)):
        value = chosen[key]
        if value is not None:
            _one_of(f"--layer {key}", value, tuple(kind))
    normalize = chosen["normalize"]
    assert normalize is not None
    _one_of("--layer normalize", normalize, NORMALIZATIONS)
    text = chosen["format"]
    assert text is not None
    format_ = read_format("--format", text, chosen)
    weight_text = chosen["weight-format"]
    if weight_text is None:
        weight = Format(format_.width, format_.integer_bits, True)
    else:
        weight = read_format("--weight-format", weight_text, chosen)
    accumulator, product, multiplier = chosen["accumulator"], chosen["product-format"], chosen["multiplier"]
    assert multiplier is not None
    _one_of("--layer multiplier", multiplier, MULTIPLIERS)
    algorithm = chosen["norm-algorithm"]
    assert algorithm is not None
    _one_of("--layer norm-algorithm", algorithm, NORM_ALGORITHMS)
    return Policy(
        format=format_,
        weight_format=weight,
        accumulator=None
        if accumulator is None
        else read_format("--accumulator", accumulator, chosen, ACCUMULATOR_WIDTH),
        product_format=None if product is None else read_format("--product-format", product, chosen, ACCUMULATOR_WIDTH),
        normalize=normalize,
        norm=NormPolicy(algorithm, **{stage: _stage_format(stage, chosen) for stage in NORM_STAGES}),
        multiplier=multiplier,
    )


def _stage_format(stage: str, chosen: Mapping[str, str | None]) -> Format | None:
    text = chosen[f"{stage}-format"]
    return None if text is None else read_format(f"--{stage}-format", text, chosen, ACCUMULATOR_WIDTH)


def read_format(option: str, text: str, chosen: Mapping[str, str | None], max_width: int = 32) -> Format:
    """Read a format, with the modes that were given for all of them; refuse two modes that contradict."""
    rounding = None if chosen["rounding"] is None else Rounding(chosen["rounding"])
    overflow = None if chosen["overflow"] is None else Overflow(chosen["overflow"])
    try:
        plain = Format.parse(text, max_width=max_width)
        read = Format.parse(text, rounding=rounding, overflow=overflow, max_width=max_width)
    except FormatError as error:
        raise FormatError(f"{option}: {error}") from None
    if option == "--format" and ((rounding not in (None, read.rounding)) or (overflow not in (None, read.overflow))):
        raise UsageError(
            f"{option} {text}: its own modes {plain.rounding},{plain.overflow} contradict "
            f"--rounding {chosen['rounding'] or '(none)'} --overflow {chosen['overflow'] or '(none)'}; give each mode once"
        )
    return read


def _one_of(option: str, value: str, allowed: Iterable[str]) -> None:
    listed = [str(entry) for entry in allowed]
    if value not in listed:
        raise UsageError(f"{option}: must be one of {', '.join(listed)}, not {value!r}")
