"""How a display matrix turns and mirrors the stored frame into the shown one."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer
from torch import Tensor

_MATRIX = struct.Struct("<9i")
_TURNS = {(True, False, True): 270, (True, True, False): 90, (False, True, True): 180}


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """One of the eight orientations of a rectangle: transpose first, then flip.

    Attributes:
        transposed: Rows become columns.
        flip_rows: The shown frame's rows run the other way.
        flip_columns: The shown frame's columns run the other way.
    """

    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def degrees(self) -> int:
        """Counter-clockwise turn: 0, 90, 180 or 270; of a mirrored frame, the turn before it."""
        key = (self.transposed, self.flip_rows, self.flip_columns)
        return _TURNS.get(key, 90 if self.transposed else 0)

    def apply(self, frames: Tensor) -> Tensor:
        """Turn (..., H, W) to how it is shown; the input itself where nothing changes."""
        if self.transposed:
            frames = frames.transpose(-2, -1)
        dims = [dim for dim, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return (frames.flip(dims) if dims else frames).contiguous()

    def apply_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns as shown."""
        return (width, height) if self.transposed else (height, width)


UPRIGHT = Orientation()


def read_orientation(frame: VideoFrame) -> Orientation:
    """The frame's orientation; upright where it has no matrix, or one of a slanted angle."""
    # Not frame.side_data: a cycle, which would keep each frame until the collector comes by.
    side_data: Mapping[str, Any] = SideDataContainer(frame)  # type: ignore[call-arg]
    data = side_data.get("DISPLAYMATRIX")
    return UPRIGHT if data is None else parse_matrix(bytes(data))


def parse_matrix(data: bytes) -> Orientation:
    """Read ffmpeg's nine integers: a point (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, _, c, d, *_ = _MATRIX.unpack(data[: _MATRIX.size])
    if a and d and not b and not c:
        return Orientation(flip_rows=d < 0, flip_columns=a < 0)
    if b and c and not a and not d:
        return Orientation(transposed=True, flip_rows=b < 0, flip_columns=c < 0)
    return UPRIGHT
