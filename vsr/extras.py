"""Optional parts of the package, and the error where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vsr.errors import MissingDependency

WEB = frozenset({"anyio", "starlette", "uvicorn"})
"""Packages of the extra ``web``."""


@contextmanager
def needs_web(what: str) -> Iterator[None]:
    """Import packages of the extra ``web`` in this context.

    Args:
        what: The command or option that needs them.

    Raises:
        MissingDependency: One of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in WEB:
            raise
        raise MissingDependency(
            f"{what} needs {error.name}; install it by pip install 'vsr-stream[web]'"
        ) from error
