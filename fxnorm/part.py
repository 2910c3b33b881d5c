"""What some of the samples gave: parts of a run add up, wherever and in whatever order they were computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import DataError
from fxnorm.expected import Chunk
from fxnorm.metrics import ValueReport
from fxnorm.output_digest import OutputDigest
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator, merged

if TYPE_CHECKING:
    from collections.abc import Collection

    from fxnorm.data import Data

Array = np.ndarray
Watch = Callable[[str, Array], None]


@dataclass
class Part:
    """What a chunk of samples gave, or several that follow one another.

    Attributes
    ----------
    samples
        How many there are.
    reports
        Counts and errors by value name.
    answers, right
        Labelled answers, and how many of them were right, by who gave them; none without labels.
    outputs
        Digest of the outputs' codes.
    """

    samples: int = 0
    reports: dict[str, ValueReport] = field(default_factory=dict)
    answers: int = 0
    right: dict[str, int] = field(default_factory=dict)
    outputs: OutputDigest = field(default_factory=OutputDigest)

    def add(self, later: Part) -> None:
        """Take in the chunk that follows. Sums of floats depend on their order: chunks are added one by one, the first one first."""
        self.samples += later.samples
        self.answers += later.answers
        for name, report in later.reports.items():
            self.reports.setdefault(name, ValueReport()).merge(report)
        for who, count in later.right.items():
            self.right[who] = self.right.get(who, 0) + count
        self.outputs.merge(later.outputs)


@dataclass(frozen=True)
class Judge:
    """Counts right answers: the arg-max over the last axis of the first output that has more than one class.

    Attributes
    ----------
    value
        Name of that output's value.
    labels
        Right class of every answer.
    per_sample
        Answers a sample gives.
    """

    value: str
    labels: Array
    per_sample: int

    @classmethod
    def of(cls, plan: Plan, data: Data, compared: Collection[str]) -> Judge | None:
        """Judge for a data set, on one of the values that are compared with FP32; None where the data has no labels."""
        if data.labels is None:
            return None
        for value in plan.outputs.values():
            shape = plan.values[value].shape
            if value in compared and shape and shape[-1] > 1:
                per_sample = int(np.prod(shape[:-1], dtype=np.int64))
                if len(data.labels) != per_sample * data.samples:
                    raise DataError(
                        f"labels: there must be one for each of the {per_sample * data.samples} answers of {value!r} "
                        f"(shape {list(shape)} a sample), not {len(data.labels)}; leave them out"
                    )
                low, high = int(data.labels.min()), int(data.labels.max())
                if not 0 <= low <= high < shape[-1]:
                    raise DataError(
                        f"labels: must lie in 0..{shape[-1] - 1}, the classes of the model's output {value!r}, not {low}..{high}"
                    )
                return cls(value, data.labels, per_sample)
        raise DataError("labels: the model has no output with more than one class to compare them with; leave them out")

    def right(self, scores: Array, first: int) -> int:
        """Right answers among scores [samples, *shape] whose first sample has this number."""
        answers = merged(scores).reshape(-1, scores.shape[-1]).argmax(axis=-1)
        start = first * self.per_sample
        return int(np.count_nonzero(answers == self.labels[start : start + len(answers)]))


class PartRunner:
    """Runs chunks of samples through a plan, each for itself.

    Parameters
    ----------
    plan
        What the hardware does.
    judge
        What counts right answers; None without labels.
    workers
        Threads, each on samples of its own; default: the processor's cores.
    """

    def __init__(self, plan: Plan, judge: Judge | None, workers: int | None = None) -> None:
        self.plan, self.judge = plan, judge
        self._simulator = Simulator(plan, histograms=True, workers=workers)

    def run(self, chunk: Chunk, watch: Watch | None = None) -> Part:
        """Run one chunk; `watch` is called with the name and codes of every value."""
        codes = self._simulator.run(chunk.samples, chunk.expected, watch)
        right: dict[str, int] = {}
        answers = 0
        if self.judge is not None:
            value, answers = self.judge.value, chunk.count * self.judge.per_sample
            decoded = self.plan.values[value].encoding.decode(codes[value])
            for who, scores in (("fp32", chunk.expected[value]), ("fixed", decoded)):
                right[who] = self.judge.right(scores, chunk.first)
        outputs = OutputDigest()
        outputs.add({name: codes[value] for name, value in self.plan.outputs.items()})
        return Part(chunk.count, self._simulator.take(), answers, right, outputs)
