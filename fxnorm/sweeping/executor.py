"""Who computes the configurations of a sweep: the cores of this machine, or anything else that does as `Executor` says."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Protocol

from fxnorm.engine.threads import quick_switches, single_threaded_blas
from fxnorm.study import Study
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.measure import Outcome, measure

Begin = Callable[[Sequence[Configuration]], None]


class Executor(Protocol):
    """Computes configurations, in any order and anywhere.

    Whatever computes must use `measure` on a study of the same model and data: then the outcomes are the same to the bit.
    """

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        """Yield every configuration with its outcome as soon as it is known.

        Parameters
        ----------
        begin
            Called, by the thread that iterates, with configurations before they are begun.

        Closing it ends the work at once.
        """
        ...


class _Stopped(Exception):
    """Raised in a worker when nobody waits for it any more."""


class LocalExecutor:
    """The cores of this machine: one configuration a core, each on one thread, on one study.

    Configurations side by side leave fewer things to wait for than the samples of one configuration side by side: plans are made while
    others run, and no core waits for the last piece of a chunk. Where there are fewer configurations than cores, samples share the rest.

    Parameters
    ----------
    study
        The network and its samples.
    workers
        Configurations at a time; default: the processor's cores.
    """

    def __init__(self, study: Study, workers: int | None = None) -> None:
        self.study = study
        self.workers = workers or len(os.sched_getaffinity(0))

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        """See `Executor.run`."""
        pending = iter(configurations)
        threads = max(1, min(self.workers, len(configurations)))
        inner = max(1, self.workers // threads)
        stopped = threading.Event()

        def checkpoint() -> None:
            if stopped.is_set():
                raise _Stopped

        def work(configuration: Configuration) -> Outcome:
            checkpoint()
            return measure(self.study, configuration, workers=inner, checkpoint=checkpoint)

        running: dict[Future[Outcome], Configuration] = {}
        # One limit around all threads: each would otherwise restore the number of BLAS threads while others run.
        with single_threaded_blas(), quick_switches(), ThreadPoolExecutor(threads) as pool:
            try:
                finished: dict[Future[Outcome], Configuration] = {}
                while True:
                    # One more than there are threads, so that none waits while a row is written.
                    more = list(islice(pending, threads + 1 - len(running)))
                    if more:
                        begin(more)
                    running.update({pool.submit(work, one): one for one in more})
                    for future, one in finished.items():
                        yield one, future.result()
                    if not running:
                        return
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    finished = {future: running.pop(future) for future in list(running) if future in done}
            finally:
                stopped.set()
