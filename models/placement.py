"""Placing networks: device and precision."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch

from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.models.ops.int8_conv import is_fast_at_int8, runs_int8

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.int8,
}


def place(
    network: Network[Any], *, device: str = "auto", precision: str = "auto"
) -> tuple[Network[Any], torch.device]:
    """Move a network to its device and precision, channels-last.

    On CUDA, TF32 is disabled for the whole process: cuDNN would use
    it for float32 convolutions, and its ten bits shift positions in a frame by a pixel.

    Buffers stay as they are: constants of the arithmetic (normalisation, fixed filters), and the
    weights of convolutions on integers.

    Args:
        network: Not changed; returned itself only if nothing has to change.
        device: ``"auto"``, or anything ``torch.device`` takes.
        precision: ``"auto"``, or a key of ``PRECISIONS``.

    Raises:
        ConfigurationError: A device that is not there, or an unknown precision.
    """
    where = resolve_device(device)
    dtype = network.dtype
    if precision != "auto" or dtype != torch.int8:
        dtype = resolve_precision(precision, where, close_in_int8=network.is_close_in_int8)
    if dtype == torch.int8 and not runs_int8(where):
        raise ConfigurationError(
            f"precision 'int8' needs an x86 CPU with AVX2, not {where}; give auto or bfloat16, and "
            "load a network again that is in int8 already"
        )
    if network.dtype != dtype and torch.int8 in (network.dtype, dtype):
        network = _in_int8(network, dtype)
    if dtype == torch.int8:
        # What is left to other types: the flow, and what sees pixels.
        dtype = _floating(where)
    if where.type == "cuda":
        _forbid_tf32()
    parameters = list(network.parameters())
    ready = all(p.device == where and p.dtype == dtype and _is_laid_out(p) for p in parameters)
    if not ready:
        network = copy.deepcopy(network).to(where)
        for parameter in network.parameters():
            parameter.data = parameter.data.to(dtype, memory_format=_layout(parameter))
    return network, where


def precision_among_others(network: Network[Any], precision: str) -> str:
    """The precision of one of the networks of a stream.

    Footage may change to a network that has no int8 form, such as a bicubic: where int8 is asked
    for, it has the device's own precision.
    """
    return "auto" if precision == "int8" and not network.has_int8 else precision


def resolve_device(name: str) -> torch.device:
    """The device a name means; ``"auto"`` is the first CUDA device, or else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"device {name!r} is unknown; give auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigurationError(
            f"device {name!r} is not there ({count} CUDA devices); give auto or cpu"
        )
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def resolve_precision(
    name: str, device: torch.device, *, close_in_int8: bool = False
) -> torch.dtype:
    """The type of weights and convolutions.

    Args:
        name: A key of ``PRECISIONS``; ``"auto"`` is int8 where it costs the network little and the
            device is fast at it, else bfloat16 where that is fast.
        device: Where they run.
        close_in_int8: Whether the network has an int8 form that loses little.

    Raises:
        ConfigurationError: An unknown name.
    """
    if name == "auto":
        return torch.int8 if close_in_int8 and is_fast_at_int8(device) else _floating(device)
    if name not in PRECISIONS:
        raise ConfigurationError(
            f"precision {name!r} is unknown; give auto, {', '.join(PRECISIONS)}"
        )
    return PRECISIONS[name]


def _in_int8(network: Network[Any], dtype: torch.dtype) -> Network[Any]:
    """The form on 8-bit integers of a network that has another, or is to have another.

    Raises:
        ConfigurationError: There is no such form or way back.
    """
    if network.dtype == torch.int8:
        wanted = str(dtype).removeprefix("torch.")
        raise ConfigurationError(
            f"a network in int8 cannot be converted to {wanted}; load it again"
        )
    return network.in_int8()


def _floating(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if _is_fast_at_bfloat16(device) else torch.float32


def _is_fast_at_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    amx, avx512 = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and bool(amx or avx512)


def _forbid_tf32() -> None:
    with warnings.catch_warnings():
        # Torch up to 2.12 says once that there is a newer switch; whoever sets that one can no
        # longer read this one, which torch itself does.
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        torch.backends.cudnn.allow_tf32 = False


def _layout(parameter: torch.Tensor) -> torch.memory_format:
    return torch.channels_last if parameter.ndim == 4 else torch.contiguous_format


def _is_laid_out(parameter: torch.Tensor) -> bool:
    laid_out: bool = parameter.is_contiguous(memory_format=_layout(parameter))
    return laid_out
