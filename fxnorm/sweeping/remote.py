"""What workers of a cluster do: measure configurations on a study that came to them as bytes.

A worker needs nothing of the client but this package in the same version: no file, no folder. A study that came is kept by its digest, one
for a process, so that what plans share is computed once on each worker.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from fxnorm.calibration import Ranges
from fxnorm.engine.threads import quick_switches, single_threaded_blas
from fxnorm.errors import DataError, FxnormError
from fxnorm.part import Part
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.measure import Outcome, measure, versions
from fxnorm.sweeping.sent import DividedStudy, Failure, RangedStudy, SentStudy, Slice

Kept = TypeVar("Kept")

STUDIES: Final = 2
"""Studies that a worker keeps, those of other sweeps included."""
RANGES: Final = 16
"""Ranges likewise: one for every nonlinear normalization of inputs."""


@dataclass(frozen=True)
class Job:
    """What a worker is asked for.

    Attributes
    ----------
    configuration
        The configuration.
    study, ranges
        Digests of the bytes that come with it.
    versions
        Of what must compute it.
    """

    configuration: Configuration
    study: str
    ranges: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class OtherVersions:
    """A worker that would not compute the same: its address, and the versions that it has."""

    worker: str
    versions: Mapping[str, str]


class Stopped(Exception):
    """Raised on a worker when nobody waits for the result any more."""


Answer = Outcome | Failure | OtherVersions


def decisive_versions() -> dict[str, str]:
    """Versions that must be the same everywhere for results to be: of fxnorm, and of what computes in floating point."""
    return {name: text for name, text in versions().items() if name != "python"}


def measured(study: bytes, ranges: bytes, job: Job) -> Answer:
    """Measure a configuration on all samples."""
    if (other := _other_versions(job)) is not None:
        return other
    with _QUIET():
        ranged = RangedStudy(_study(job.study, study), _ranges(job.ranges, ranges))
        try:
            return measure(ranged, job.configuration, workers=1, checkpoint=_checkpoint())
        except DataError as error:
            return Failure.of(error)


def measured_slice(study: bytes, ranges: bytes, job: Job, index: int, count: int) -> Slice | OtherVersions:
    """Run one of `count` parts of the samples, from 0; they are as alike as whole chunks allow, and there may be empty ones."""
    if (other := _other_versions(job)) is not None:
        return other
    checkpoint = _checkpoint()
    parts: list[Part] = []
    begun = time.perf_counter()
    with _QUIET():
        divided = DividedStudy(_study(job.study, study), _ranges(job.ranges, ranges), job.ranges)
        try:
            plan = divided.plan(job.configuration.made())
            begun = time.perf_counter()
            chunks = divided.chunks(plan)
            for part in divided.parts(plan, range(index * chunks // count, (index + 1) * chunks // count), workers=1):
                parts.append(part)
                checkpoint()
        except FxnormError as error:
            return Slice((), time.perf_counter() - begun, Failure.of(error))
    return Slice(parts, time.perf_counter() - begun)


def assembled(study: bytes, ranges: bytes, job: Job, slices: Sequence[Slice | OtherVersions]) -> Answer:
    """Put all parts together; seconds are those that all workers took together."""
    if (other := _other_versions(job)) is not None:
        return other
    found: list[Slice] = []
    for each in slices:
        if isinstance(each, OtherVersions):
            return each
        found.append(each)
    with _QUIET():
        divided = DividedStudy(_study(job.study, study), _ranges(job.ranges, ranges), job.ranges, found)
        try:
            outcome = measure(divided, job.configuration)
        except DataError as error:
            return Failure.of(error)
    total = outcome.seconds["total"] + sum(each.seconds for each in found)
    return replace(outcome, seconds={**outcome.seconds, "total": round(total, 6)})


_KEEPING: Final = threading.Lock()
_STUDIES: Final[OrderedDict[str, SentStudy]] = OrderedDict()
_RANGES: Final[OrderedDict[str, Ranges]] = OrderedDict()


def _study(digest: str, content: bytes) -> SentStudy:
    with _KEEPING:
        return _kept(_STUDIES, digest, lambda: SentStudy(content), STUDIES)


def _ranges(digest: str, content: bytes) -> Ranges:
    with _KEEPING:
        return _kept(_RANGES, digest, lambda: pickle.loads(content), RANGES)


def _kept(known: OrderedDict[str, Kept], digest: str, make: Callable[[], Kept], most: int) -> Kept:
    """What is known by a digest, made where it is not; what was not asked for longest goes."""
    if digest not in known:
        known[digest] = make()
    known.move_to_end(digest)
    while len(known) > most:
        known.popitem(last=False)
    return known[digest]


class _Quiet:
    """Threads of this process that compute; the first to come sets the limits of `fxnorm.engine.threads`, the last to leave lifts them."""

    def __init__(self) -> None:
        self._lock, self._inside, self._limits = threading.Lock(), 0, ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._inside:
                self._limits.enter_context(single_threaded_blas())
                self._limits.enter_context(quick_switches())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._limits.close()


_QUIET: Final = _Quiet()


def _other_versions(job: Job) -> OtherVersions | None:
    """Say that this worker would not compute the same; workers may join after those at the beginning were asked."""
    found = decisive_versions()
    if found == job.versions:
        return None
    from distributed import get_worker

    return OtherVersions(get_worker().address, found)


def _checkpoint() -> Callable[[], None]:
    """Raises `Stopped` once the task that calls it is cancelled: a thread cannot be ended from without."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is not None and task.state == "cancelled":
            raise Stopped

    return check
