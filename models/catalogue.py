"""The networks there are, and how a file of weights becomes one of them.

To add a network: a module beside this, a line in ``ARCHITECTURES``, a line in ``MODELS``. Published
checkpoints that can be pulled are in ``official``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vsr.errors import CheckpointError, ConfigurationError
from vsr.models import basicvsr, compact, edvr, iconvsr
from vsr.models.checkpoint import load_into, read_weights
from vsr.models.download import cached_path
from vsr.models.interpolation import Bicubic, Identity
from vsr.models.model import Model, Quality
from vsr.models.network import Network
from vsr.models.official import OFFICIAL

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""

DEFAULT_MODEL = "compact-x4"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A kind of network.

    Attributes:
        build: Makes one with fresh weights from its options.
        options_from_weights: The options of the network that weights belong to, read from their
            names and shapes; None if they are of another kind.
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
    "iconvsr": Architecture(
        build=iconvsr.IconVSR, options_from_weights=iconvsr.options_from_weights
    ),
    "edvr": Architecture(build=edvr.EDVR, options_from_weights=edvr.options_from_weights),
    "bicubic": Architecture(build=Bicubic, options_from_weights=lambda _: None),
    "identity": Architecture(build=Identity, options_from_weights=lambda _: None),
}

MODELS: dict[str, Model] = {
    "compact-x4": Model(
        architecture="compact",
        summary="real time, ours",
        weights="compact_x4.safetensors",
        scale=4,
        degradation="BI",
        parameters=1_036_414,
        size_multiple=compact.SHUFFLE,
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
    "edvr": Model(
        architecture="edvr",
        summary="x4, or x1 for deblurring; bring a checkpoint of BasicSR or mmagic with --weights",
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


def load_network(model: str = DEFAULT_MODEL, weights: str | Path | None = None) -> Network[Any]:
    """A network ready to use, on the CPU in float32.

    Args:
        model: A key of ``MODELS``, or the path of a checkpoint; sizes are read from the file.
        weights: A checkpoint for that model, instead of the shipped one.

    Raises:
        ConfigurationError: An unknown name, or a model whose weights have to be given.
        CheckpointError: A file that is missing, not yet pulled, damaged, or of another network.
    """
    if model not in MODELS:
        if weights is None and _looks_like_a_file(model):
            return network_from_file(Path(model))
        raise ConfigurationError(_unknown(model))
    entry = MODELS[model]
    path = weights_path(model) if weights is None else Path(weights)
    if path is not None:
        if entry.file is not None and weights is None and not path.is_file():
            raise CheckpointError(f"{model} is not here; `vsr models pull {model}` brings it")
        return network_from_file(path, entry.architecture)
    if entry.needs_weights:
        raise ConfigurationError(
            f"{model} comes without weights; give its checkpoint with --weights"
        )
    return build_network(entry.architecture, entry.options)


def weights_path(model: str) -> Path | None:
    """Where a model's weights are, or will be once pulled; None if it has no file of its own.

    Args:
        model: A key of ``MODELS``.
    """
    entry = MODELS[model]
    if entry.file is not None:
        return cached_path(entry.file)
    return None if entry.weights is None else SHIPPED / entry.weights


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


def network_from_file(path: Path, architecture: str | None = None) -> Network[Any]:
    """The network that a checkpoint belongs to, with its weights.

    Args:
        path: A ``.pth`` or ``.safetensors`` file.
        architecture: What it has to be; None for whatever it is.
    """
    weights = read_weights(path)
    for name, kind in ARCHITECTURES.items():
        options = kind.options_from_weights(weights)
        if options is None:
            continue
        if architecture not in (None, name):
            raise CheckpointError(f"'{path}' is a checkpoint of {name}; give one of {architecture}")
        network = build_network(name, options)
        load_into(network, weights, str(path))
        return network
    first = ", ".join(list(weights)[:3])
    known = ", ".join(n for n, k in ARCHITECTURES.items() if n not in ("bicubic", "identity") and k)
    raise CheckpointError(f"'{path}' is of no known network (it begins {first}); known are {known}")


def _looks_like_a_file(model: str) -> bool:
    return Path(model).suffix in {".pth", ".pt", ".safetensors"} or Path(model).exists()


def _unknown(model: str) -> str:
    close = difflib.get_close_matches(model, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(MODELS)}"
    return f"model {model!r} is unknown; {hint}"
