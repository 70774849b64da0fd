"""Pools of workers, which take tasks and return futures; and the pool without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

from vsr.cluster.fingerprint import Fingerprint, difference
from vsr.cluster.tasks import WorkerFacts
from vsr.errors import ConfigurationError

TRIES = 3
"""Times that a task is tried before it is named as failed."""


class Worker(Protocol):
    """Callable that a pool runs: made once, then called for each task."""

    seen: int
    restored: int

    def __call__(self, task: Any) -> Any:
        """Do a task."""
        ...

    def facts(self) -> WorkerFacts:
        """Facts about this worker for the driver."""
        ...

    def close(self) -> None:
        """End the current task, and remove temporary files."""
        ...


class Pool(Protocol):
    """Workers that share one run."""

    is_remote: bool

    def choose(self, wanted: Fingerprint | None) -> list[WorkerFacts]:
        """Choose the workers of one numeric kind, and wait for them.

        Args:
            wanted: The kind that a run began with; None for that of the most workers.

        Returns:
            A description of each.

        Raises:
            VSRError: There is none.
        """
        ...

    def submit(self, task: Any, *, size: int = 0) -> Future[Any]:
        """Queue a task; larger ones come first."""
        ...

    def end(self, future: Future[Any]) -> None:
        """Let the worker of a task end it early; it takes no other one."""
        ...

    def restored(self, future: Future[Any]) -> int:
        """Frames of a task that are restored so far, as far as that is known."""
        ...

    def rates(self) -> Mapping[str, float]:
        """Frames per second of each worker."""
        ...

    def share(self, data: bytes) -> Any:
        """Put bytes where all workers get them; returns a reference."""
        ...


class Alone:
    """One worker in this process, for a run that was begun on a cluster.

    Args:
        make: Makes the worker.
        mixed: Whether a worker of another numeric kind may continue.
    """

    is_remote = False

    def __init__(self, make: Callable[[], Worker], *, mixed: bool = False) -> None:
        self._worker, self._mixed = make(), mixed
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vsr-shard")
        self._began: dict[Future[Any], int] = {}

    def choose(self, wanted: Fingerprint | None) -> list[WorkerFacts]:
        """As ``Pool.choose``."""
        facts = self._worker.facts()
        if wanted is not None and not self._mixed and (d := difference(facts.fingerprint, wanted)):
            raise ConfigurationError(
                f"this machine computes other bits than those that the run began on: {d}; "
                "continue on one of their kind, or give --mixed-machines"
            )
        return [facts]

    def submit(self, task: Any, *, size: int = 0) -> Future[Any]:
        """As ``Pool.submit``; in the order of the calls."""
        return self._executor.submit(self._worker, task)

    def end(self, future: Future[Any]) -> None:
        """As ``Pool.end``."""
        self._worker.close()

    def restored(self, future: Future[Any]) -> int:
        """As ``Pool.restored``."""
        if not future.running():
            return 0
        return self._worker.restored - self._began.setdefault(future, self._worker.restored)

    def rates(self) -> Mapping[str, float]:
        """None: the run's own rate is the worker's."""
        return {}

    def share(self, data: bytes) -> Any:
        """The bytes themselves."""
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._worker.close()
        self._executor.shutdown(cancel_futures=True)
