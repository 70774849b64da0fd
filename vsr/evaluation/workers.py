"""Clips on several processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from typing import Any

import torch

from vsr.errors import MissingDependency, VSRError
from vsr.evaluation.jobs import Job, JobRunner, Setup
from vsr.evaluation.results import ClipResult

CONNECT_TIMEOUT_S = 5.0


def run_in_processes(setup: Setup, jobs: Sequence[Job], workers: int) -> Iterator[ClipResult]:
    """Do jobs in processes of their own, which share this process's threads, or several GPUs.

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
    """Do jobs on a Ray cluster, every node of which sees the files under the same names.

    Args:
        setup: Settings that all jobs share.
        jobs: A task each.
        address: As for ``ray.init``; ``local`` starts a cluster on this machine.

    Raises:
        MissingDependency: Ray is not installed.
        VSRError: No cluster there, a worker that was lost, or a job's error.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("--ray needs Ray; pip install 'vsr-stream[ray]'") from error
    _require_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise VSRError(_no_cluster(address, error)) from error
    try:
        gpus = 1 if setup.device != "cpu" and ray.cluster_resources().get("GPU") else 0
        task = ray.remote(num_gpus=gpus, max_retries=1)(do_job)
        running = [task.remote(setup, job) for job in jobs]
        while running:
            done, running = ray.wait(running)
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, VSRError) else error from None
    except ray.exceptions.RayError as error:
        raise VSRError(
            f"the Ray cluster lost a worker ({error}); call again, finished clips are kept where "
            "--out or --report is given"
        ) from error
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Ray waits for minutes where nobody listens.

    Raises:
        VSRError: Nobody listens.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise VSRError(_no_cluster(address, error)) from error


def _no_cluster(address: str, error: Exception) -> str:
    return f"no Ray cluster answers at {address!r} ({error}); start one, or give --ray local"


def do_job(setup: Setup, job: Job) -> ClipResult:
    """Do one job in this process; the network stays loaded for the next."""
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
