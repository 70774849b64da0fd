"""Clips on several processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from typing import Any

import torch

from vsr.cluster.tasks import WorkerFacts
from vsr.errors import VSRError
from vsr.evaluation.jobs import Job, JobRunner, Setup
from vsr.evaluation.results import ClipResult
from vsr.models.placement import resolve_device


def run_in_processes(setup: Setup, jobs: Sequence[Job], workers: int) -> Iterator[ClipResult]:
    """Run jobs in other processes, which share this process's threads, or several GPUs.

    Raises:
        VSRError: A job's error, or a process that was killed.
    """
    context = get_context("spawn")
    number = context.Value("i", 0)
    threads = max(1, torch.get_num_threads() // workers)
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_worker, initargs=(number, threads)
    )
    try:
        futures = [executor.submit(do_job, setup, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise VSRError(
            "a worker was killed, perhaps because memory ran out; take fewer --workers, finished "
            "clips are kept where --out or --report is given"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def run_on_ray(setup: Setup, jobs: Sequence[Job], address: str) -> Iterator[ClipResult]:
    """Run jobs on a Ray cluster, every node of which sees the files under the same names.

    Args:
        setup: Settings that all jobs share.
        jobs: Jobs, each for one core or one GPU.
        address: See ``ray.init``; ``local`` starts a cluster on this machine.

    Raises:
        MissingDependency: Ray is not installed.
        VSRError: No cluster there, a worker that was lost, or a job's error; finished clips are
            kept where ``--out`` or ``--report`` is given.
    """
    from vsr.cluster.ray_pool import RayPool

    with RayPool(
        address,
        partial(JobWorker, setup),
        on_cpu=setup.device == "cpu",
        cores=1,
        mixed=True,
        silence_s=math.inf,
        tries=1,
    ) as pool:
        pool.choose(None)
        for future in as_completed([pool.submit(job) for job in jobs]):
            yield future.result()


class JobWorker:
    """Runs jobs on a Ray cluster, with the same actors as ``vsr restore --cluster``.

    Args:
        setup: Settings shared by all jobs.
        number: Number of the worker.
        fetch: Not used: jobs name their files.

    Attributes:
        seen: 0: the progress within a job is not reported.
        restored: 0, for the same reason.
    """

    seen = restored = 0

    def __init__(self, setup: Setup, number: int, fetch: Callable[[Any], bytes]) -> None:
        self._setup = setup
        self._device = str(resolve_device(setup.device))

    def __call__(self, task: Job) -> ClipResult:
        """Run a job."""
        return do_job(self._setup, task)

    def close(self) -> None:
        """Do nothing: a job leaves no files behind."""

    def facts(self) -> WorkerFacts:
        """Facts about this worker for the driver; machines may be of several kinds."""
        host = socket.gethostname()
        return WorkerFacts(
            name=f"{host}:{os.getpid()}",
            host=host,
            fingerprint={},
            network={},
            budget_bytes=0,
            device=self._device,
        )


def do_job(setup: Setup, job: Job) -> ClipResult:
    """Run one job in this process; the network stays loaded for the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="scorer") as scorer_thread:
        return _workplace(_on_own_device(setup)).start(job, scorer_thread).result()


@lru_cache(maxsize=1)
def _workplace(setup: Setup) -> JobRunner:
    return JobRunner(setup)


_worker_number = 0


def _begin_worker(number: Any, threads: int) -> None:
    """Take a number, which spreads workers over GPUs, and the worker's share of the threads."""
    global _worker_number
    with number.get_lock():
        _worker_number, number.value = number.value, number.value + 1
    torch.set_num_threads(threads)
    # Ctrl-C reaches the whole group; the first process says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the first process is gone: a killed one cannot tell its workers to stop."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _on_own_device(setup: Setup) -> Setup:
    """The setup with this worker's GPU, where there are several and none was named."""
    count = torch.cuda.device_count()
    if count < 2 or setup.device not in ("auto", "cuda"):
        return setup
    return replace(setup, device=f"cuda:{_worker_number % count}")
