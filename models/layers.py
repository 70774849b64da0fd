"""Building blocks that several networks share.

B batch, K features, H height, W width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.1
"""Of every leaky ReLU in the published networks."""


def conv3x3(num_in: int, num_out: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(num_in, num_out, 3, padding=1)


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, added to the input; no normalisation."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(num_feat, num_feat)
        self.conv2 = conv3x3(num_feat, num_feat)
        for conv in (self.conv1, self.conv2):
            # Small residues at the start keep deep recurrent trunks stable (ESRGAN, section 3.1).
            nn.init.kaiming_normal_(conv.weight).data.mul_(0.1)
            nn.init.zeros_(conv.bias) if conv.bias is not None else None

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(feat_BKHW), inplace=True)).add_(feat_BKHW)
