"""Networks without weights, for checking everything around a network.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

from torch import Tensor

from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.imresize import imresize

CHUNK = 2
"""Frames a step: more are only more memory, which the system clears at its first use. With 8 that
took 4 ms of each of 150 frames of 1080p, with 2 it took 1."""


class Identity(Network[None]):
    """Returns frames unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="identity", scale=1, chunk=CHUNK, stateless=True)

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        return window_BTCHW[:, :num_keep], state


class Bicubic(Network[None]):
    """MATLAB's ``imresize``, the baseline of every published table.

    Args:
        scale: Output size over input size.
    """

    def __init__(self, *, scale: int = 4) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="bicubic", scale=scale, chunk=CHUNK, stateless=True)

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        return imresize(window_BTCHW[:, :num_keep], self.facts.scale), state
