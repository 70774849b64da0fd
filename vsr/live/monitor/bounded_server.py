"""An HTTP server whose clients cannot exhaust the process: bounded in number and in time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CLIENTS = 16
"""Connections at a time. One more ends the oldest: slow clients do not keep others out."""

REQUEST_TIMEOUT_S = 5.0
"""Time from the acceptance of a connection to the end of its answer."""

ENDING_S = 1
"""Time for which unfinished requests may delay the end of a server."""

HEADERS = [("connection", "close")]
"""One request per connection, so that the time of a connection is that of its request."""


class BoundedProtocol(H11Protocol):
    """Serves one connection; at most ``MOST_CLIENTS`` of them are open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._timeout = self.loop.call_later(REQUEST_TIMEOUT_S, transport.abort)
        others = [one for one in self.connections if isinstance(one, BoundedProtocol)]
        if len(others) >= MOST_CLIENTS:
            min(others, key=lambda one: one._timeout.when()).end()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timeout.cancel()
        super().connection_lost(exc)

    def end(self) -> None:
        """Close the connection at once, and count it as closed."""
        self.connections.discard(self)
        self.transport.abort()


@contextmanager
def serve_bounded(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve an application in a thread while in this context.

    Args:
        app: The application.
        listener: The listening socket; closed at the end.
    """
    server = uvicorn.Server(_config(app))
    # A program that ends in spite of a client is not kept by this thread.
    thread = threading.Thread(
        target=server.run, args=([listener],), name="vsr-live-status", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _config(app: ASGIApp) -> uvicorn.Config:
    options: dict[str, Any] = {"proxy_headers": False, "server_header": False}
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",  # malformed requests are no news
        access_log=False,
        backlog=MOST_CLIENTS,
        headers=HEADERS,
        timeout_graceful_shutdown=ENDING_S,
        **options,
    )
