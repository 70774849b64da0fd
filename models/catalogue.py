"""The networks that people can name, and how a name or a file becomes one.

To add a network: a module beside this, a line in ``architectures``, a line in ``MODELS``. Published
checkpoints that can be pulled are in ``official``.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architecture_table import build_network, network_of, options_of
from vsr.models.architectures import cascade
from vsr.models.checkpoints.cache import cached_path, is_cached
from vsr.models.checkpoints.checkpoint import Checkpoint, interpolate, read_checkpoint
from vsr.models.checkpoints.model import Model, Quality
from vsr.models.checkpoints.zoo import OFFICIAL
from vsr.models.network import Network

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""

DEFAULT_MODEL = "compact-x4"

CHECKPOINT_SUFFIXES = frozenset({".pth", ".pt", ".safetensors", ".param", ".bin"})
"""What is taken for a file even where there is none."""

_STAGES_ACCEPTED = "give two EDVR as FIRST+SECOND, names of models or checkpoints"


MODELS: dict[str, Model] = {
    "compact-x4": Model(
        architecture="compact",
        summary="real time, ours",
        weights="compact_x4.safetensors",
        scale=4,
        degradation="BI",
        parameters=757_915,
        size_multiple=2,
        quality=(
            Quality(
                data="Vid4 BI", channels="Y", psnr_db=25.350, ssim=0.7402, source="vsr, streamed"
            ),
        ),
        licence="Apache-2.0",
    ),
    "basicvsr": Model(
        architecture="basicvsr",
        summary="as published; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        scale=4,
    ),
    "iconvsr": Model(
        architecture="iconvsr",
        summary="as published; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        scale=4,
        size_multiple=4,
    ),
    "basicvsrpp": Model(
        architecture="basicvsrpp",
        summary="x4, or x1 for deblurring and the like; bring a checkpoint of BasicSR or mmagic "
        "with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "rrdbnet": Model(
        architecture="rrdbnet",
        summary="ESRGAN's network, x4, x2 or x1; bring a checkpoint of BasicSR, ESRGAN, mmagic or "
        "ncnn with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "srvgg": Model(
        architecture="srvgg",
        summary="Real-ESRGAN's small network; bring a checkpoint of BasicSR or ncnn with --weights",
        needs_weights=True,
    ),
    "edvr": Model(
        architecture="edvr",
        summary="x4, or x1 for deblurring; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "cascade": Model(
        architecture="cascade",
        summary="two EDVR, the second refines what the first restored; give FIRST+SECOND, names "
        "or checkpoints, as the model or with --weights",
        options={"first": {}, "second": {"hr_in": True}},
        needs_weights=True,
        size_multiple=None,
    ),
    **OFFICIAL,
    "bicubic-x2": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 2},
        scale=2,
        parameters=0,
    ),
    "bicubic-x3": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 3},
        scale=3,
        parameters=0,
    ),
    "bicubic-x4": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 4},
        scale=4,
        parameters=0,
        quality=(
            Quality(
                data="REDS4", channels="RGB", psnr_db=26.14, ssim=0.7292, source="BasicVSR paper"
            ),
            Quality(
                data="Vid4 BI", channels="Y", psnr_db=23.78, ssim=0.6347, source="BasicVSR paper"
            ),
        ),
    ),
    "identity": Model(
        architecture="identity", summary="frames leave as they came", scale=1, parameters=0
    ),
}


def load_network(
    model: str | Path = DEFAULT_MODEL,
    weights: str | Path | None = None,
    *,
    fidelity: float | None = None,
) -> Network[Any]:
    """A network ready to use, on the CPU in float32, its weights frozen.

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

    Raises:
        ConfigurationError: An unknown name, a model whose weights have to be given, or a fidelity
            out of range or for a model that has none.
        CheckpointError: A file that is missing, damaged, or of another network.
        NotPulled: Official weights that are not here yet.
    """
    model = str(model)
    mixed = _mixed(model, weights, fidelity)
    if mixed is not None:
        architecture = MODELS[model].architecture if model in MODELS else None
        return network_of(mixed, architecture).requires_grad_(False)
    if model not in MODELS:
        if weights is None and (_stages(model) or _looks_like_a_file(model)):
            return network_from_file(Path(model)).requires_grad_(False)
        raise ConfigurationError(_unknown(model))
    entry = MODELS[model]
    path = weights_path(model) if weights is None else Path(weights)
    if path is not None:
        if weights is None:
            _check_pulled(model, path)
        return network_from_file(path, entry.architecture).requires_grad_(False)
    if entry.needs_weights:
        raise ConfigurationError(
            f"{model} comes without weights; give its checkpoint with --weights"
        )
    return build_network(entry.architecture, entry.options).requires_grad_(False)


def weights_path(model: str) -> Path | None:
    """Where a model's weights are, or will be once pulled; None if it has no file of its own.

    Args:
        model: A key of ``MODELS``.
    """
    entry = MODELS[model]
    if entry.releases:
        here = (release for release in entry.releases if is_cached(release))
        return cached_path(next(here, entry.releases[0])[0])
    return None if entry.weights is None else SHIPPED / entry.weights


def network_from_file(path: Path, architecture: str | None = None) -> Network[Any]:
    """The network that a checkpoint belongs to, with its weights.

    Args:
        path: A ``.pth`` or ``.safetensors`` file, or FIRST+SECOND for a cascade of two EDVR.
        architecture: What it has to be; None for whatever it is.
    """
    stages = _stages(str(path))
    checkpoint = read_checkpoint(path) if stages is None else _read_cascade(*stages)
    return network_of(checkpoint, architecture)


def _mixed(model: str, weights: str | Path | None, fidelity: float | None) -> Checkpoint | None:
    """The weights that a fidelity asks for; None where one file by itself is meant."""
    if fidelity is not None and not 0 <= fidelity <= 1:
        raise ConfigurationError(f"fidelity is {fidelity}; give 0 (vivid) to 1 (faithful)")
    entry = MODELS.get(model)
    if fidelity is None:
        fidelity = entry.fidelity if entry is not None and weights is None else 0.0
        if not fidelity:
            return None
    ends = _stages(model if weights is None else str(weights))
    if ends is None and entry is not None and weights is None and entry.faithful:
        ends = model, entry.faithful
    if ends is None:
        named = ", ".join(name for name, known in MODELS.items() if known.faithful)
        raise ConfigurationError(
            f"fidelity is {fidelity}, but {weights or model} is one set of weights; give "
            f"{named}, or two checkpoints as VIVID+FAITHFUL"
        )
    if fidelity in (0.0, 1.0):
        return _read_end(ends[round(fidelity)])
    return interpolate(_read_end(ends[0]), _read_end(ends[1]), fidelity)


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


def _looks_like_a_file(model: str) -> bool:
    return Path(model).suffix in CHECKPOINT_SUFFIXES or Path(model).is_file()


def _unknown(model: str) -> str:
    close = difflib.get_close_matches(model, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(MODELS)}"
    return f"model {model!r} is unknown; {hint}"
