"""Several networks for one stream, chosen for each scene by its start time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from vsr.errors import ConfigurationError
from vsr.models.network import Network, NetworkFacts


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkChange:
    """A network that restores the scenes from a time on.

    Attributes:
        at_s: Seconds of pts; the first scene that starts then or later begins with it.
        network: A network of the same scale as the first.
    """

    at_s: Fraction
    network: Network[Any]


class NetworksInTime:
    """The networks of a stream, on its device.

    Args:
        first: The network until the first change.
        changes: In order of time.

    Attributes:
        current: The network of the scene that is being restored.
        changes: Those after the first.

    Raises:
        ConfigurationError: A network has another scale than the first.
    """

    def __init__(self, first: Network[Any], changes: Sequence[NetworkChange]) -> None:
        for change in changes:
            _check_scale(first.facts, change.network.facts)
        self._first = self.current = first
        self.changes = tuple(changes)

    @property
    def all(self) -> list[Network[Any]]:
        """All networks, each once, the first one first."""
        networks = [self._first, *(change.network for change in self.changes)]
        return [*{id(network): network for network in networks}.values()]

    @property
    def facts(self) -> NetworkFacts:
        """Facts that hold for all of them."""
        every = [network.facts for network in self.all]
        radii = [facts.receptive_radius for facts in every]
        known = [radius for radius in radii if radius is not None]
        return replace(
            every[0],
            sees_end=any(facts.sees_end for facts in every),
            stateless=all(facts.stateless for facts in every),
            receptive_radius=max(known) if len(known) == len(radii) else None,
        )

    def change(self, time_s: Fraction) -> None:
        """Make the network of the scene that starts at a time the current one."""
        passed = [change.network for change in self.changes if change.at_s <= time_s]
        self.current = passed[-1] if passed else self._first


def _check_scale(first: NetworkFacts, other: NetworkFacts) -> None:
    if first.scale != other.scale:
        raise ConfigurationError(
            f"{first.name} enlarges x{first.scale}, {other.name} x{other.scale}; the networks of "
            "one stream need one scale"
        )
