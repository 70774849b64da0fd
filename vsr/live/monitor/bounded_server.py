"""An HTTP server whose clients cannot exhaust the process: bounded in number and in time."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger(__name__)

MOST_CLIENTS = 16
"""Connections at a time. One more ends the oldest: slow clients do not keep others out."""

REQUEST_TIMEOUT_S = 5.0
"""From the acceptance of a connection to the end of its answer."""


class BoundedServer(ThreadingHTTPServer):
    """Serves each connection in a thread, at most ``MOST_CLIENTS`` of them.

    Args:
        address: Host and port to bind.
        handler: Handles one request per connection.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._accepted_at: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(address, handler)

    @property
    def num_clients(self) -> int:
        """Open connections."""
        return len(self._accepted_at)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._accepted_at) >= MOST_CLIENTS:
                _end(self._accepted_at, next(iter(self._accepted_at)))
            self._accepted_at[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._accepted_at.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called every half second: end the connections whose time is over."""
        earliest = time.monotonic() - REQUEST_TIMEOUT_S
        with self._lock:
            for request, accepted_at in list(self._accepted_at.items()):
                if accepted_at < earliest:
                    _end(self._accepted_at, request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note a request that was aborted; http.server would print a traceback."""
        log.debug("a request for figures was aborted", exc_info=True)


def _end(accepted_at: dict[socket.socket, float], request: socket.socket) -> None:
    """Wake the thread that serves a connection; that thread closes the socket."""
    del accepted_at[request]
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
