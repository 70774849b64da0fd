"""Architectures: building networks, and recognising them by their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vsr.errors import CheckpointError, ConfigurationError
from vsr.models.architectures import (
    basicvsr,
    basicvsrpp,
    cascade,
    edvr,
    iconvsr,
    realbasicvsr,
    rrdbnet,
    srvgg,
    unet,
)
from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.models.checkpoints.checkpoint import Checkpoint, first_few, load_into
from vsr.models.compact import network as compact
from vsr.models.network import Network


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture.

    Attributes:
        build: Builds a network with fresh weights from its options.
        options_from_weights: The options of the network that weights belong to, read from their
            names and shapes; None for another architecture.
    """

    build: Callable[..., Network[Any]]
    options_from_weights: Callable[[Mapping[str, Tensor]], dict[str, Any] | None]


ARCHITECTURES: dict[str, Architecture] = {
    "compact": Architecture(
        build=compact.Compact, options_from_weights=compact.options_from_weights
    ),
    "basicvsr": Architecture(
        build=basicvsr.BasicVSR, options_from_weights=basicvsr.options_from_weights
    ),
    "basicvsrpp": Architecture(
        build=basicvsrpp.BasicVSRPP, options_from_weights=basicvsrpp.options_from_weights
    ),
    "iconvsr": Architecture(
        build=iconvsr.IconVSR, options_from_weights=iconvsr.options_from_weights
    ),
    "realbasicvsr": Architecture(
        build=realbasicvsr.RealBasicVSR, options_from_weights=realbasicvsr.options_from_weights
    ),
    "edvr": Architecture(build=edvr.EDVR, options_from_weights=edvr.options_from_weights),
    "cascade": Architecture(
        build=cascade.Cascade, options_from_weights=cascade.options_from_weights
    ),
    "rrdbnet": Architecture(
        build=rrdbnet.RRDBNet, options_from_weights=rrdbnet.options_from_weights
    ),
    "srvgg": Architecture(
        build=srvgg.SRVGGNetCompact, options_from_weights=srvgg.options_from_weights
    ),
    "unet": Architecture(build=unet.UNet, options_from_weights=unet.options_from_weights),
    "bicubic": Architecture(build=Bicubic, options_from_weights=lambda _: None),
    "identity": Architecture(build=Identity, options_from_weights=lambda _: None),
}


UNFIT = (IndexError, ArithmeticError, ValueError, RuntimeError)
"""Exceptions raised when tensor shapes match no known architecture."""

PARTS = {
    "basic_module.0.basic_module.0.weight": "SPyNet, the optical flow part of BasicVSR and IconVSR",
    "pcd_align.cas_dcnpack.weight": "the alignment of an EDVR, the refill part of IconVSR",
}
"""Partial weights that training code starts from, published as files, by a key of each."""


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
        return ARCHITECTURES[architecture].build(**options)
    except TypeError as error:
        raise ConfigurationError(
            f"{architecture} cannot be built ({error}); correct its options"
        ) from error


def network_of(checkpoint: Checkpoint, architecture: str | None = None) -> Network[Any]:
    """The network that weights belong to, with these weights.

    Args:
        checkpoint: Checkpoint of any network.
        architecture: The expected architecture; None for any.

    Raises:
        CheckpointError: Weights of no network or of another one, or not all of them.
    """
    for name in ARCHITECTURES:
        options = options_of(name, checkpoint)
        if options is None:
            continue
        if architecture not in (None, name):
            raise CheckpointError(
                f"{checkpoint} is a checkpoint of {name}; give one of {architecture}"
            )
        with _answered(name, checkpoint):
            network = build_network(name, options)
        load_into(network, checkpoint, network.facts.name)
        return network
    for key, part in PARTS.items():
        if key in checkpoint.weights:
            raise CheckpointError(f"{checkpoint} is only {part}; give a checkpoint of all of it")
    named = first_few(list(checkpoint.weights))
    known = ", ".join(n for n in ARCHITECTURES if n not in ("bicubic", "identity"))
    raise CheckpointError(f"{checkpoint} is of no known network ({named}); known are {known}")


def options_of(architecture: str, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The options of a checkpoint's network; None for another architecture.

    Raises:
        CheckpointError: The names belong to it, but weights that give its sizes are missing or
            have shapes that it cannot have.
    """
    with _answered(architecture, checkpoint):
        return ARCHITECTURES[architecture].options_from_weights(checkpoint.weights)


@contextmanager
def _answered(architecture: str, checkpoint: Checkpoint) -> Iterator[None]:
    """Explain why weights do not fit."""
    try:
        yield
    except KeyError as error:
        raise CheckpointError(
            f"{checkpoint} lacks {error.args[0]} for {architecture}; "
            "give a checkpoint of that network"
        ) from error
    except UNFIT as error:
        raise CheckpointError(
            f"{checkpoint} has weights whose shapes are of no {architecture}; "
            "give a checkpoint of that network"
        ) from error
