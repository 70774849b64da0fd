"""Output size: the network's own, or a requested one reached by one resampling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch.nn.functional as F

from vsr.errors import ConfigurationError
from vsr.offline.forwarding_writer import ForwardingWriter
from vsr.types import Chunk, StreamInfo, Writer

LARGEST = 16_384
"""Rows or columns that common encoders still take."""


@dataclass(frozen=True, kw_only=True)
class RequestedSize:
    """A requested output size; at most one attribute is set.

    Attributes:
        scale: Factor of the source's size; 1 restores without enlarging.
        size: Rows and columns.
        fit: Length of the shorter side, keeping the aspect ratio.
    """

    scale: float | None = None
    size: tuple[int, int] | None = None
    fit: int | None = None


@dataclass(frozen=True, kw_only=True)
class OutputSize:
    """The output size.

    Attributes:
        height: Rows.
        width: Columns.
        sample_aspect_ratio: Width over height of a pixel, which keeps the display aspect ratio.
        resampled: Whether it differs from the network's output.
    """

    height: int
    width: int
    sample_aspect_ratio: Fraction
    resampled: bool


def choose_size(info: StreamInfo, network_scale: int, wish: RequestedSize) -> OutputSize:
    """Choose the output size.

    Args:
        info: Description of the source.
        network_scale: Scale of the network.
        wish: Requested size.

    Raises:
        ConfigurationError: More than one size, or a size that cannot be encoded.
    """
    given = [value for value in (wish.scale, wish.size, wish.fit) if value is not None]
    if len(given) > 1:
        raise ConfigurationError("--scale, --size and --fit exclude each other; give one of them")
    own = info.height * network_scale, info.width * network_scale
    height, width = _wanted(info, wish) if given else own
    if not (2 <= height <= LARGEST and 2 <= width <= LARGEST):
        raise ConfigurationError(
            f"the output would be {width}x{height}; give a size between 2x2 and {LARGEST}x{LARGEST}"
        )
    shape = info.sample_aspect_ratio * Fraction(info.width, info.height)
    return OutputSize(
        height=height,
        width=width,
        sample_aspect_ratio=(shape * Fraction(height, width)).limit_denominator(255),
        resampled=(height, width) != own,
    )


def fit_writer(writer: Writer, size: OutputSize) -> Writer:
    """Wrap a writer for resampling; returns it unchanged if the sizes agree."""
    return ResamplingWriter(writer, size) if size.resampled else writer


class ResamplingWriter(ForwardingWriter):
    """Resamples frames bicubically, with antialiasing when shrinking, and forwards them."""

    def __init__(self, writer: Writer, size: OutputSize) -> None:
        super().__init__(writer)
        self._size = size.height, size.width

    def write(self, chunk: Chunk) -> None:
        for index, pts in enumerate(chunk.pts):
            frames = chunk.frames[index : index + 1].float()
            resampled = F.interpolate(frames, self._size, mode="bicubic", antialias=True)
            starts = frozenset({0}) if index in chunk.scene_starts else frozenset[int]()
            self._writer.write(replace(chunk, frames=resampled, pts=(pts,), scene_starts=starts))


def _wanted(info: StreamInfo, wish: RequestedSize) -> tuple[int, int]:
    if wish.size is not None:
        return wish.size
    if wish.fit is not None:
        scale = Fraction(wish.fit, min(info.height, info.width))
    elif wish.scale is not None and 0 < wish.scale <= LARGEST:
        scale = Fraction(wish.scale).limit_denominator(1000)
    else:
        raise ConfigurationError(
            f"--scale {wish.scale} is no size; give a number above 0, such as 2"
        )
    return _scaled(info.height, scale), _scaled(info.width, scale)


def _scaled(pixels: int, scale: Fraction) -> int:
    """The exact size if it is whole, otherwise the nearest even one."""
    exact = pixels * scale
    return int(exact) if exact.denominator == 1 else 2 * round(exact / 2)
