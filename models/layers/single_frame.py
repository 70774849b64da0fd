"""Networks that restore each frame independently: image networks in a stream.

B batch, T time, N images, C colour, H, W size.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from vsr.models.network import Network

PIXELS_AT_ONCE = 2**19
"""Pixels of the frames that are restored together: small frames fill a GPU only in batches; more
than this would take memory for nothing."""


class SingleFrameNetwork(Network[None]):
    """A network without state. Its ``facts`` have ``stateless`` set."""

    @abstractmethod
    def restore(self, frames_NCHW: Tensor) -> Tensor:
        """Restore images.

        Args:
            frames_NCHW: (N, 3, H, W), RGB in [0, 1], float32, of any size.

        Returns:
            (N, 3, scale H, scale W), float32, not clamped.
        """

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        kept_BTCHW = window_BTCHW[:, :num_keep]
        height, width = kept_BTCHW.shape[-2:]
        at_once = max(1, PIXELS_AT_ONCE // (height * width))
        batches = torch.split(kept_BTCHW.flatten(0, 1), at_once)
        restored = [self.restore(frames_NCHW) for frames_NCHW in batches]
        restored_NCHW = torch.cat(restored) if len(restored) > 1 else restored[0]
        return restored_NCHW.view(*kept_BTCHW.shape[:2], *restored_NCHW.shape[1:]), state
