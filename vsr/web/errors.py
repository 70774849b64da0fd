"""Errors with an HTTP status, beside those of ``vsr.errors``."""

from __future__ import annotations

from vsr.errors import VSRError


class RequestError(VSRError):
    """A request that cannot be served.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
