"""Brightness of RGB frames.

B batch, H, W size.
"""

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


def grey(frame_BCHW: Tensor) -> Tensor:
    """Brightness of frames (B, 3, H, W): (B, 1, H, W), float32."""
    colours = torch.split(frame_BCHW.float(), 1, dim=1)
    brightness = [share * colour for share, colour in zip(GREY, colours, strict=True)]
    return brightness[0] + brightness[1] + brightness[2]
