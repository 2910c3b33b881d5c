"""Configurations of a sweep on a Dask cluster: who does what, and what becomes of it when workers die."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from fxnorm.calibration import Ranges
from fxnorm.errors import FxnormError, RunError
from fxnorm.study import Study
from fxnorm.sweeping.cluster import GOES_ON, Cluster
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.executor import Begin
from fxnorm.sweeping.measure import Outcome, measure
from fxnorm.sweeping.remote import (
    Job,
    OtherVersions,
    Stopped,
    assembled,
    decisive_versions,
    measured,
    measured_slice,
)
from fxnorm.sweeping.sent import Failure, Sent, packed_ranges, packed_study

if TYPE_CHECKING:
    from distributed import Future

LOOK: Final = 1.0
"""Seconds between two looks at what was lost, and at who is there."""
LOSSES: Final = 3
"""Times that a configuration may be lost together with all that was sent, before the sweep gives up."""


class _Lost(Exception):
    """What a configuration needs, or its result, is gone with the workers that had it."""


@dataclass
class _Running:
    """A configuration that workers have.

    Attributes
    ----------
    configuration
        Which.
    future
        Its outcome.
    slices
        What it is put together of.
    """

    configuration: Configuration
    future: Future
    slices: list[Future] = field(default_factory=list)

    @property
    def futures(self) -> list[Future]:
        """All that Dask computes for it."""
        return [*self.slices, self.future]


class ClusterExecutor:
    """The workers of a Dask cluster; see `fxnorm.sweeping.executor.Executor`.

    Each thread of a worker computes one configuration. Where there are fewer configurations than threads, each is divided by samples. The
    network and the samples are sent once to every worker, and ranges that were taken here. A worker that dies costs what it was
    computing: Dask has it computed elsewhere. Where all are gone, and with them what was sent, it is sent again to those who come.

    Parameters
    ----------
    study
        The network and its samples.
    cluster
        Who computes.
    """

    def __init__(self, study: Study, cluster: Cluster) -> None:
        self.study, self.cluster = study, cluster
        self._packed: Sent | None = None
        self._ranges: dict[int, tuple[Ranges, Sent]] = {}
        self._sent: dict[str, Future] = {}

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        """See `Executor.run`."""
        pending = deque(configurations)
        crew = self.cluster.crew()
        count = max(1, sum(crew) // max(1, len(pending)))
        finished: SimpleQueue[Any] = SimpleQueue()
        running: dict[str, _Running] = {}
        losses: Counter[str] = Counter()
        try:
            while pending or running:
                # One more than there are threads on each worker, so that none waits while a row is written.
                room = sum(crew) + len(crew)
                more = [pending.popleft() for _ in range(min(len(pending), max(0, room - len(running))))]
                if more:
                    begin(more)
                for one in more:
                    ranges = self._ranges_of(one)
                    if ranges is None:
                        yield one, measure(self.study, one)  # a refusal, for a reason that is known without samples
                        continue
                    try:
                        asked = self._submit(one, ranges, count)
                    except _Lost:
                        pending.append(one)
                        continue
                    running[asked.future.key] = asked
                    asked.future.add_done_callback(lambda future: finished.put(future.key))
                for key in self._done(finished, running):
                    asked = running.pop(key)
                    one = asked.configuration
                    try:
                        yield one, self._outcome(asked)
                    except _Lost as error:
                        losses[one.id] += 1
                        if losses[one.id] >= LOSSES:
                            raise RunError(
                                f"--dask {self.cluster.address}: {one.name} must be computed by some worker, but was lost {LOSSES} times "
                                f"with those that had it ({error}); {GOES_ON}"
                            ) from None
                        self._sent.clear()
                        self.cluster.look_again()
                        pending.append(one)
                crew = self.cluster.crew_now()
        finally:
            with suppress(OSError, TimeoutError):
                self._cancel(future for asked in running.values() for future in asked.futures)

    def _ranges_of(self, one: Configuration) -> Sent | None:
        """Ranges for a configuration; None where it cannot have any."""
        if one.reason is not None:
            return None
        try:
            ranges = self.study.ranges(one.made())
        except FxnormError:
            return None
        if id(ranges) not in self._ranges:
            self._ranges[id(ranges)] = (
                ranges,
                packed_ranges(ranges),
            )  # with the ranges, so that no others get their number
        return self._ranges[id(ranges)][1]

    def _at_workers(self, *contents: Sent) -> list[Future]:
        """Bytes as the workers have them, sent where they have not been or are no more."""
        if any(future.status in ("lost", "cancelled") for future in self._sent.values()):
            self._sent.clear()
        missing = {one.digest: one.content for one in contents if one.digest not in self._sent}
        if missing:
            self._sent.update(self.cluster.send(missing))
            # Whoever has it now may have come later. Without fxnorm they would die of their first task, and nothing else would say why.
            self.cluster.check_versions()
        return [self._sent[one.digest] for one in contents]

    def _submit(self, one: Configuration, ranges: Sent, count: int) -> _Running:
        from concurrent.futures import CancelledError

        if self._packed is None:
            self._packed = packed_study(self.study)
        job = Job(one, self._packed.digest, ranges.digest, decisive_versions())
        name = f"fxnorm-{one.id[:16]}-{uuid.uuid4().hex}"
        submit = self.cluster.client.submit
        try:
            given = (*self._at_workers(self._packed, ranges), job)
            if count == 1:
                return _Running(one, submit(measured, *given, key=name))
            slices = [submit(measured_slice, *given, i, count, key=f"{name}-{i}") for i in range(count)]
            return _Running(one, submit(assembled, *given, slices, key=name), slices)
        except (CancelledError, ConnectionError):
            self._sent.clear()
            raise _Lost from None

    def _done(self, finished: SimpleQueue[str], running: dict[str, _Running]) -> list[str]:
        """Keys of what is done or lost, after a while at most."""
        found: dict[str, None] = {}
        if not running:
            return []
        with suppress(Empty):
            found[finished.get(timeout=LOOK)] = None
            while True:
                found[finished.get_nowait()] = None
        # Nobody is told when what a task needs is lost.
        found.update({key: None for key, asked in running.items() if asked.future.status in ("lost", "cancelled")})
        return [key for key in found if key in running]

    def _outcome(self, asked: _Running) -> Outcome:
        """What became of a configuration."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        name, cluster = asked.configuration.name, self.cluster
        if asked.future.status == "lost":
            raise _Lost("all workers that had what it needs are gone")
        try:
            answer = asked.future.result(timeout=cluster.connect)
        except KilledWorker as error:
            raise RunError(
                f"--dask {cluster.address}: {name} must be computed by some worker, but {error.allowed_failures + 1} of them died while "
                f"they did it, {error.last_worker.address} last; they may need more memory. {GOES_ON[0].upper()}{GOES_ON[1:]}"
            ) from None
        except (CancelledError, Stopped, OSError, TimeoutError) as error:
            raise _Lost(str(error).partition("\n")[0] or type(error).__name__) from None
        if isinstance(answer, OtherVersions):
            raise cluster.other_versions(answer.worker, answer.versions)
        if isinstance(answer, Failure):
            raise answer.error()
        assert isinstance(answer, Outcome)
        return answer

    def _cancel(self, futures: Iterable[Future]) -> None:
        left = list(futures)
        if left and self.cluster.client.status == "running":
            self.cluster.client.cancel(left, force=True)
