"""What hardware a kernel asks for, before it is decided how many units there are: work a product, an output and a group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fxnorm.cost.work import BUFFER, NOTHING, TABLE, WEIGHTS, Cost, Memory, Work, total


@dataclass(frozen=True, slots=True)
class Datapath:
    """A kernel's work, sorted by how often it is done.

    Attributes
    ----------
    vectors, outputs, inputs
        `vectors` times a frame, `outputs` results are made of `inputs` operands each: rows or pixels, outputs of one, products of each.
    product
        Work for every operand of every output.
    output
        Work for every output.
    group, groups
        Work for every group (of a normalization or softmax), and how many groups a frame has.
    others
        Work for some of the outputs only, and for how many of a frame.
    passes
        How often a vector is gone through.
    memories
        What is kept.
    accumulator
        Bits of the accumulator; 0: there is none.
    """

    vectors: int
    outputs: int
    inputs: int = 1
    product: Work = NOTHING
    output: Work = NOTHING
    group: Work = NOTHING
    groups: int = 0
    others: tuple[tuple[Work, int], ...] = ()
    passes: int = 1
    memories: tuple[Memory, ...] = field(default=())
    accumulator: int = 0

    @property
    def work(self) -> Work:
        """All work of a frame."""
        outputs = self.vectors * self.outputs
        shared = self.product * (outputs * self.inputs) + self.output * outputs + self.group * self.groups
        return total([shared, *(work * count for work, count in self.others)])

    def cost(self) -> Cost:
        """What a frame costs."""
        sizes: Counter[str] = Counter()
        for own in self.memories:
            sizes[own.kind] += own.size
        accumulators = {self.accumulator: 1} if self.accumulator else {}
        return Cost(self.work, sizes[WEIGHTS], sizes[TABLE], sizes[BUFFER], accumulators)
