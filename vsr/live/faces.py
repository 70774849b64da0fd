"""Faces of a live stream, where there is time for them.

The quality controller decides whether faces are looked for at all: leaving them out is its first
step down. Within the time that full quality leaves, the largest faces are restored.
"""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from vsr.engine.cpu_threads import all_cores
from vsr.engine.device_transfer import wait_for
from vsr.faces.loading import FaceCost, FaceNetworks, measure_faces
from vsr.types import Chunk


class LiveFaces:
    """Restores the faces of one live stream. Used by one thread.

    Args:
        networks: Networks, which several streams may share.
        scale: Scale of the network of whole frames.
        device: Device of the frames.

    Attributes:
        cost: Cost of faces; None until it is measured.
    """

    def __init__(self, networks: FaceNetworks, scale: int, device: torch.device) -> None:
        self._stage, self._scale, self._device = networks.stage(scale), scale, device
        self._num_faces = 1.0
        self.cost: FaceCost | None = None

    def measure(self, height: int, width: int) -> FaceCost:
        """Measure once the time that faces take in restored frames of a size."""
        if self.cost is None:
            frame = torch.rand(3, self._scale * height, self._scale * width, device=self._device)
            with all_cores():
                self.cost = measure_faces(self._stage, frame)
        return self.cost

    @property
    def frame_s(self) -> float:
        """Seconds that a frame is expected to take: as many faces as in the last, one at least."""
        assert self.cost is not None
        return self.cost.frame_s(max(1.0, self._num_faces))

    def most(self, spare_s: float) -> int:
        """Faces that may be restored in a frame which may take so many seconds, one at least."""
        assert self.cost is not None
        return max(1, int((spare_s - self.cost.search_s) / self.cost.face_s))

    def push(self, chunk: Chunk, spare_s: float) -> tuple[Chunk, int]:
        """Restore the faces of a chunk.

        Args:
            chunk: Restored frames.
            spare_s: Seconds that each frame may take.

        Returns:
            The chunk, and the number of faces that were restored.
        """
        assert self.cost is not None
        self._stage.most = self.most(spare_s)
        before, began = self._stage.counts.restored, time.perf_counter()
        with all_cores():
            pushed = self._stage.push(chunk)
        wait_for(self._device)
        num_faces = self._stage.counts.restored - before
        self._num_faces = num_faces / len(chunk)
        self._note(time.perf_counter() - began, len(chunk) * self.cost.frame_s(self._num_faces))
        return pushed, num_faces

    def leave_out(self) -> None:
        """Forget all faces: a frame leaves without them. Faces that come back are faded in."""
        self._stage.reset(begins_scene=False)
        self._num_faces = 1.0

    @property
    def num_without_time(self) -> int:
        """Number of faces that were not restored for lack of time, once in every frame."""
        return self._stage.counts.left_alone.get("no time", 0)

    def _note(self, took_s: float, expected_s: float) -> None:
        """Update the cost with the time of a chunk, with a weight of one eighth."""
        assert self.cost is not None
        factor = 1 + (took_s / expected_s - 1) / 8
        search_s, face_s = factor * self.cost.search_s, factor * self.cost.face_s
        self.cost = replace(self.cost, search_s=search_s, face_s=face_s)
