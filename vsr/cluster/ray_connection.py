"""Connecting to a Ray cluster, and the actor that runs there."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vsr.cluster.pool import Worker
from vsr.cluster.tasks import WorkerFacts
from vsr.errors import ConfigurationError, MissingDependency, VSRError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
CONNECT_TRIES = 3
CONNECT_AGAIN_S = 3.0
"""Seconds until the next try, where a busy head node has aborted one."""

HEAD_EVERY_S = 5.0
HEAD_TIMEOUT_S = 2.0
HEAD_LOST_S = 30.0
"""Seconds without an answer after which the head node counts as lost. Ray ends the driver's process
after 60, and with it all messages it has not written."""

LOCAL = "local"
_OWN_DEVICES = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"
"""Set to 0, Ray leaves the GPUs visible to actors that claim none: each has a device of its own."""

MakeWorker = Callable[[int, Callable[[Any], bytes]], Worker]
"""Makes the worker of a number; the function gets objects of Ray's store."""


def import_ray(address: str) -> Any:
    """The package Ray.

    Args:
        address: Address of the cluster that will be connected to.

    Raises:
        MissingDependency: It is not installed.
    """
    if address != LOCAL and "ray" not in sys.modules:
        _send_token()
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "several workers need Ray; pip install 'vsr-stream[ray]'"
        ) from error
    return ray


def _send_token() -> None:
    """Let Ray send this user's token, if there is one, to clusters of any address.

    Ray does so by itself for a cluster that it starts or finds; for one that is named (Ray 2.60) it
    has to be told, and otherwise fails after a time-out. It reads the variable once, when
    it is imported.
    """
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if named or (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def connect(ray: Any, address: str, *, own_devices: bool = False) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        VSRError: None answers.
    """
    _require_answer(address)
    # Ray gives actors no environment but its own.
    variables = {k: v for k, v in os.environ.items() if k.startswith("VSR_")}
    options: dict[str, Any] = {"runtime_env": {"env_vars": variables}} if variables else {}
    if address == LOCAL:
        options["include_dashboard"] = False
        os.environ.update({_OWN_DEVICES: "0"} if own_devices else {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reported below
            _init(ray, address, options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise VSRError(_no_cluster(address, error)) from error


def _init(ray: Any, address: str, options: dict[str, Any]) -> None:
    """``ray.init``, tried again where the head node was too slow to start this client's server."""
    for tries_left in reversed(range(CONNECT_TRIES)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except ConnectionAbortedError as error:
            if not tries_left:
                raise
            log.info("connecting to %s again: %s", address, first_line(error))
            time.sleep(CONNECT_AGAIN_S)
        else:
            return


class HeadWatch:
    """A thread that notices that the head node is gone, without which a cluster does not work.

    It does not use Ray's own calls, which wait for the head.

    Args:
        ray: Ray, connected. Ray's client notices a loss by itself.
        on_loss: Called once, in the thread.
    """

    def __init__(self, ray: Any, on_loss: Callable[[VSRError], None]) -> None:
        is_client = ray.util.client.ray.is_connected()
        self._address = "" if is_client else ray.get_runtime_context().gcs_address
        self._on_loss, self._ended = on_loss, threading.Event()
        if self._address:
            threading.Thread(target=self._run, name="vsr-head", daemon=True).start()

    def end(self) -> None:
        """End the thread."""
        self._ended.set()

    def _run(self) -> None:
        host, _, port = self._address.rpartition(":")
        place, answered = (host.strip("[]"), int(port)), time.monotonic()
        while not self._ended.wait(HEAD_EVERY_S):
            try:
                socket.create_connection(place, HEAD_TIMEOUT_S).close()
                answered = time.monotonic()
            except OSError as error:
                if time.monotonic() - answered > HEAD_LOST_S:
                    self._on_loss(VSRError(f"its head node at {self._address} is gone: {error}"))
                    return


def _require_answer(address: str) -> None:
    """Check that something listens at the address: Ray would wait for minutes.

    Raises:
        VSRError: Nothing listens.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        if address not in {LOCAL, "auto"}:
            raise ConfigurationError(
                f"cluster {address!r} is unknown; give local, auto, HOST:PORT or ray://HOST:PORT"
            )
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise VSRError(_no_cluster(address, error)) from error


def _no_cluster(address: str, error: Exception) -> str:
    return (
        f"no Ray cluster answers at {address!r} ({first_line(error)}); start one by 'ray start "
        "--head', bring its token here if it has one ('ray get-auth-token'), or give local"
    )


def actor_class(ray: Any) -> Any:
    """The actor class; Ray's decorators exist only where Ray is installed."""

    class Actor:
        """A worker, made at the first call so that its errors are returned as a result."""

        def __init__(self, make: MakeWorker, number: int) -> None:
            self._make, self._number = make, number
            self._worker: Worker | None = None

        def facts(self) -> WorkerFacts:
            self._worker = self._make(self._number, lambda refs: ray.get(refs[0]))
            return self._worker.facts()

        def run(self, task: Any) -> Any:
            assert self._worker is not None
            return self._worker(task)

        @ray.method(concurrency_group="pulse")  # type: ignore[untyped-decorator]
        def close(self) -> None:
            if self._worker is not None:
                self._worker.close()

        @ray.method(concurrency_group="pulse")  # type: ignore[untyped-decorator]
        def pulse(self) -> tuple[int, int]:
            worker = self._worker
            return (0, 0) if worker is None else (worker.seen, worker.restored)

    return ray.remote(concurrency_groups={"pulse": 1})(Actor)


def first_line(error: BaseException) -> str:
    """The first line of an error, with the last where it ends in a colon; its type without any."""
    first, *others = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {others[-1].strip()}" if first.endswith(":") and others else first
