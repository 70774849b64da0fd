"""The networks there are. To add one: a module beside this, a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vsr.errors import ConfigurationError
from vsr.models.compact import Compact
from vsr.models.network import Network

ARCHITECTURES: dict[str, Callable[..., Network[Any]]] = {
    "compact": Compact,
}
"""Architectures that can be built and trained, by name."""


def build_network(architecture: str, options: Mapping[str, Any]) -> Network[Any]:
    """A network with fresh weights.

    Args:
        architecture: A key of ``ARCHITECTURES``.
        options: Keyword arguments of its class.

    Raises:
        ConfigurationError: An unknown architecture, or options it does not take.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigurationError(f"architecture {architecture!r} is unknown; known are {known}")
    try:
        return ARCHITECTURES[architecture](**options)
    except TypeError as error:
        raise ConfigurationError(f"{architecture} cannot be built ({error}); correct its options") from error
