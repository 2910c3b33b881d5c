"""What every accumulator of a plan can reach, how wide it has to be, and whether one that was chosen narrower ever overflows.

Three bounds, each an integer from the actual weights:

- *by format*: the worst case over all codes that the formats of the layer's inputs can hold, in any order of additions;
- *by interval*: over the codes that occur at all, found by interval analysis through the network (behind a ReLU there are no negative ones,
  behind a table or a clip only some), in any order of additions;
- *in order*: by interval, of the prefixes in the order of the contract alone (input channel, kernel row, kernel column).

Beside them stands the ℓ1 bound of A2Q (Colbert, Pappalardo, Petri-Koenig: A2Q: Accumulator-Aware Quantization with Guaranteed Overflow
Avoidance, ICCV 2023), which takes |x| ≤ 2^(N - s) for all inputs and knows neither the bias nor the signs of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear, signed_format
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.planning.plan import Layer, Plan
from fxnorm.planning.witness import Witness, network_input, search
from fxnorm.proofs.accumulators import ACCUMULATOR, Accumulation, accumulations, quantized_steps
from fxnorm.proofs.factors import matmul_factors, scale_factors, windows_of
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.rules import output_interval
from fxnorm.proofs.sums import Reach, in_order

Array = np.ndarray


class Verdict(StrEnum):
    """Why an accumulator never overflows, or that it can."""

    FORMAT = "format"
    """No input that the formats can hold overflows it, in whatever order is added."""
    INTERVAL = "interval"
    """No input that occurs in this network does, in whatever order."""
    ORDER = "order"
    """None does in the order of the contract."""
    WITNESS = "witness"
    """Some input does, and here it is."""
    OPEN = "open"
    """Neither is known: products of so many bits that wrap cannot all be tried."""

    @property
    def holds(self) -> bool:
        """Whether it is a proof."""
        return self in (Verdict.FORMAT, Verdict.INTERVAL, Verdict.ORDER)


@dataclass(frozen=True, eq=False)
class AccumulatorBounds:
    """What one accumulator of a layer can reach.

    Attributes
    ----------
    layer, op, kernel
        The layer's name, its ONNX operators, and the kind of its kernel.
    part
        What is added up: "accumulator", or for instance "sum of squares".
    terms
        Addends of one sum.
    format
        The plan's; None where the plan leaves it as wide as it has to be.
    quantized
        Whether it is obeyed at every addition, because a user chose it and no plain proof showed that it holds everything.
    fraction_bits
        Of the codes of all reaches.
    by_format, by_interval, in_order
        The three bounds of this module, a channel each; the last is None for sums whose order the contract leaves open.
    l1_width
        Bits by A2Q's bound, from the largest ℓ1 norm of a channel; None where sums have no constant factor or are rounded.
    clipped_biases
        Channels whose bias the accumulator cannot hold, so that they start elsewhere.
    verdict
        Why it never overflows, or that it can.
    witness
        An input that overflows it; None for all other verdicts.
    """

    layer: str
    op: str
    kernel: str
    part: str
    terms: int
    format: Format | None
    quantized: bool
    fraction_bits: int
    by_format: Reach
    by_interval: Reach
    in_order: Reach | None
    l1_width: int | None
    clipped_biases: int
    verdict: Verdict
    witness: Witness | None

    def narrowest(self, reach: Reach) -> Format:
        """Narrowest signed format that holds a reach, all channels of it."""
        return signed_format(*reach.hull(), self.fraction_bits)


@dataclass(frozen=True, eq=False)
class Bounds:
    """All accumulators of a plan, and the intervals of its values.

    Attributes
    ----------
    accumulators
        In the order of the layers.
    intervals
        By value name: the codes that occur at all.
    """

    accumulators: tuple[AccumulatorBounds, ...]
    intervals: Mapping[str, Interval]

    def __iter__(self) -> Iterator[AccumulatorBounds]:
        return iter(self.accumulators)

    def __len__(self) -> int:
        return len(self.accumulators)

    @property
    def overflowing(self) -> tuple[AccumulatorBounds, ...]:
        """Those of which an input is known that overflows them."""
        return tuple(bounds for bounds in self if bounds.witness is not None)


def bounds(plan: Plan) -> Bounds:
    """Bound every accumulator of a plan.

    Returns
    -------
    Bounds
        Proofs hold for every input of the network, whatever it is; witnesses are codes that the formats (and, as far as they are told
        apart, the intervals) of a layer's inputs allow.
    """
    found = {name: _of_format(plan, name) for name in plan.inputs}
    accumulators: list[AccumulatorBounds] = []
    for layer in plan.layers:
        inputs = [found[name] for name in layer.inputs]
        accumulators += _layer(plan, layer, inputs)
        found[layer.output] = output_interval(layer.kernel, inputs, plan.values[layer.output].shape)
    return Bounds(tuple(accumulators), found)


def _of_format(plan: Plan, name: str) -> Interval:
    return Interval.of_format(plan.values[name].shape, plan.values[name].encoding.format)


def _layer(plan: Plan, layer: Layer, inputs: Sequence[Interval]) -> Iterator[AccumulatorBounds]:
    if not layer.inputs:
        return
    kernel = layer.kernel
    first = plan.values[layer.inputs[0]].encoding.format.fraction_bits
    widest = accumulations(kernel, [_of_format(plan, name) for name in layer.inputs], first)
    for by_format, by_interval in zip(widest, accumulations(kernel, inputs, first), strict=True):
        chosen = by_format.part == ACCUMULATOR and isinstance(kernel, Linear | MatMul) and not kernel.exact
        verdict, witness, clipped = _verdict(plan, layer, inputs, by_format, by_interval, chosen)
        yield AccumulatorBounds(
            layer=layer.name,
            op=layer.op,
            kernel=kernel.kind,
            part=by_format.part,
            terms=by_format.terms,
            format=by_format.format,
            quantized=chosen,
            fraction_bits=by_format.fraction_bits,
            by_format=by_format.reach,
            by_interval=by_interval.reach,
            in_order=_in_order(kernel, inputs) if by_format.part == ACCUMULATOR else None,
            l1_width=_l1_width(plan, layer) if by_format.part == ACCUMULATOR else None,
            clipped_biases=clipped,
            verdict=verdict,
            witness=witness,
        )


def _verdict(
    plan: Plan,
    layer: Layer,
    inputs: Sequence[Interval],
    by_format: Accumulation,
    by_interval: Accumulation,
    chosen: bool,
) -> tuple[Verdict, Witness | None, int]:
    """Proof or witness, and how many biases do not fit."""
    format_, kernel = by_format.format, layer.kernel
    if format_ is None:
        return Verdict.FORMAT, None, 0
    moved, clipped = 0, 0
    if chosen and isinstance(kernel, Linear):
        steps = quantized_steps(kernel)
        assert steps is not None
        # Sums start at what the accumulator makes of the bias.
        moved = steps.start(kernel.bias).astype(object) - kernel.bias.astype(object)
        clipped = int(np.count_nonzero(moved))
    for one, verdict in ((by_format, Verdict.FORMAT), (by_interval, Verdict.INTERVAL)):
        if Reach(one.reach.low + moved, one.reach.high + moved).fits(format_).all():
            return verdict, None, clipped
    if not chosen:
        raise AssertionError(f"{layer.name}: {format_} was proven to hold its accumulator, and does not")
    assert isinstance(kernel, Linear | MatMul)
    found = search(kernel, inputs)
    if found.proven:
        return Verdict.ORDER, None, clipped
    witness = found.witness
    if witness is None or not _consistent(layer, witness):
        return Verdict.OPEN, None, clipped
    return Verdict.WITNESS, replace(witness, network=network_input(plan, layer, witness.inputs)), clipped


def _consistent(layer: Layer, witness: Witness) -> bool:
    """Whether one value that is read twice has the same codes both times."""
    seen: dict[str, Array] = {}
    return all(
        np.array_equal(seen.setdefault(name, codes), codes)
        for name, codes in zip(layer.inputs, witness.inputs, strict=True)
    )


def _in_order(kernel: Kernel, inputs: Sequence[Interval]) -> Reach:
    """Ends of the prefixes in the order of the contract, over all windows."""
    match kernel:
        case Linear():
            steps = quantized_steps(kernel)
            reaches = [in_order(factors, steps) for _, factors in windows_of(kernel, inputs[0], kernel.bias)]
        case MatMul():
            reaches = [in_order(matmul_factors(kernel, inputs), quantized_steps(kernel))]
        case ScaleAndShift():
            reaches = [in_order(scale_factors(kernel, inputs[0]))]
        case _:
            raise AssertionError(kernel.kind)
    low, high = (np.stack([getattr(reach, end) for reach in reaches]) for end in ("low", "high"))
    return Reach(low.min(axis=0), high.max(axis=0))


def _l1_width(plan: Plan, layer: Layer) -> int | None:
    """Bits P with ‖w‖₁ · 2^(N - s) ≤ 2^(P - 1) - 1, where inputs have N bits and s = 1 if they are signed."""
    kernel = layer.kernel
    if (
        not isinstance(kernel, Linear)
        or kernel.product is not None
        or kernel.accumulator.fraction_bits != kernel.product_bits
    ):
        return None
    x = plan.values[layer.inputs[0]].encoding.format
    flat = kernel.weights.reshape(len(kernel.weights), -1)
    norm = products.largest(np.abs(flat.astype(np.int64)).sum(axis=1))
    return (norm << (x.width - x.signed)).bit_length() + 1
