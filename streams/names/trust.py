"""Verification of certificates of encrypted addresses: on, unless it is turned off.

PyAV's wheels look for authorities where only some systems keep them, and older ones verified
nothing. So the file of authorities is always named, and so is whether to verify.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

ENCRYPTED = ("https://", "rtmps://", "rtsps://", "tls://")

_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The certificates that are accepted.

    Attributes:
        ca_file: Certificates of the authorities, PEM; None for the system's.
        insecure: Accept any.
    """

    ca_file: Path | None = None
    insecure: bool = False

    def options(self, address: str) -> dict[str, str]:
        """Options of ffmpeg's TLS for an address; none for one that is not encrypted."""
        if not address.lower().startswith(ENCRYPTED):
            return {}
        if self.insecure:
            return {"tls_verify": "0"}
        authorities = self.ca_file or system_authorities()
        return {"tls_verify": "1"} | ({"ca_file": str(authorities)} if authorities else {})

    def context(self) -> ssl.SSLContext:
        """The same for Python's own connections."""
        if self.insecure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context
        return ssl.create_default_context(cafile=self.ca_file or system_authorities())


def system_authorities() -> Path | None:
    """The system's file of authorities; ``SSL_CERT_FILE`` names another."""
    named = os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile
    candidates = [Path(name) for name in (*named, *_SYSTEM_FILES) if name]
    return next((path for path in candidates if path.is_file()), None)


class HTTPOpener:
    """Opens what a playlist over HTTP lists, by HTTP alone; PyAV's ``io_open``.

    ffmpeg's HLS and DASH would not hand their options of TLS on to what they open.

    Args:
        trust: Which certificates are accepted.
        timeout_s: How long a server may be silent.
    """

    def __init__(self, trust: Trust, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._opener = OpenerDirector()
        for handler in (
            ProxyHandler(),
            HTTPHandler(),
            HTTPSHandler(context=trust.context()),
            HTTPDefaultErrorHandler(),
            HTTPRedirectHandler(),
            HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def __call__(self, url: str, flags: int, options: dict[str, Any]) -> _Answer:
        try:
            answer = self._opener.open(url, timeout=self._timeout_s)
        except (HTTPException, ValueError) as error:
            raise OSError(f"the server's answer makes no sense ({error})") from error
        if answer is None:
            raise OSError(f"{url.partition(':')[0]} is not opened from a playlist")
        return _Answer(answer)

    def send(self, url: str, method: str, data: bytes) -> None:
        """Send a file to a server, or ask for its removal.

        Raises:
            OSError: It does not answer, or refuses.
        """
        request = Request(url, data=data if method != "DELETE" else None, method=method)
        try:
            answer = self._opener.open(request, timeout=self._timeout_s)
        except (HTTPException, ValueError) as error:
            raise OSError(f"the server's answer makes no sense ({error})") from error
        if answer is None:
            raise OSError(f"{url.partition(':')[0]} is not sent to")
        answer.close()


class _Answer:
    """A server's answer, as PyAV reads it."""

    def __init__(self, answer: IO[bytes]) -> None:
        self._answer = answer

    def read(self, size: int) -> bytes:
        try:
            return self._answer.read(size)
        except HTTPException as error:
            raise OSError(f"the server's answer broke off ({error})") from error

    def close(self) -> None:
        self._answer.close()
