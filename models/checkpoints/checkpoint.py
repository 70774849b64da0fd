"""Weights in files: reading any published container, writing safetensors.

BasicSR      {"params": …} or {"params_ema": …}, pickled
OpenMMLab    {"meta": …, "state_dict": …}, pickled, other names (see key_layout)
EDVR         weights only, pickled, other names again
ESRGAN       the same
ncnn         a graph and nameless tensors, see ncnn
ours         safetensors, BasicSR's names; float16 where we trained them
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vsr.errors import CheckpointError
from vsr.files import first_line, written_whole
from vsr.models.checkpoints.key_mapping import likely_layout, to_basicsr
from vsr.models.checkpoints.ncnn import is_ncnn, read_ncnn
from vsr.models.network import Network

WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which training code keeps the weights, the better ones first."""

DAMAGED = (
    SafetensorError,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    struct.error,
    pickle.UnpicklingError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)
"""Exceptions of reading a file that is not, or no longer, one of tensors: the unpickler follows a
damaged stream wherever that leads."""


LARGEST_WEIGHT = 1e6
"""The published networks' largest weights are of the order of 10."""

COUNTER = "num_batches_tracked"
"""Counters of normalisation, which old versions of torch did not store and nothing here reads."""

MOST_EXPANSION = 10
"""Bytes of a tensor for each byte of its file, at most: archives are not compressed, as a rule."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """The contents of a weights file.

    Attributes:
        source: The file, for messages.
        layout: The code base whose key names it most likely has; None if unknown.
        weights: All tensors, float32, by BasicSR's names.
    """

    source: str
    layout: str | None
    weights: Mapping[str, Tensor]

    def __str__(self) -> str:
        return f"'{self.source}'" + (f" (names as in {self.layout})" if self.layout else "")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed.

    Raises:
        CheckpointError: No such file, not a checkpoint, or one without tensors.
    """
    if not path.is_file():
        raise CheckpointError(
            f"'{path}' is not there; give the path of a .pth, .safetensors or ncnn file"
        )
    try:
        content = _read(path)
    except DAMAGED as error:
        raise CheckpointError(
            f"'{path}' is not a checkpoint ({first_line(error)}); "
            "give a .pth file of tensors or a .safetensors file"
        ) from error
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    _check_values(path, tensors)
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    weights = to_basicsr(tensors)
    if not weights:
        raise CheckpointError(f"'{path}' holds no tensors; give the file of a network's weights")
    return Checkpoint(source=str(path), layout=likely_layout(tensors), weights=weights)


def _check_values(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse integers, non-finite values, and more values than the file can hold.

    Raises:
        CheckpointError: One of them; the tensor is named.
    """
    size = path.stat().st_size
    for name, tensor in tensors.items():
        if tensor.is_meta or tensor.layout != torch.strided:
            raise CheckpointError(
                f"'{path}' holds {name} without its values, or sparse; give a file of dense tensors"
            )
        if tensor.numel() * tensor.element_size() > MOST_EXPANSION * size:
            raise CheckpointError(
                f"'{path}' says that {name} has {tensor.numel()} values, which {size} bytes cannot "
                "hold; give a complete file"
            )
        if tensor.ndim and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"'{path}' holds {name} as {kind}; give weights in float32, float16 or bfloat16"
            )
        largest = float(tensor.float().abs().max()) if tensor.numel() else 0.0
        if not largest <= LARGEST_WEIGHT:
            raise CheckpointError(
                f"'{path}' has a value of {largest:g} in {name}; give finite weights of at most "
                f"{LARGEST_WEIGHT:g}, from a training run that did not diverge"
            )


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The weights of a checkpoint, as ``read_checkpoint`` gives them."""
    return read_checkpoint(path).weights


def load_into(network: nn.Module, checkpoint: Checkpoint, name: str) -> None:
    """Fill a network with weights; every key must be there and have its shape.

    Args:
        network: Changed in place.
        checkpoint: Weights by the network's own names.
        name: Name of the architecture, for messages.

    Raises:
        CheckpointError: Keys missing or left over, or other shapes; the first few are named.
    """
    own, weights = network.state_dict(), checkpoint.weights
    missing = [key for key in own if key not in weights and not key.endswith(COUNTER)]
    surplus = [key for key in weights if key not in own]
    misshapen = [
        f"{key} {list(weights[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in weights and own[key].shape != weights[key].shape
    ]
    problems = {"lacks": missing, "has unknown": surplus, "has": misshapen}
    wrong = [f"{words} {first_few(keys)}" for words, keys in problems.items() if keys]
    if wrong:
        raise CheckpointError(
            f"{checkpoint} {' and '.join(wrong)} for {name}; give a checkpoint of that network"
        )
    counters = {key: value for key, value in own.items() if key.endswith(COUNTER)}
    network.load_state_dict({**counters, **weights})


def interpolate(vivid: Checkpoint, faithful: Checkpoint, fidelity: float) -> Checkpoint:
    """Interpolate the weights of two networks, one fine-tuned from the other.

    Args:
        vivid: Weights at fidelity 0.
        faithful: Weights at fidelity 1.
        fidelity: 0 to 1.

    Raises:
        CheckpointError: The two are of networks of different kinds or sizes.
    """
    ours, theirs = ({k: v.shape for k, v in end.weights.items()} for end in (vivid, faithful))
    if ours != theirs:
        raise CheckpointError(
            f"{vivid} and {faithful} are of different networks; give two of one kind and size"
        )
    mixed = {k: v.lerp(faithful.weights[k], fidelity) for k, v in vivid.weights.items()}
    return Checkpoint(
        source=f"{vivid.source}+{faithful.source}", layout=vivid.layout, weights=mixed
    )


def first_few(names: Sequence[str], num: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - num} more" if len(names) > num else ""
    return ", ".join(names[:num]) + more


def save_network(network: Network[Any], path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write weights as safetensors, as ``write_tensors`` does."""
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in network.state_dict().items()
    }
    write_tensors(tensors, path)


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write safetensors; a file under its final name is always whole.

    Args:
        tensors: On the CPU, contiguous.
        path: File to write; replaced if it exists.
        metadata: Text beside the tensors.

    Raises:
        OpenError: It cannot be written; an existing file is unchanged.
    """
    with written_whole(path) as part:
        try:
            save_file(dict(tensors), part, metadata=None if metadata is None else dict(metadata))
        except SafetensorError as error:
            raise OSError(str(error)) from error


def _read(path: Path) -> Mapping[str, Any]:
    if is_ncnn(path):
        return read_ncnn(path)
    return load_file(path) if path.suffix == ".safetensors" else _unpickle(path)


def _unpickle(path: Path) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        # torch warns of pickle protocols it may not read; whether it could, we see at once.
        warnings.simplefilter("ignore", UserWarning)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            named = re.search(r"GLOBAL (\S+)", str(error))
            what = f"it holds {named[1]}, not only tensors" if named else "torch did not write it"
            raise ValueError(what) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}")
    return content
