"""A study for another machine: as bytes on the way, and what it can do there.

What is sent is plain bytes, so that others can pass it on, and a machine without fxnorm says so instead of stumbling over classes that it
does not know. Ranges are sent too, not taken anew: calibration is done once, and a plan depends on its last bits.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.calibration import Ranges
from fxnorm.errors import DataError, FxnormError, PlanError
from fxnorm.evaluation import PHASES, Evaluation, Progress, Stopwatch
from fxnorm.part import Part
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.study import Study

Array = np.ndarray

PLANS: Final = 4
"""Plans that a study keeps for the parts of its samples."""

_PLANNING: Final = threading.RLock()
"""Planning computes with mpmath, whose precision is one for the whole process, and so for all studies in it."""


@dataclass(frozen=True)
class HeldSamples:
    """Samples of one file, in memory; see `fxnorm.data.Source`."""

    arrays: Mapping[str, Array]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.arrays.values())))

    def chunks(self, size: int) -> Iterator[dict[str, Array]]:
        """Arrays ``[n, *shape]`` by input, n at most `size`."""
        for start in range(0, self.samples, size):
            yield {name: array[start : start + size] for name, array in self.arrays.items()}


@dataclass(frozen=True)
class Sent:
    """Bytes, and the SHA-256 of them."""

    content: bytes
    digest: str

    @classmethod
    def of(cls, content: bytes) -> Sent:
        """Bytes with their digest."""
        return cls(content, hashlib.sha256(content).hexdigest())


def packed_study(study: Study) -> Sent:
    """A network and its samples, read from whatever files they are in.

    Raises
    ------
    DataError
        If the samples cannot be read.
    """
    from fxnorm.graph.transport import to_bytes

    data = study.data
    # One chunk a file, as large as it may be: chunks of any size then end where those of the files do.
    files = [dict(chunk) for chunk in data.chunks(max(1, data.samples))]
    return Sent.of(pickle.dumps((to_bytes(study.graph), data.description, data.sha256, data.labels, files), 5))


def packed_ranges(ranges: Ranges) -> Sent:
    """Ranges, as bytes."""
    return Sent.of(pickle.dumps(ranges, 5))


@dataclass(frozen=True)
class Failure:
    """An error of a user that was met on a worker, as plain data.

    Attributes
    ----------
    message
        What it says.
    data
        Whether it is about the samples.
    """

    message: str
    data: bool

    @classmethod
    def of(cls, error: FxnormError) -> Failure:
        """The error, ready to be sent."""
        return cls(str(error), isinstance(error, DataError))

    def error(self) -> FxnormError:
        """The error, to be raised."""
        return DataError(self.message) if self.data else PlanError(self.message)


@dataclass(frozen=True)
class Slice:
    """What one of several parts of the samples gave: each of its chunks for itself, or the error that was met.

    Attributes
    ----------
    parts
        In the order of the chunks.
    seconds
        That they took.
    """

    parts: Sequence[Part]
    seconds: float
    failure: Failure | None = None


class SentStudy(Study):
    """A study that came as bytes.

    Parameters
    ----------
    content
        What `packed_study` gave.
    """

    def __init__(self, content: bytes) -> None:
        from fxnorm.data import Data
        from fxnorm.graph.transport import from_bytes

        graph, description, sha256, labels, files = pickle.loads(content)
        data = Data(description, sha256, labels, tuple(HeldSamples(arrays) for arrays in files))
        super().__init__(from_bytes(graph), data)
        self._lock = _PLANNING
        self.plans: OrderedDict[str, Plan] = OrderedDict()


class RangedStudy(Study):
    """A study whose ranges the client took; it shares all else with the one that it is made from."""

    def __init__(self, study: SentStudy, ranges: Ranges) -> None:
        vars(self).update(vars(study))
        self._given = ranges

    def ranges(self, options: Options) -> Ranges:
        """The ranges that were given, once it is known that there can be a plan."""
        self.network(options)
        return self._given


class DividedStudy(RangedStudy):
    """A study whose samples are divided: plans are kept for the next part, and an evaluation is put together of parts.

    Parameters
    ----------
    digest
        Of the ranges.
    slices
        All of them, in their order; none where there is nothing to evaluate yet.
    """

    def __init__(self, study: SentStudy, ranges: Ranges, digest: str, slices: Sequence[Slice] = ()) -> None:
        super().__init__(study, ranges)
        self._digest, self._slices, self._plans = digest, slices, study.plans

    def plan(self, options: Options) -> Plan:
        """The plan, made once in this process."""
        key = json.dumps([self._digest, options.record()], sort_keys=True)
        with self._lock:
            plan = self._plans.pop(key, None)
            if plan is None:
                plan = super().plan(options)
            self._plans[key] = plan
            while len(self._plans) > PLANS:
                self._plans.popitem(last=False)
            return plan

    def evaluate(
        self,
        plan: Plan,
        *,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
        watch: Callable[[str, Array], None] | None = None,
        workers: int | None = None,
    ) -> Evaluation:
        """What all parts give together, or the error of the first one that has one."""
        for each in self._slices:
            if each.failure is not None:
                raise each.failure.error()
        seconds = dict.fromkeys(PHASES, 0.0) if stopwatch is None else stopwatch.seconds
        seconds["simulate"] += sum(each.seconds for each in self._slices)
        return self.combined(plan, (part for each in self._slices for part in each.parts), seconds)
