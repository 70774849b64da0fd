"""ArcFace's features of a face: who it is, in 512 numbers.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019; the
ResNet-18 that GFPGAN trains with (Apache-2.0), whose parameter names these are. Its weights,
``arcface_resnet18.pth``, have no stated licence and do not come with this package.

N faces, K features.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from vsr.errors import CheckpointError
from vsr.models.checkpoints.checkpoint import load_into, read_checkpoint
from vsr.quality.filters import LUMA

SIDE = 128
"""Side of the faces that it sees, in pixels."""


class ArcFace(nn.Module):
    """The network, in evaluation.

    Args:
        num_feat: Features at full size, doubled with every halving but the first.
    """

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        widest = 8 * num_feat
        self.conv1 = nn.Conv2d(1, num_feat, 3, padding=1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(num_feat), nn.PReLU()
        self.layer1 = _layer(num_feat, num_feat, 1)
        self.layer2 = _layer(num_feat, 2 * num_feat, 2)
        self.layer3 = _layer(2 * num_feat, 4 * num_feat, 2)
        self.layer4 = _layer(4 * num_feat, widest, 2)
        self.bn4 = nn.BatchNorm2d(widest)
        self.fc5 = nn.Linear(widest * (SIDE // 16) ** 2, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, faces_N3SS: Tensor) -> Tensor:
        """Features (N, 512) of aligned faces, RGB in [0, 1], of any size."""
        grey = sum(w * c for w, c in zip(LUMA, faces_N3SS.unbind(1), strict=True))
        assert isinstance(grey, Tensor)
        small = F.interpolate(grey[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)
        feat = F.max_pool2d(self.prelu(self.bn1(self.conv1(2 * small - 1))), 2)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            feat = layer(feat)
        who: Tensor = self.bn5(self.fc5(self.bn4(feat).flatten(1)))
        return who


def load_identity(path: Path) -> ArcFace:
    """Load the network, on the CPU in float32, with frozen weights.

    Args:
        path: GFPGAN's ``arcface_resnet18.pth``, or another one of that kind.

    Raises:
        CheckpointError: A file that is missing, damaged, or of another network.
    """
    checkpoint = read_checkpoint(path)
    first = checkpoint.weights.get("conv1.weight")
    if first is None or first.shape[1:] != (1, 3, 3):
        raise CheckpointError(f"{checkpoint} is of no ArcFace; give GFPGAN's arcface_resnet18.pth")
    network = ArcFace(len(first))
    load_into(network, checkpoint, "arcface")
    return network.requires_grad_(False).eval()


class _Block(nn.Module):
    """A residual block, normalised before its first convolution."""

    def __init__(self, wide: int, wider: int, step: int) -> None:
        super().__init__()
        self.bn0, self.conv1 = nn.BatchNorm2d(wide), nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(wide), nn.PReLU()
        self.conv2 = nn.Conv2d(wide, wider, 3, step, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wider)
        changes = step != 1 or wide != wider
        self.downsample = (
            nn.Sequential(nn.Conv2d(wide, wider, 1, step, bias=False), nn.BatchNorm2d(wider))
            if changes
            else nn.Identity()
        )

    def forward(self, feat_NKHW: Tensor) -> Tensor:
        feat = self.prelu(self.bn1(self.conv1(self.bn0(feat_NKHW))))
        added: Tensor = self.bn2(self.conv2(feat)) + self.downsample(feat_NKHW)
        return F.prelu(added, self.prelu.weight)


def _layer(wide: int, wider: int, step: int) -> nn.Sequential:
    return nn.Sequential(_Block(wide, wider, step), _Block(wider, wider, 1))
