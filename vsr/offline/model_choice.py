"""The network of a run: the named one, or the one that fits the source and the wanted size."""

from __future__ import annotations

from typing import Any

from vsr.models.catalogue import AUTO_MODEL, VIDEO_MODELS, fitting_model
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.offline.options import RestoreOptions
from vsr.offline.output_size import choose_size
from vsr.types import StreamInfo


def named_network(options: RestoreOptions) -> Network[Any] | None:
    """The network that the options name; None where the source decides.

    Raises:
        ConfigurationError, CheckpointError, NotPulled: As for ``load_network``.
    """
    if options.model != AUTO_MODEL:
        return load_network(options.model, options.weights, fidelity=options.fidelity)
    if options.weights is not None:
        return load_network(options.weights, fidelity=options.fidelity)
    return None


def model_name(options: RestoreOptions, info: StreamInfo) -> str:
    """The model of a run: a name of the catalogue or a file, never ``auto``."""
    if options.model != AUTO_MODEL:
        return options.model
    return str(options.weights or _fitting(info, options))


def network_for(options: RestoreOptions, info: StreamInfo) -> Network[Any]:
    """The network of a run; errors as for ``named_network``."""
    return named_network(options) or load_network(
        _fitting(info, options), fidelity=options.fidelity
    )


def _fitting(info: StreamInfo, options: RestoreOptions) -> str:
    if not options.says_size:
        return fitting_model(info.height, info.width)
    size = choose_size(info, max(VIDEO_MODELS), options.output_size)
    wanted = max(size.height / info.height, size.width / info.width)
    return fitting_model(info.height, info.width, wanted)
