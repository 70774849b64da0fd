"""The network of a run: the named one, or the one that fits the source and the wanted size."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vsr.address import is_address
from vsr.assessment.assess import assess
from vsr.errors import VSRError
from vsr.models.catalogue import AUTO_MODEL, CLEAN_MODELS, VIDEO_MODELS, fitting_model
from vsr.models.loading import has_two_ends, load_network
from vsr.models.network import Network
from vsr.offline.options import VIVID, RestoreOptions
from vsr.offline.output_size import choose_size
from vsr.scenes import OFF
from vsr.streams.decode.image_reader import read_image
from vsr.streams.names.container import PIPE
from vsr.types import StreamInfo

log = logging.getLogger(__name__)

SAMPLE_S = 1.0
"""Seconds of a source that are assessed, from a third of its length on: titles are like no film."""

MOST = {"coding": 0.1, "noise": 0.15}
"""Severities under which a source counts as clean. A quantiser of H.264 of 19 is 0.1."""


def named_network(options: RestoreOptions) -> Network[Any] | None:
    """The network that the options name; None where the source decides.

    Raises:
        ConfigurationError, CheckpointError, NotPulled: As for ``load_network``.
        DecodeError: The picture of a strength map cannot be read.
    """
    if options.model != AUTO_MODEL:
        return load_chosen(options)
    if options.weights is not None:
        return load_chosen(replace(options, model=str(options.weights), weights=None))
    return None


def load_chosen(options: RestoreOptions) -> Network[Any]:
    """The network of options whose model is not ``auto``; errors as for ``load_network``."""
    return load_network(
        options.model,
        options.weights,
        fidelity=_fidelity(options),
        guard_artifacts=guards(options),
        strength=None if options.strength_map == OFF else _picture(options.strength_map),
    )


def _picture(path: str) -> Tensor:
    """The brightness of a picture, (1, H, W) in [0, 1]."""
    return read_image(Path(path)).mean(0, keepdim=True)


def guards(options: RestoreOptions) -> bool:
    """Whether artefacts of the network are replaced."""
    if options.guard_artifacts is None:
        fidelity = _fidelity(options)
        return fidelity is not None and fidelity < VIVID and options.strength_map == OFF
    return options.guard_artifacts


def model_name(source: str, options: RestoreOptions, info: StreamInfo) -> str:
    """The model of a run: a name of the catalogue or a file, never ``auto``.

    Args:
        source: What is restored; assessed where it is a file or a folder and it matters.
        options: Options of the run.
        info: The source's first facts.
    """
    if options.model != AUTO_MODEL:
        return options.model
    if options.weights is not None:
        return str(options.weights)
    name = _fitting(info, options)
    clean = CLEAN_MODELS.get(name)
    return clean if clean and is_clean(source, options, info) else name


def network_for(model: str, options: RestoreOptions) -> Network[Any]:
    """The network of a run; errors as for ``named_network``.

    Args:
        model: What ``model_name`` has found.
        options: Options of the run.
    """
    return named_network(options) or load_chosen(replace(options, model=model))


def is_clean(source: str, options: RestoreOptions, info: StreamInfo) -> bool:
    """Whether a source is known to be hardly coded and hardly noisy.

    Args:
        source: What is restored. Pipes and addresses are not looked at: they are read once.
        options: Options of the run, for the part that is restored.
        info: The source's first facts.
    """
    if source == PIPE or is_address(source) or not Path(source).exists():
        return False
    start_s = (options.start_s or 0.0) + _length_s(options, info) / 3
    try:
        found = assess(source, start_s=start_s, end_s=start_s + SAMPLE_S)
    except VSRError as error:
        log.debug("'%s' was not assessed: %s", source, error)
        return False
    return bool(found.scenes) and all(found.severity(kind) < most for kind, most in MOST.items())


def _length_s(options: RestoreOptions, info: StreamInfo) -> float:
    """Seconds of the part that is restored; 0 where that is not known."""
    if options.end_s is not None:
        return max(0.0, options.end_s - (options.start_s or 0.0))
    if info.num_frames is None or not info.frame_rate:
        return 0.0
    return info.num_frames / float(info.frame_rate)


def _fidelity(options: RestoreOptions) -> float | None:
    """The fidelity of the network; with faces, one that a network does not have is theirs alone."""
    if options.faces is not None and not has_two_ends(options.model, options.weights):
        return None
    return options.fidelity


def _fitting(info: StreamInfo, options: RestoreOptions) -> str:
    if not options.says_size:
        return fitting_model(info.height, info.width)
    size = choose_size(info, max(VIDEO_MODELS), options.output_size)
    wanted = max(size.height / info.height, size.width / info.width)
    return fitting_model(info.height, info.width, wanted)
