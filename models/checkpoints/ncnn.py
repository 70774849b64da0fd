"""Weights of image networks in ncnn's files: a graph (.param), nameless tensors (.bin).

The graph lists its layers in order; of them only convolutions and PReLU have weights, which lie in
the other file in that order. A convolution is a tag that says float16 or float32, its weights, and
its bias in float32; PReLU is its slopes in float32. That order is also the one of BasicSR's state
dicts, from which the names come. Widening float16 to float32 is exact.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MAGIC = "7767517"
"""First line of every graph."""

HALF, FLOAT = 0x01306B47, 0
"""Tags in front of a convolution's weights."""

NUM_OUT, KERNEL, PADDING, HAS_BIAS, NUM_WEIGHTS = "0", "1", "4", "5", "6"
"""Keys of a convolution in the graph; ``0`` is the number of slopes of PReLU, too."""

DENSE_CONVS = 15
"""Convolutions of one of RRDBNet's blocks."""

OTHER_CONVS = 6
"""Convolutions of RRDBNet outside of its blocks."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A line of the graph.

    Attributes:
        kind: ncnn's name of the operation.
        values: Parameters by their key.
    """

    kind: str
    values: dict[str, str]

    def number(self, key: str) -> int:
        """An integer parameter; 0 is the default of all that are read here."""
        return int(self.values.get(key, "0"))


def is_ncnn(path: Path) -> bool:
    """Whether a file is a graph, or tensors that have one beside them."""
    return path.suffix == ".param" or (
        path.suffix == ".bin" and path.with_suffix(".param").is_file()
    )


def read_ncnn(path: Path) -> dict[str, Tensor]:
    """The tensors of a pair of files, float32, under BasicSR's names.

    Args:
        path: Path of either of the two; the other one lies beside it.

    Raises:
        ValueError: Another format, a graph of another network, or sizes that do not fit.
        OSError: A file that cannot be read.
    """
    layers = _read_graph(path.with_suffix(".param"))
    weighty = [layer for layer in layers if layer.kind in ("Convolution", "PReLU")]
    names = _names([layer.kind for layer in weighty])
    content = memoryview(path.with_suffix(".bin").read_bytes())
    tensors = dict(zip(names, _tensors(weighty, content), strict=True))
    if any(layer.kind == "Interp" and layer.values.get("0") == "3" for layer in layers):
        log.warning("'%s' also resizes its output; the network's own scale is taken", path)
    return tensors


def _read_graph(path: Path) -> list[Layer]:
    lines = path.read_text(encoding="ascii").split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError("it does not begin as ncnn's graphs do")
    return [_layer(line.split()) for line in lines[2:] if line.strip()]


def _layer(words: list[str]) -> Layer:
    """Kind, name, numbers of inputs and outputs, their names, then the parameters."""
    parameters = words[4 + int(words[2]) + int(words[3]) :]
    return Layer(kind=words[0], values=dict(word.split("=", 1) for word in parameters))


def _names(kinds: list[str]) -> Iterator[str]:
    """Names of all tensors in the order of the layers that have some."""
    if "PReLU" in kinds:
        modules: Iterable[str] = (f"body.{i}" for i in range(len(kinds)))
    elif len(kinds) > OTHER_CONVS and (len(kinds) - OTHER_CONVS) % DENSE_CONVS == 0:
        modules = _rrdbnet_convs((len(kinds) - OTHER_CONVS) // DENSE_CONVS)
    else:
        raise ValueError(f"its {len(kinds)} convolutions are of no RRDBNet or SRVGGNetCompact")
    for kind, module in zip(kinds, modules, strict=True):
        yield f"{module}.weight"
        if kind == "Convolution":
            yield f"{module}.bias"


def _rrdbnet_convs(num_block: int) -> Iterator[str]:
    yield "conv_first"
    for block in range(num_block):
        yield from (f"body.{block}.rdb{i}.conv{j}" for i in (1, 2, 3) for j in (1, 2, 3, 4, 5))
    yield from ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def _tensors(layers: Iterable[Layer], content: memoryview) -> Iterator[Tensor]:
    place = 0
    for layer in layers:
        num_out = layer.number(NUM_OUT)
        if layer.kind == "Convolution":
            _check_convolution(layer)
            weights, place = _weights(content, place, layer.number(NUM_WEIGHTS))
            kernel = layer.number(KERNEL)
            yield weights.reshape(num_out, -1, kernel, kernel)
        values, place = _floats(content, place, num_out)
        yield values
    if place != len(content):
        raise ValueError(f"{len(content) - place} bytes are left over after its last layer")


def _check_convolution(layer: Layer) -> None:
    kernel = layer.number(KERNEL)
    if layer.number(PADDING) != kernel // 2 or not layer.number(HAS_BIAS):
        raise ValueError("it has a convolution that changes the size, or one without bias")


def _weights(content: memoryview, place: int, count: int) -> tuple[Tensor, int]:
    """A convolution's weights, and the offset after them."""
    (tag,) = struct.unpack_from("<I", content, place)
    if tag == FLOAT:
        return _floats(content, place + 4, count)
    if tag != HALF:
        raise ValueError(f"its weights are stored as {tag:#010x}, neither float16 nor float32")
    half = _values(content, place + 4, count, torch.float16)
    return half.float(), place + 4 + 2 * count + 2 * count % 4  # padded to 4 bytes


def _floats(content: memoryview, place: int, count: int) -> tuple[Tensor, int]:
    return _values(content, place, count, torch.float32), place + 4 * count


def _values(content: memoryview, place: int, count: int, dtype: torch.dtype) -> Tensor:
    # A copy, writable and aligned, that does not hold the file in memory.
    piece = bytearray(content[place : place + dtype.itemsize * count])
    if len(piece) < dtype.itemsize * count:
        raise ValueError("its .bin ends before its last layer")
    return torch.frombuffer(piece, dtype=dtype)
