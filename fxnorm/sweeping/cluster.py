"""A Dask cluster: reaching it, knowing who is there, and sending a study to all of its workers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from fxnorm.errors import RunError, UsageError
from fxnorm.study import Study
from fxnorm.sweeping.executor import Executor
from fxnorm.sweeping.remote import decisive_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

CONNECT: Final = 10.0
"""Seconds in which a scheduler must answer."""
PATIENCE: Final = 60.0
"""Seconds in which a cluster without workers must get one."""
FRESH: Final = 1.0
"""Seconds for which it is taken for granted who is there."""
INSTALL: Final = "install it with `pip install 'fxnorm[dask]'`"
GOES_ON: Final = "rows so far are kept, the same command goes on"

_ADDRESS: Final = re.compile(r"(tcp|tls)://[^\s/?#]+:\d{1,5}/?")
_LOGGERS: Final = ("distributed", "distributed.client", "distributed.core", "distributed.comm", "tornado.application")


def cluster(address: str | None, workers: int | None = None) -> AbstractContextManager[Cluster | None]:
    """The cluster at an address; None, and with it the cores of this machine, where there is no address.

    Raises
    ------
    UsageError
        If that is no address, or a number of workers is given too, or Dask is not installed.
    """
    if address is None:
        return nullcontext()
    if workers is not None:
        raise UsageError(
            "--workers: is for the cores of this machine, and --dask is given; the cluster has the threads of its workers"
        )
    return Cluster(address)


class Cluster:
    """A Dask cluster, as an argument `executor` of `fxnorm.sweeping.sweep.sweep`; as a context manager, it is left at the end.

    Nothing is connected before there is something to compute.

    Parameters
    ----------
    address
        Of the scheduler, ``tcp://HOST:PORT`` or ``tls://HOST:PORT`` (with the certificates of Dask's own configuration).
    connect, patience
        Seconds in which a scheduler must answer, and a cluster without workers must get one.

    Raises
    ------
    UsageError
        If that is no address, or Dask is not installed.
    """

    def __init__(self, address: str, *, connect: float = CONNECT, patience: float = PATIENCE) -> None:
        if not _ADDRESS.fullmatch(address):
            raise UsageError(
                f"--dask: must be the address of a scheduler, tcp://HOST:PORT or tls://HOST:PORT, not {address!r}"
            )
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise UsageError(f"--dask: needs Dask, which is not installed; {INSTALL}") from None
        self.address, self.connect, self.patience = address, connect, patience
        self._open = ExitStack()
        self._client: Client | None = None
        self._crew: list[int] = []
        self._asked = self._seen = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client = None
        self._open.close()

    def __call__(self, study: Study) -> Executor:
        """What computes configurations of a study here.

        Raises
        ------
        RunError
            If the scheduler cannot be reached, nobody is there to work, or a worker has another version of what decides the results.
        DataError
            If the samples cannot be read.
        """
        from fxnorm.sweeping.cluster_executor import ClusterExecutor

        self.crew()
        self.check_versions()
        return ClusterExecutor(study, self)

    @property
    def client(self) -> Client:
        """Dask's client, connected when it is first needed."""
        if self._client is None:
            self._client = self._connected()
            self._seen = time.monotonic()
        return self._client

    def _connected(self) -> Client:
        from distributed import Client

        self._open.enter_context(_quiet())
        try:
            _knock(self.address, self.connect)
            client = Client(self.address, timeout=self.connect, set_as_default=False)
        except (OSError, TimeoutError, ValueError, ImportError) as error:
            self._open.close()
            raise RunError(
                f"--dask {self.address}: there must be a Dask scheduler, but none answers within {self.connect:g} s "
                f"({_first_line(error)}); start one with `dask scheduler`"
            ) from None
        self._open.callback(client.close, timeout=5)
        return client

    def crew(self) -> list[int]:
        """Threads of each worker, once there is one.

        Raises
        ------
        RunError
            If nobody comes in time, or the scheduler is gone.
        """
        while not (found := self.crew_now()):
            time.sleep(0.2)
        return found

    def crew_now(self) -> list[int]:
        """Likewise, nothing while nobody is there; as it was a moment ago.

        Raises
        ------
        RunError
            If nobody has been there for too long, or the scheduler is gone.
        """
        client, now = self.client, time.monotonic()
        if client.status == "closed":
            raise RunError(f"--dask {self.address}: the scheduler is gone and does not come back; {GOES_ON}")
        if client.status != "running":
            # Dask's client tries to reach a scheduler that is gone for as long as it was given to reach it first, and closes then.
            self._crew, self._seen = [], now
            return []
        if not self._crew or now - self._asked >= FRESH:
            self._crew, self._asked = [], now
            with suppress(OSError, TimeoutError):
                self._crew = list(client.sync(client.scheduler.ncores, callback_timeout=self.connect).values())
        if self._crew:
            self._seen = now
        elif now - self._seen > self.patience:
            raise RunError(
                f"--dask {self.address}: the scheduler has no workers, and none came within {self.patience:g} s; "
                f"start some with `dask worker {self.address}`. {GOES_ON[0].upper()}{GOES_ON[1:]}"
            )
        return self._crew

    def look_again(self) -> None:
        """Take nothing for granted about who is there."""
        self._crew = []

    def send(self, contents: Mapping[str, bytes]) -> dict[str, Future]:
        """Bytes on every worker, each under a name that is new.

        Raises
        ------
        ConnectionError
            If the scheduler is gone, or all workers are.
        RunError
            If they cannot be sent, though somebody is there, or nobody has been there for too long.
        """
        names = {f"fxnorm-{name}-{uuid.uuid4().hex}": name for name in contents}
        wait = self.patience + sum(map(len, contents.values())) / 1e6  # a megabyte a second, at least
        try:
            sent: dict[str, Future] = self.client.scatter(
                {key: contents[name] for key, name in names.items()}, broadcast=True, timeout=wait
            )
        except (OSError, TimeoutError, KeyError, ValueError) as error:
            self.look_again()
            if not self.crew_now():
                raise ConnectionError(_first_line(error)) from None
            raise RunError(
                f"--dask {self.address}: model and samples cannot be sent to the workers: {_first_line(error)}; {GOES_ON}"
            ) from None
        return {names[key]: future for key, future in sent.items()}

    def other_versions(self, worker: str, found: Mapping[str, str]) -> RunError:
        """The error for a worker that would not compute the same."""
        wanted = decisive_versions()
        differ = [name for name, text in wanted.items() if found.get(name) != text]
        here, there = (", ".join(f"{name} {those.get(name)}" for name in differ) for those in (wanted, found))
        return RunError(
            f"--dask {self.address}: worker {worker} must have the versions of this machine, {here}, for results to be the same, "
            f"but has {there}; install the same there"
        )

    def check_versions(self) -> None:
        """Ask all workers what they have, by what Python itself has for it: they might not have fxnorm at all.

        Raises
        ------
        RunError
            If one would not compute the same.
        """
        from importlib.metadata import PackageNotFoundError, version

        wanted = decisive_versions()
        found: dict[str, dict[str, str]] = {}
        for name in wanted:
            try:
                answers: Mapping[str, Any] = self.client.run(version, name, on_error="return")
            except (OSError, TimeoutError):
                return  # whoever is gone is not asked; those who come later say it with their first task
            for worker, answer in answers.items():
                if isinstance(answer, PackageNotFoundError):
                    found.setdefault(worker, {})[name] = "unknown"
                elif isinstance(answer, str):
                    found.setdefault(worker, {})[name] = answer
        for worker, those in sorted(found.items()):
            if any(those.get(name, text) != text for name, text in wanted.items()):
                raise self.other_versions(worker, {**wanted, **those})


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's client says in its log what is said here as an error."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _knock(address: str, seconds: float) -> None:
    """See that Dask answers at an address: its client would wait for ever for one that listens and says nothing.

    Raises
    ------
    OSError, TimeoutError
        If nobody does in time.
    """
    from distributed import Security
    from distributed.comm import connect

    async def knock() -> None:
        comm = await connect(address, timeout=seconds, **Security().get_connection_args("client"))
        comm.abort()

    asyncio.run(asyncio.wait_for(knock(), 2 * seconds))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
