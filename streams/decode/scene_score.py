"""Scene scores by ffmpeg's ``scdet`` filter on decoded frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.format import VideoFormat


@dataclass(frozen=True, kw_only=True)
class FrameChange:
    """Scores of a frame, in hundredths of the range of values.

    Attributes:
        difference: Mean absolute difference from the frame before.
        score: The difference, or how much it differs from the difference before, if that is less: a
            fast pan differs much from frame to frame, but not abruptly.
    """

    difference: float
    score: float


class SceneScore:
    """Compares every frame with the one before.

    Args:
        height: Rows of the frames.
        width: Columns of the frames.
    """

    def __init__(self, height: int, width: int) -> None:
        self._graph = Graph()
        self._pts = 0
        source = self._graph.add_buffer(
            width=width, height=height, format=VideoFormat("rgb24"), time_base=Fraction(1, 25)
        )
        scdet = self._graph.add("scdet")
        self._graph.link_nodes(source, scdet, self._graph.add("buffersink")).configure()

    def compare(self, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> FrameChange:
        """Compare a frame, (height, width, 3), with the one before; the first changes nothing."""
        entering = VideoFrame.from_ndarray(frame, format="rgb24")
        entering.pts, entering.time_base = self._pts, Fraction(1, 25)
        self._pts += 1
        self._graph.vpush(entering)
        metadata = self._graph.vpull().metadata
        return FrameChange(
            difference=float(metadata["lavfi.scd.mafd"]), score=float(metadata["lavfi.scd.score"])
        )
