"""Loading networks by model name or weights file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architecture_table import build_network, network_of, options_of
from vsr.models.architectures import cascade
from vsr.models.catalogue import (
    BICUBIC_MODELS,
    CLEAN_MODELS,
    DEFAULT_MODEL,
    FACE_MODELS,
    MODELS,
    VIDEO_MODELS,
    faithful_end,
    weights_path,
)
from vsr.models.checkpoints.checkpoint import Checkpoint, interpolate, read_checkpoint
from vsr.models.guard.network import Guarded
from vsr.models.network import Network
from vsr.models.regions import ByQuality, ByRegion
from vsr.models.steady import Steady
from vsr.models.still import Still

CHECKPOINT_SUFFIXES = frozenset({".pth", ".pt", ".safetensors", ".param", ".bin"})
"""Suffixes of names that mean a file even if it is missing."""

VIVID_ARCHITECTURES = frozenset({"rrdbnet", "srvgg", "realbasicvsr"})
"""Those whose published weights were trained against a discriminator: they make up detail."""

_STAGES_ACCEPTED = "give two EDVR as FIRST+SECOND, names of models or checkpoints"


def load_network(
    model: str | Path = DEFAULT_MODEL,
    weights: str | Path | None = None,
    *,
    fidelity: float | None = None,
    guard_artifacts: bool = False,
    strength: Tensor | Literal["auto"] | None = None,
    steady: bool = False,
    skip_still: bool = False,
) -> Network[Any]:
    """Load a network, on the CPU in float32, with frozen weights.

    Frozen weights keep a call on a whole clip from holding every intermediate for gradients;
    ``requires_grad_()`` gives them back.

    Args:
        model: A key of ``MODELS``, or the path of a checkpoint; sizes are read from the file.
            Two of them as ``FIRST+SECOND`` are a cascade of two EDVR: the second, which has to
            keep the size, refines what the first restored.
        weights: A checkpoint for that model, instead of the shipped one; two as above for
            ``cascade``.
        fidelity: 0 to 1, for a model that has a ``faithful`` counterpart: how far its weights are
            mixed with that one's. With two files as VIVID+FAITHFUL, as the model or as its
            weights, those are mixed. None for what the model is published with.
        guard_artifacts: Show a faithful network's result where that of the model has artefacts:
            that of its faithful counterpart, else of the default model of the same scale, else
            MATLAB's bicubic.
        strength: Strength of restoration by region, (1, H, W) in [0, 1], stretched over the
            frame: below 1, a milder network's result is shown, the faithful one as above, or
            that for hardly coded footage, else MATLAB's bicubic. ``auto`` for a map of each frame
            by how coarsely its regions were coded. None for fully everywhere.
        steady: Blend what an image network restores with the frame before, along the optical flow.
        skip_still: Restore only what changes, and show again what stands still.

    Raises:
        ConfigurationError: An unknown name, a model whose weights have to be given, a fidelity
            out of range or for a model that has none, a guard for a model that is the faithful
            one itself, a guard together with a strength, steadiness for a network that sees
            neighbouring frames by itself, or skipping together with one of these or for a network
            that cannot.
        CheckpointError: A file that is missing, damaged, or of another network.
        NotPulled: Official weights that have not been pulled.
    """
    network = _load(str(model), weights, fidelity)
    vivid = network.facts.name in VIVID_ARCHITECTURES
    if skip_still:
        if steady or guard_artifacts or strength is not None:
            raise ConfigurationError(
                "skipping what stands still excludes a guard, a strength map and steadiness; "
                "leave them or --skip-still out"
            )
        network = Still(network)
    if steady:
        network = Steady(network)
    if guard_artifacts:
        name = _faithful_end(str(model), weights, fidelity, network.facts.scale)
        network = Guarded(network, _network_at_end(name))
    if strength is not None:
        if guard_artifacts:
            raise ConfigurationError("a guard and a strength exclude each other; give one of them")
        network = _by_region(network, str(model), weights, fidelity, strength, ties_low_band=vivid)
    return network.requires_grad_(False)


def _by_region(
    strong: Network[Any],
    model: str,
    weights: str | Path | None,
    fidelity: float | None,
    strength: Tensor | Literal["auto"],
    *,
    ties_low_band: bool,
) -> Network[Any]:
    """A network and its milder end; arguments as for ``load_network`` and ``ByRegion``."""
    clean = CLEAN_MODELS.get(model) if weights is None else None
    mild = clean or _faithful_end(model, weights, fidelity, strong.facts.scale, itself=True)
    if weights is None and (mild == model or (strength == "auto" and is_for_clean(model))):
        raise ConfigurationError(
            f"{model} is itself the mildest of its scale; give another model with a strength map"
        )
    ends = strong, _network_at_end(mild)
    if isinstance(strength, Tensor):
        return ByRegion(*ends, strength, ties_low_band=ties_low_band)
    return ByQuality(*ends, ties_low_band=ties_low_band)


def is_for_clean(model: str) -> bool:
    """Whether a model is the one for hardly coded footage beside a stronger one."""
    return model in CLEAN_MODELS.values()


def _load(model: str, weights: str | Path | None, fidelity: float | None) -> Network[Any]:
    """The network, without guard or strength."""
    mixed = _mixed(model, weights, fidelity)
    if mixed is not None:
        architecture = MODELS[model].architecture if model in MODELS else None
        return network_of(mixed, architecture)
    if model not in MODELS:
        if weights is None and (_stages(model) or looks_like_a_file(model)):
            return network_from_file(Path(model))
        raise ConfigurationError(_unknown(model))
    entry = MODELS[model]
    path = weights_path(model) if weights is None else Path(weights)
    if path is not None:
        if weights is None:
            _check_pulled(model, path)
        return network_from_file(path, entry.architecture)
    if entry.needs_weights:
        raise ConfigurationError(
            f"{model} comes without weights; give its checkpoint with --weights"
        )
    return build_network(entry.architecture, entry.options)


def network_from_file(path: Path, architecture: str | None = None) -> Network[Any]:
    """The network that a checkpoint belongs to, with its weights.

    Args:
        path: A ``.pth`` or ``.safetensors`` file, or FIRST+SECOND for a cascade of two EDVR.
        architecture: The expected architecture; None for any.
    """
    stages = _stages(str(path))
    checkpoint = read_checkpoint(path) if stages is None else _read_cascade(*stages)
    return network_of(checkpoint, architecture)


def has_two_ends(model: str, weights: str | Path | None) -> bool:
    """Whether a fidelity between two sets of weights can be given for a network.

    Args:
        model: See ``load_network``.
        weights: See ``load_network``.
    """
    return parts_of(model, weights) is not None


def parts_of(model: str, weights: str | Path | None) -> tuple[str, str] | None:
    """The two that a network's weights are made of, models or files; None of a single set.

    The vivid and the faithful end, or the stages of a cascade.

    Args:
        model: See ``load_network``.
        weights: See ``load_network``.
    """
    stages = _stages(model if weights is None else str(weights))
    if stages is not None or weights is not None or model not in MODELS:
        return stages
    faithful = faithful_end(model)
    return None if faithful == model else (model, faithful)


def _mixed(model: str, weights: str | Path | None, fidelity: float | None) -> Checkpoint | None:
    """The weights that a fidelity asks for; None where one file by itself is meant."""
    if fidelity is not None and not 0 <= fidelity <= 1:
        raise ConfigurationError(f"fidelity is {fidelity}; give 0 (vivid) to 1 (faithful)")
    entry = MODELS.get(model)
    if fidelity is None:
        fidelity = entry.fidelity if entry is not None and weights is None else 0.0
        if not fidelity:
            return None
    ends = parts_of(model, weights)
    if ends is None:
        named = ", ".join(name for name, known in MODELS.items() if known.faithful)
        raise ConfigurationError(
            f"fidelity is {fidelity}, but {weights or model} is one set of weights; give "
            f"{named}, or two checkpoints as VIVID+FAITHFUL"
        )
    if fidelity in (0.0, 1.0):
        return _read_end(ends[round(fidelity)])
    return interpolate(_read_end(ends[0]), _read_end(ends[1]), fidelity)


def _faithful_end(
    model: str,
    weights: str | Path | None,
    fidelity: float | None,
    scale: int,
    *,
    itself: bool = False,
) -> str:
    """The model or file whose result is shown in place of artefacts, or where less is restored.

    Args:
        model: See ``load_network``.
        weights: See ``load_network``.
        fidelity: See ``load_network``.
        scale: Scale of the vivid network.
        itself: Take the bicubic for a model that would be its own faithful end.
    """
    entry = MODELS.get(model)
    if weights is None and entry is not None and entry.faithful:
        return entry.faithful
    ends = None if fidelity is None else _stages(model if weights is None else str(weights))
    if ends is not None:
        return ends[1]
    name = faithful_end(VIDEO_MODELS.get(scale, BICUBIC_MODELS.get(scale, "identity")))
    if name == model and weights is None and itself:
        return BICUBIC_MODELS.get(scale, "identity")
    if name == model and weights is None:
        raise ConfigurationError(
            f"{model} is itself what a guard shows in place of artefacts; leave the guard out, or "
            "give a vivid model"
        )
    return name


def _network_at_end(name: str) -> Network[Any]:
    """The network of a model of the catalogue, or of a file, without guard or strength."""
    return _load(name, None, None) if name in MODELS else network_from_file(Path(name))


def _read_end(name: str) -> Checkpoint:
    """The weights of a model of the catalogue, or of a file."""
    path = weights_path(name) if name in MODELS else Path(name)
    if path is None:
        raise ConfigurationError(f"{name!r} has no file of weights; give a checkpoint")
    if name in MODELS:
        _check_pulled(name, path)
    return read_checkpoint(path)


def _read_cascade(first: str, second: str) -> Checkpoint:
    """The weights of two EDVR as those of a cascade."""
    stages = [_read_stage(name) for name in (first, second)]
    layouts = {stage.layout for stage in stages}
    return Checkpoint(
        source=f"{first}+{second}",
        layout=layouts.pop() if len(layouts) == 1 else None,
        weights=cascade.join_stages(*(stage.weights for stage in stages)),
    )


def _read_stage(name: str) -> Checkpoint:
    """The weights of an EDVR: a model of the catalogue, or a file."""
    if name in MODELS and weights_path(name) is None:
        raise ConfigurationError(f"{name!r} has no file of weights; {_STAGES_ACCEPTED}")
    checkpoint = _read_end(name)
    if options_of("edvr", checkpoint) is None:
        raise CheckpointError(f"{checkpoint} is not of an EDVR; {_STAGES_ACCEPTED}")
    return checkpoint


def _check_pulled(model: str, path: Path) -> None:
    if MODELS[model].releases and not path.is_file():
        raise NotPulled(model)


def _stages(model: str) -> tuple[str, str] | None:
    """The two stages that FIRST+SECOND names; None if it is one name, or a file that exists."""
    first, plus, second = model.partition("+")
    return None if not plus or Path(model).exists() else (first, second)


def looks_like_a_file(model: str) -> bool:
    """Whether a name is meant as a file's, by its suffix or because the file is there."""
    return Path(model).suffix in CHECKPOINT_SUFFIXES or Path(model).is_file()


def _unknown(model: str) -> str:
    if model in FACE_MODELS:
        return f"model {model!r} is for faces, not for whole frames; give it with --face-model"
    close = difflib.get_close_matches(model, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(MODELS)}"
    return f"model {model!r} is unknown; {hint}"
