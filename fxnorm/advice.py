"""Which normalization a network should get, measured: none, powers of two and affine side by side, and a mix of them layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fxnorm.calibration import Ranges
from fxnorm.calibration.histogram import Histogram
from fxnorm.calibration.noise import squared_error
from fxnorm.diagnosis import Finding, diagnose
from fxnorm.evaluation import Evaluation, Progress, Stopwatch, evaluate_all
from fxnorm.graph.graph import Graph
from fxnorm.kernels.encoding import Encoding
from fxnorm.planning.options import NORMALIZATIONS, LayerRule, Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.planner import make_plan
from fxnorm.planning.price import Cost, rescale_cost

if TYPE_CHECKING:
    from fxnorm.data import Data

MIXED: Final = "mixed"

PLAIN_LOSS: Final = 0.5
"""dB that a layer may lose at its own output before it is normalized at all."""

AFFINE_GAIN: Final = 3.0
"""dB, half a bit, that an offset and a multiplier must gain to be worth having."""

POOR_SQNR: Final = 20.0
"""dB below which an output is poor."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One normalization, measured.

    Attributes
    ----------
    normalize
        One of `NORMALIZATIONS`, or "mixed".
    evaluation
        The run.
    cost
        Of the plan's rescales.
    """

    normalize: str
    evaluation: Evaluation
    cost: Cost

    @property
    def plan(self) -> Plan:
        """What was run."""
        return self.evaluation.plan

    @property
    def sqnr_db(self) -> float:
        """SQNR of the worst output."""
        return min(self.evaluation.output_error(name).sqnr_db for name in self.plan.outputs)

    @property
    def accuracy(self) -> float | None:
        """Share of labels met; None without labels."""
        accuracy = self.evaluation.accuracy
        return None if accuracy is None else accuracy["fixed"]

    def findings(self, value: str) -> tuple[Finding, ...]:
        """What is wrong with how a value uses its format."""
        encoding = self.plan.values[value].encoding
        return diagnose(self.evaluation.reports[value], encoding.format, encoding.zero)


@dataclass(frozen=True, slots=True)
class LayerAdvice:
    """What one layer should get.

    Attributes
    ----------
    name, op, value
        The layer (or input) and the value that it makes.
    local_db
        By normalization: SQNR that its own output's format leaves, on calibration data, everything before it being exact.
    normalize
        What it should get.
    reason
        Why, in words.
    """

    name: str
    op: str
    value: str
    local_db: Mapping[str, float]
    normalize: str
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What was measured and what follows.

    Attributes
    ----------
    trials
        none, pow2, affine, and the mix where it is a plan of its own.
    layers
        Inputs first, then layers in order; those that keep their input's encoding are left out.
    chosen
        The trial that is recommended.
    reason
        Why, in words.
    """

    trials: tuple[Trial, ...]
    layers: tuple[LayerAdvice, ...]
    chosen: Trial
    reason: str

    def __str__(self) -> str:
        lines = [f"{trial.normalize}: {_measured(trial)}, {_price(trial.cost)}" for trial in self.trials]
        lines += [f"{layer.name!r} ({layer.op}) should get {layer.normalize}: {layer.reason}" for layer in self.layers]
        return "\n".join([*lines, f"recommended: {self.reason}"])


def advise(
    graph: Graph,
    ranges: Ranges,
    data: Data,
    options: Options,
    *,
    stopwatch: Stopwatch | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Measure every normalization on the same data, with one reference and one calibration.

    Parameters
    ----------
    ranges
        With histograms.
    data
        What is run, labelled or not.
    options
        Everything but the normalization, which is overruled; rules for single layers hold.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.phase("plan"):
        plans = {how: make_plan(graph, ranges, options.renormalized(how)) for how in NORMALIZATIONS}
        layers = _layers(plans, ranges)
        rules = tuple(
            LayerRule(layer.name, "normalize", layer.normalize) for layer in layers if layer.normalize != "pow2"
        )
        # The user's own rules come last and win.
        mixed = make_plan(graph, ranges, options.renormalized("pow2", rules))
        if all(_values(mixed) != _values(plan) for plan in plans.values()):
            plans[MIXED] = mixed
    found = evaluate_all(list(plans.values()), graph, data, stopwatch=stopwatch, progress=progress)
    trials = tuple(
        Trial(how, evaluation, rescale_cost(plan)) for (how, plan), evaluation in zip(plans.items(), found, strict=True)
    )
    chosen = choose(trials)
    return Advice(trials, layers, chosen, _reason(trials, chosen))


def _values(plan: Plan) -> dict[str, Encoding]:
    return {name: value.encoding for name, value in plan.values.items()}


def choose(trials: Sequence[Trial]) -> Trial:
    """The trial with the fewest multiplications among those that lose next to nothing.

    Next to nothing is one labelled answer, and half a bit of SQNR: 3 dB. Where labels are met, an SQNR above 20 dB will do, too.
    """
    best = max(trial.sqnr_db for trial in trials)
    answers = trials[0].evaluation.samples
    accuracies = [trial.accuracy for trial in trials if trial.accuracy is not None]
    highest = max(accuracies, default=0.0)

    def good(trial: Trial) -> bool:
        if trial.accuracy is None:
            return trial.sqnr_db >= best - AFFINE_GAIN
        right = trial.accuracy >= highest - 1.5 / max(answers, 1)
        return right and trial.sqnr_db >= min(best - AFFINE_GAIN, POOR_SQNR)

    kept = [trial for trial in trials if good(trial)] or [max(trials, key=lambda trial: trial.sqnr_db)]
    # Shifts are free: of two plans without multipliers the one with less error is better.
    return min(kept, key=lambda trial: (trial.cost.multiplications, trial.cost.additions, -trial.sqnr_db))


def _layers(plans: Mapping[str, Plan], ranges: Ranges) -> tuple[LayerAdvice, ...]:
    plan = plans["pow2"]
    floats = [name for name in plan.inputs if name not in plan.integer_inputs]
    rows: list[tuple[str, str, str, tuple[str, ...]]] = [(name, "Input", name, ()) for name in floats]
    rows += [(layer.name, layer.op, layer.output, layer.inputs) for layer in plan.layers if layer.traced]
    advice = []
    for name, op, value, inputs in rows:
        if value not in ranges.histograms:
            continue
        kept = [plans[how].values[value].encoding for how in ("pow2", "affine")]
        before = [[plans[how].values[i].encoding for i in inputs] for how in ("pow2", "affine")]
        if all(encoding in found for encoding, found in zip(kept, before, strict=True)):
            continue  # moved or chosen data
        encodings = {how: plans[how].values[value].encoding for how in NORMALIZATIONS}
        local = {how: local_sqnr(ranges.histogram(value), encoding) for how, encoding in encodings.items()}
        normalize = _worth(local)
        advice.append(
            LayerAdvice(name, op, value, local, normalize, _why(local, normalize, encodings, ranges.of(value)))
        )
    return tuple(advice)


def _worth(local: Mapping[str, float]) -> str:
    if local["affine"] >= local["pow2"] + AFFINE_GAIN:
        return "affine"
    return "none" if local["none"] >= local["pow2"] - PLAIN_LOSS else "pow2"


def _why(
    local: Mapping[str, float], normalize: str, encodings: Mapping[str, Encoding], interval: tuple[float, float]
) -> str:
    low, high = interval
    plain = encodings["none"]
    step = float(plain.step)
    bottom, top = step * plain.format.lowest_code, step * plain.format.max_code
    words = []
    if low < bottom - step or high > top + step:
        words.append(f"{low:.4g} to {high:.4g} leaves {bottom:.4g} to {top:.4g}")
    elif normalize != "none":
        used = max(high / top if top else 0.0, low / bottom if bottom else 0.0)
        if used > 0.0:
            words.append(f"uses {used:.1%} of the range")
    if normalize != "none" and math.isfinite(local["pow2"]) and math.isfinite(local["none"]):
        words.append(f"pow2 gains {local['pow2'] - local['none']:.1f} dB")
    if normalize == "affine":
        words.append(f"affine {local['affine'] - local['pow2']:.1f} dB more")
    if normalize == "none":
        words.append("fits as it is")
    return ", ".join(words)


def local_sqnr(histogram: Histogram, encoding: Encoding) -> float:
    """SQNR in dB of a distribution that is rounded into an encoding, nothing else being wrong."""
    if not histogram.counts.size:
        return math.inf
    a, b = histogram.low, histogram.high
    signal = float((histogram.counts * (a * a + a * b + b * b)).sum() / 3.0 / histogram.counts.sum())
    noise = squared_error(histogram, float(encoding.step), encoding.zero, encoding.format)
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def _reason(trials: Sequence[Trial], chosen: Trial) -> str:
    words = [f"{chosen.normalize}: {_measured(chosen)}, {_price(chosen.cost)}"]
    for trial in trials:
        if trial is chosen:
            continue
        gain = trial.sqnr_db - chosen.sqnr_db
        change = f"{abs(gain):.1f} dB {'more' if gain > 0 else 'less'}" if math.isfinite(gain) else _db(trial.sqnr_db)
        if trial.accuracy is not None and chosen.accuracy is not None and trial.accuracy != chosen.accuracy:
            points = 100 * (trial.accuracy - chosen.accuracy)
            change += f" and {abs(points):.1f} points {'more' if points > 0 else 'less'}"
        words.append(f"{trial.normalize} gives {change}, {_price(trial.cost)}")
    return "; ".join(words)


def _measured(trial: Trial) -> str:
    text = _db(trial.sqnr_db)
    return text if trial.accuracy is None else f"{trial.accuracy:.1%} right, {text}"


def _price(cost: Cost) -> str:
    if not cost.multiplications:
        return "without a multiplier"
    return f"with {cost.multiplications:,} multiplications a sample"


def _db(ratio: float) -> str:
    return "exact" if ratio == math.inf else f"{ratio:.1f} dB"
