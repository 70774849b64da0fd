"""A network that takes its time."""

from __future__ import annotations

import time

from torch import Tensor

from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.imresize import imresize
from vsr.restorer import Restorer


class Sluggish(Network[None]):
    """Enlarges, and takes its time."""

    def __init__(self, frame_s: float) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="sluggish", scale=2, look_ahead=2, chunk=4)
        self.frame_s = frame_s

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        time.sleep(self.frame_s * window_BTCHW.shape[1])
        return imresize(window_BTCHW[:, :num_keep], 2), None


def slow_restorer(frame_s: float = 0.2) -> Restorer:
    return Restorer(Sluggish(frame_s), device="cpu", precision="float32")
