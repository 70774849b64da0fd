"""Running the server of ``vsr web``."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import uvicorn

from vsr.errors import ConfigurationError, OpenError
from vsr.live.monitor.access import is_loopback
from vsr.web.app import Site, make_app
from vsr.web.library import Library
from vsr.web.probe import Probe
from vsr.web.processes import Processes
from vsr.web.queue import Queue
from vsr.web.results import Results
from vsr.web.streams import Streams
from vsr.web.uploads import Uploads

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"

STATE = ".vsr-web"
"""Folder below that of the results: the queue, dropped films, previews."""

ENDING_S = 2
"""Time for which open connections may delay the end of a server."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of ``vsr web``.

    Attributes:
        folder: Folder of the films.
        out: Folder of the results; None for ``restored`` in the folder of the films.
        host: Address to listen on; None for the loopback, or all with ``allow_remote``.
        port: 0 for a free one.
        token: The secret in the page's address; None for a new one.
        allow_remote: Whether other machines may use the page.
        devices: See ``Queue``.
        max_upload_bytes: See ``Uploads``.
        keep_days: See ``Uploads``.
    """

    folder: Path
    out: Path | None = None
    host: str | None = None
    port: int = 0
    token: str | None = None
    allow_remote: bool = False
    devices: Sequence[str] = ("auto",)
    max_upload_bytes: int = 20 * 10**9
    keep_days: float = 7


def serve(options: ServerOptions, *, on_start: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM; running jobs end in order and wait for the next time.

    Args:
        options: All options.
        on_start: Called with the page's address once it answers.

    Raises:
        ConfigurationError: An address of other machines without ``allow_remote``.
        OpenError: The folder cannot be used, another server has it, or the port is taken.
    """
    token = options.token or secrets.token_urlsafe(24)
    listener = _listen(options)
    with listener, _locked(_state_folder(options)) as state:
        app = make_app(make_site(options, state), token=token, remote=options.allow_remote)
        host, port = listener.getsockname()[:2]
        shown = LOOPBACK if host == EVERYWHERE else f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=ENDING_S,
        )
        address = f"http://{shown}:{port}/?token={quote(token, safe='')}"
        _Server(config, lambda: on_start(address)).run([listener])


def make_site(options: ServerOptions, state: Path) -> Site:
    """The data and processes of a server.

    Args:
        options: All options.
        state: Folder of the queue and of dropped films.
    """
    uploads = state / "uploads"
    uploads.mkdir(exist_ok=True)
    results = Results(_out_folder(options))
    return Site(
        library=Library(options.folder, uploads),
        uploads=Uploads(
            folder=uploads.resolve(), max_bytes=options.max_upload_bytes, days=options.keep_days
        ),
        probe=Probe(state / "cache"),
        queue=Queue(state / "jobs", results, options.devices),
        processes=Processes(state / "videos"),
        streams=Streams(state / "streams", results, options.devices),
        out=results.folder,
    )


class _Server(uvicorn.Server):
    """Reports when it answers; a page that is opened before would find nothing."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def _listen(options: ServerOptions) -> socket.socket:
    host = options.host or (EVERYWHERE if options.allow_remote else LOOPBACK)
    if not options.allow_remote and not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} can be reached by other machines; add --allow-remote if they may use "
            "the page, or leave it out"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, options.port), family=family)
    except OSError as error:
        raise OpenError(
            f"the page cannot be served at {host}:{options.port} ({error.strerror}); give another "
            "--port, or 0 for a free one"
        ) from error
    # Connections inherit it. asyncio sets it only where the protocol is named; without it an
    # answer's body waits 40 ms for the client to acknowledge the header.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _out_folder(options: ServerOptions) -> Path:
    return (options.out or options.folder / "restored").resolve()


def _state_folder(options: ServerOptions) -> Path:
    if not options.folder.is_dir():
        raise OpenError(f"'{options.folder}' is no folder; give the one that holds the films")
    state = _out_folder(options) / STATE
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OpenError(
            f"'{state}' cannot be made ({error.strerror}); give a folder for the results by --out"
        ) from error
    return state


@contextmanager
def _locked(state: Path) -> Iterator[Path]:
    """One server at a time for a queue."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield state
    except BlockingIOError as error:
        raise OpenError(f"another `vsr web` serves '{state.parent}'; use its page") from error
    finally:
        os.close(descriptor)
