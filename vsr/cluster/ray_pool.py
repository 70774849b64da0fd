"""Workers on a Ray cluster: one actor per GPU, or per some cores, watched by its progress.

Ray notices a dead machine, not a hung one. So a thread of the driver polls the progress of
every busy actor; one that makes none is replaced, and its task given to another.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from vsr.cluster.fingerprint import Fingerprint, difference
from vsr.cluster.pool import TRIES
from vsr.cluster.ray_connection import (
    HeadWatch,
    MakeWorker,
    actor_class,
    connect,
    first_line,
    import_ray,
)
from vsr.cluster.tasks import NotVisible, WorkerFacts
from vsr.errors import VSRError

log = logging.getLogger(__name__)

START_S = 300.0
"""Seconds that a worker may take to load its network, and a run may be without any worker."""

SAY_S = 20.0
GATHER_S = 20.0
"""Seconds that a run waits for all workers before it begins with those that have come."""

PULSE_S = 5.0
SILENCE_S = 120.0
"""Seconds without progress after which a worker counts as hung, where its usual steps are short."""

USUAL_STEPS = 10
"""Usual steps without progress after which it does."""

FIRST_STEP = 10
"""Times ``SILENCE_S`` for which a worker may be silent while no step has been seen."""

CORES = 4
"""Cores of a worker without a GPU, where the machine has as many."""

WAIT_S = 0.2
GOODBYE_S = 5.0


@dataclass(kw_only=True, eq=False)
class _Job:
    """A task and its state.

    Attributes:
        task: The task.
        future: Future of the result.
        tries: Number of failures.
        restored: Frames of it restored so far.
    """

    task: Any
    future: Future[Any] = field(default_factory=Future)
    tries: int = 0
    restored: int = 0


@dataclass(kw_only=True, eq=False)
class _Slot:
    """A place for a worker, which may be replaced.

    Attributes:
        number: Number of the worker.
        actor: Ray's handle.
        awaited: Reference to its facts.
        since: Time of its start, then of its last progress.
        stepped: Time at which its job began, or last restored frames.
        facts: None until they have come.
        is_out: Whether it is not used: it computes other bits, or does not see the files.
        job: Its current job.
        result: Reference to the result.
        pulse: Reference to its progress, asked for and not yet returned.
        asked: Time of that question.
        seen: Frames read and restored, by its last answer.
        restored: Frames restored, by its last answer.
        begun: Frames it had restored when it began its job.
        busy_s: Seconds of work so far, without the current job.
        started: Time at which it began its job.
    """

    number: int
    actor: Any
    awaited: Any
    since: float
    facts: WorkerFacts | None = None
    is_out: bool = False
    job: _Job | None = None
    result: Any = None
    pulse: Any = None
    asked: float = 0.0
    seen: int = 0
    restored: int = 0
    begun: int = 0
    stepped: float = 0.0
    busy_s: float = 0.0
    started: float = 0.0


class RayPool:
    """Workers on a Ray cluster.

    Args:
        address: ``local``, ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        make: Makes a worker, on its machine; it is pickled.
        devices: Devices of this machine, a worker each; empty to use what the cluster has.
        on_cpu: Whether GPUs are not used.
        cores: Cores of a worker without a GPU; None for ``CORES``, or all where there are fewer.
        mixed: Whether workers of several numeric kinds are used.
        pulse_s: Seconds between two polls of a worker's progress.
        silence_s: Seconds without progress, see ``SILENCE_S``.
        tries: Maximum number of tries of a task.

    Raises:
        MissingDependency: Ray is not installed.
        VSRError: No cluster answers.
    """

    is_remote = True

    def __init__(
        self,
        address: str,
        make: MakeWorker,
        *,
        devices: tuple[str, ...] = (),
        on_cpu: bool = False,
        cores: int | None = None,
        mixed: bool = False,
        pulse_s: float = PULSE_S,
        silence_s: float = SILENCE_S,
        tries: int = TRIES,
    ) -> None:
        self._ray = import_ray(address)
        self._devices, self._on_cpu, self._cores, self._mixed = devices, on_cpu, cores, mixed
        self._pulse_s, self._silence_s, self._tries = pulse_s, silence_s, tries
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            connect(self._ray, address, own_devices=bool(devices))
        self._make = self._ray.put(make)
        self._lock = threading.Condition()
        self._queue: list[tuple[int, int, _Job]] = []
        self._order = itertools.count()
        self._unfinished: set[_Job] = set()
        self._kind: Fingerprint | None = None
        self._chosen = self._closing = self._is_lost = False
        self._slots: list[_Slot] = []
        self._broken: list[_Slot] = []
        self._last_error: BaseException | None = None
        self._alive = time.monotonic()
        self._busy_s, self._steps = 0.0, 0
        try:
            self._grow()
            if not self._slots:
                raise VSRError(
                    f"the cluster at {address!r} has neither a GPU nor "
                    f"{cores or 1} free cores on a machine"
                )
        except BaseException:
            self._leave()
            raise
        self._thread = threading.Thread(target=self._run, name="vsr-pool", daemon=True)
        self._thread.start()
        self._head = HeadWatch(self._ray, self._give_up)

    def choose(self, wanted: Fingerprint | None) -> list[WorkerFacts]:
        """As ``Pool.choose``."""
        with self._lock:
            if not self._lock.wait_for(self._any_known, SAY_S):
                log.warning("waiting for workers: they load, or the cluster is busy")
            self._lock.wait_for(self._all_known, GATHER_S)
            self._lock.wait_for(self._any_known, START_S)
            if not self._chosen or wanted is not None:
                known = [slot.facts for slot in self._slots if slot.facts is not None]
                self._kind = None if self._mixed else wanted or _most_frequent(known)
                self._chosen = True
                for slot in self._slots:
                    self._judge(slot)
            found = [s.facts for s in self._slots if s.facts is not None and not s.is_out]
        if self._is_lost:
            raise self._lost()
        if not found:
            raise self._no_worker()
        return found

    def submit(self, task: Any, *, size: int = 0) -> Future[Any]:
        """As ``Pool.submit``."""
        job = _Job(task=task)
        self._unfinished.add(job)
        job.future.add_done_callback(lambda _: self._unfinished.discard(job))
        with self._lock:
            heapq.heappush(self._queue, (-size, next(self._order), job))
        if self._is_lost:
            _fail(job, self._lost())
        return job.future

    def end(self, future: Future[Any]) -> None:
        """As ``Pool.end``."""
        with self._lock:
            for slot in self._slots:
                if slot.job is not None and slot.job.future is future:
                    slot.actor.close.remote()

    def restored(self, future: Future[Any]) -> int:
        """As ``Pool.restored``."""
        jobs = (slot.job for slot in self._slots if slot.job is not None)
        return next((job.restored for job in jobs if job.future is future), 0)

    def rates(self) -> Mapping[str, float]:
        """As ``Pool.rates``."""
        now, rates = time.monotonic(), {}
        for slot in self._slots:
            busy = slot.busy_s + (now - slot.started if slot.job else 0.0)
            if slot.facts is not None and not slot.is_out and busy:
                rates[slot.facts.name] = slot.restored / busy
        return rates

    def share(self, data: bytes) -> Any:
        """As ``Pool.share``; in a list, or Ray would resolve the reference itself."""
        return [self._ray.put(data)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._closing = True
        self._head.end()
        if self._is_lost:
            return  # whatever is asked now waits for the head node, and Ray ends the process
        self._thread.join()
        self._say_goodbye()
        for slot in self._slots:
            self._kill(slot)
        self._leave()

    def _run(self) -> None:
        """The thread: hand out tasks, take results, watch workers."""
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:
            log.debug("the pool ends", exc_info=True)
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        """Let all tasks fail: the cluster is lost."""
        with self._lock:
            self._last_error, self._is_lost = error, True
            self._queue.clear()
            for job in tuple(self._unfinished):
                _fail(job, self._lost())
            self._lock.notify_all()

    def _turn(self) -> None:
        with self._lock:
            self._hand_out()
        refs = self._references()
        if not refs:
            time.sleep(WAIT_S)
        ready = self._ray.wait(list(refs), num_returns=1, timeout=WAIT_S)[0] if refs else []
        with self._lock:
            for ref in ready:
                refs[ref]()
            self._watch()
            self._lock.notify_all()
        self._replace_broken()

    def _references(self) -> dict[Any, Callable[[], None]]:
        """Ray references that are pending, each with the function that takes its result."""
        refs: dict[Any, Callable[[], None]] = {}
        for slot in self._slots:
            if slot.awaited is not None:
                refs[slot.awaited] = partial(self._take_facts, slot)
            if slot.result is not None:
                refs[slot.result] = partial(self._take_result, slot)
            if slot.pulse is not None:
                refs[slot.pulse] = partial(self._take_pulse, slot)
        return refs

    def _hand_out(self) -> None:
        for slot in self._slots:
            if not self._queue or not self._chosen:
                return
            if slot.facts is None or slot.is_out or slot.job is not None:
                continue
            job = heapq.heappop(self._queue)[2]
            if not (job.future.running() or job.future.set_running_or_notify_cancel()):
                continue
            named = slot.actor.run.options(name=job.task.title)
            slot.job, slot.result = job, named.remote(job.task)
            slot.started = slot.since = slot.stepped = time.monotonic()
            slot.begun = slot.restored
            job.restored = 0

    def _take_facts(self, slot: _Slot) -> None:
        ref, slot.awaited = slot.awaited, None
        try:
            slot.facts = self._ray.get(ref)
        except Exception as error:
            self._last_error = _cause(error)
            slot.is_out = isinstance(error, self._ray.exceptions.RayTaskError)
            if slot.is_out:
                log.warning("a worker is left out: %s", self._last_error)
            else:
                self._replace(slot)
            return
        self._judge(slot)

    def _judge(self, slot: _Slot) -> None:
        """Leave out a worker that computes other bits than the others."""
        if slot.facts is None or not self._chosen or self._kind is None or slot.is_out:
            return
        if other := difference(slot.facts.fingerprint, self._kind):
            slot.is_out = True
            log.warning(
                "%s is left out, it computes other bits: %s; --mixed-machines uses it anyway",
                slot.facts.name,
                other,
            )
            self._kill(slot)

    def _take_result(self, slot: _Slot) -> None:
        (job, slot.job), (ref, slot.result) = (slot.job, None), (slot.result, None)
        assert job is not None
        slot.busy_s += time.monotonic() - slot.started
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            self._take_failure(job, _cause(error))
        except self._ray.exceptions.RayError as error:
            self._take_death(slot, job, error)
        else:
            job.future.set_result(value)

    def _take_failure(self, job: _Job, error: BaseException) -> None:
        if isinstance(error, NotVisible):
            _fail(job, error)  # its sender can help
        else:
            self._retry(job, error)

    def _take_death(self, slot: _Slot, job: _Job, error: BaseException) -> None:
        name = slot.facts.name if slot.facts else f"worker {slot.number}"
        node_died = "node has died" in str(error) or "node failed" in str(error)
        log.warning("%s is lost (%s), a worker takes its place", name, first_line(error))
        self._replace(slot)
        if node_died:
            self._requeue(job)
        else:
            self._retry(job, VSRError(f"its worker died ({first_line(error)})"))

    def _retry(self, job: _Job, error: BaseException) -> None:
        job.tries += 1
        if job.tries >= self._tries:
            where = getattr(job.task, "where", lambda: job.task.title)()
            named = VSRError(f"{where} failed {self._tries} times: {error}")
            _fail(job, error if self._tries == 1 else named, error)
            return
        log.warning("%s: %s; tried again", job.task.title, error)
        self._requeue(job)

    def _requeue(self, job: _Job) -> None:
        heapq.heappush(self._queue, (-(1 << 62), next(self._order), job))

    def _take_pulse(self, slot: _Slot) -> None:
        ref, slot.pulse = slot.pulse, None
        try:
            seen, restored = self._ray.get(ref)
        except self._ray.exceptions.RayError:
            return  # its task fails, too
        now = time.monotonic()
        if seen != slot.seen and slot.job is not None:
            slot.since = now
        if restored != slot.restored and slot.job is not None:
            self._busy_s, self._steps = self._busy_s + now - slot.stepped, self._steps + 1
            slot.stepped = now
        slot.seen, slot.restored = seen, restored
        if slot.job is not None:
            slot.job.restored = restored - slot.begun

    def _watch(self) -> None:
        """Poll the progress of busy workers, replace hung ones, and end where there are none."""
        now = time.monotonic()
        limit = self._limit_s()
        for slot in self._slots:
            if slot.job is not None and now - slot.since > limit:
                self._replace_hung(slot, now - slot.since)
            elif slot.awaited is not None and not slot.is_out and now - slot.since > START_S:
                slot.is_out, slot.awaited = True, None
                log.warning("a worker has not begun for %.0f s: it is not waited for", START_S)
            elif slot.job is not None and slot.pulse is None and now - slot.asked > self._pulse_s:
                slot.pulse, slot.asked = slot.actor.pulse.remote(), now
        if any(not slot.is_out for slot in self._slots):
            self._alive = now
        elif self._chosen and self._queue and now - self._alive > self._pulse_s:
            for *_, job in self._queue:
                _fail(job, self._no_worker())
            self._queue.clear()

    def _limit_s(self) -> float:
        """Seconds without progress after which a worker counts as hung."""
        if not self._steps:
            return FIRST_STEP * self._silence_s
        return max(self._silence_s, USUAL_STEPS * self._busy_s / self._steps)

    def _replace_hung(self, slot: _Slot, silent_s: float) -> None:
        job, slot.job, slot.result, slot.pulse = slot.job, None, None, None
        assert job is not None
        log.warning("a worker made no progress for %.0f s: it is replaced", silent_s)
        self._replace(slot)
        self._retry(job, VSRError(f"no progress for {silent_s:.0f} s"))

    def _replace(self, slot: _Slot) -> None:
        slot.facts = None
        self._broken.append(slot)

    def _replace_broken(self) -> None:
        """Replace broken workers; without the lock, as Ray may wait for a lost head node."""
        while self._broken:
            slot = self._broken.pop()
            self._kill(slot)
            started = self._start(slot.number)
            with self._lock:
                self._slots[self._slots.index(slot)] = started

    def _grow(self) -> None:
        """Start as many workers as the cluster has room for."""
        for number in range(len(self._slots), self._room()):
            self._slots.append(self._start(number))

    def _room(self) -> int:
        if self._devices:
            return len(self._devices)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        if gpus and not self._on_cpu:
            return gpus
        if self._cores is None:
            self._cores = min([CORES, *(max(1, int(node.get("CPU", 1))) for node in nodes)])
        return sum(int(node.get("CPU", 0)) // self._cores for node in nodes)

    def _start(self, number: int) -> _Slot:
        ray = self._ray
        gpus = any(node["Resources"].get("GPU") for node in ray.nodes() if node["Alive"])
        if self._devices:
            wants: dict[str, Any] = {"num_cpus": 0}
        elif gpus and not self._on_cpu:
            wants = {"num_gpus": 1, "num_cpus": 1}
        else:
            wants = {"num_cpus": self._cores}
        actor = actor_class(ray).options(**wants).remote(self._make, number)
        return _Slot(
            number=number, actor=actor, awaited=actor.facts.remote(), since=time.monotonic()
        )

    def _kill(self, slot: _Slot) -> None:
        try:
            self._ray.kill(slot.actor)
        except Exception as error:  # it may be gone, and the cluster with it
            log.debug("a worker cannot be ended: %s", error)

    def _say_goodbye(self) -> None:
        """Let workers remove their files."""
        closed = [slot.actor.close.remote() for slot in self._slots if slot.facts is not None]
        if closed and self._ray.is_initialized():
            self._ray.wait(closed, num_returns=len(closed), timeout=GOODBYE_S)

    def _leave(self) -> None:
        if self._is_ours:
            self._ray.shutdown()

    def _all_known(self) -> bool:
        return self._is_lost or all(s.facts is not None or s.is_out for s in self._slots)

    def _any_known(self) -> bool:
        """Whether there is a worker, or none to wait for."""
        ended = self._is_lost or all(slot.is_out for slot in self._slots)
        return ended or any(s.facts is not None and not s.is_out for s in self._slots)

    def _lost(self) -> VSRError:
        cause = f" ({first_line(self._last_error)})" if self._last_error else ""
        return VSRError(
            f"the cluster is lost{cause}; --resume continues there, elsewhere or without a cluster"
        )

    def _no_worker(self) -> VSRError:
        cause = f": {self._last_error}" if self._last_error else ""
        return VSRError(f"no worker of the cluster can be used{cause}")


def _most_frequent(known: list[WorkerFacts]) -> Fingerprint | None:
    if not known:
        return None
    counts = Counter(tuple(sorted(facts.fingerprint.items())) for facts in known)
    return dict(counts.most_common(1)[0][0])


def _fail(job: _Job, error: BaseException, cause: BaseException | None = None) -> None:
    error.__cause__ = cause
    if not job.future.done():
        job.future.set_exception(error)


def _cause(error: BaseException) -> BaseException:
    """Error that was raised in a worker."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
