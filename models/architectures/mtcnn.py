"""MTCNN: a face detector of three small networks, each of which sees what the last one kept.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
IEEE Signal Processing Letters 2016, with the weights of the package ``facenet-pytorch`` (MIT),
whose parameter names these are. Pictures are transposed inside of the second and the third, as in
the Caffe original.

Pictures are (N, 3, H, W), RGB in [0, 1]. Every network gives the logit of a face over none, (N,),
and corrections of a box's left, top, right and bottom edge in units of its sides, (N, 4); the
first gives them for every place that a window of 12 pixels has in steps of 2, the third also five
points, (N, 5, 2), x first, in units of the box from its upper left corner: left and right eye as
the picture shows them, nose, left and right corner of the mouth.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STEP, WINDOW = 2, 12
"""Pixels between the places of the first network, and those it sees at each."""

REFINED, POINTED = 24, 48
"""Sides of the pictures that the second and the third network see."""

NUM_POINTS = 5


class ProposalNet(nn.Module):
    """Finds candidates in a picture of any size, 12 pixels a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, picture_N3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, h, w) and corrections (N, 4, h, w)."""
        feat = _pooled(self.prelu1(self.conv1(_normalised(picture_N3HW))), 2)
        feat = self.prelu3(self.conv3(self.prelu2(self.conv2(feat))))
        return _logit(self.conv4_1(feat)), self.conv4_2(feat)


class RefinementNet(nn.Module):
    """Classifies candidates, 24 pixels a side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, pictures_N3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) and corrections (N, 4)."""
        feat = _pooled(self.prelu1(self.conv1(_normalised(pictures_N3HW))), 3)
        feat = _pooled(self.prelu2(self.conv2(feat)), 3)
        feat = self.prelu4(self.dense4(_flat(self.prelu3(self.conv3(feat)))))
        return _logit(self.dense5_1(feat)), self.dense5_2(feat)


class OutputNet(nn.Module):
    """Classifies the remaining candidates, 48 pixels a side, and finds five points in each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 2 * NUM_POINTS)

    def forward(self, pictures_N3HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N,), corrections (N, 4) and points (N, 5, 2)."""
        feat = _pooled(self.prelu1(self.conv1(_normalised(pictures_N3HW))), 3)
        feat = _pooled(self.prelu2(self.conv2(feat)), 3)
        feat = _pooled(self.prelu3(self.conv3(feat)), 2)
        feat = self.prelu5(self.dense5(_flat(self.prelu4(self.conv4(feat)))))
        # All x come before all y.
        points = self.dense6_3(feat).unflatten(1, (2, NUM_POINTS)).transpose(1, 2)
        return _logit(self.dense6_1(feat)), self.dense6_2(feat), points


class MTCNN(nn.Module):
    """The three networks."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = ProposalNet(), RefinementNet(), OutputNet()


def _normalised(picture_N3HW: Tensor) -> Tensor:
    """The value range of training: 0 to 255, less 127.5, over 128."""
    return (picture_N3HW * 255 - 127.5) / 128


def _pooled(feat_NKHW: Tensor, side: int) -> Tensor:
    return F.max_pool2d(feat_NKHW, side, stride=2, ceil_mode=True)


def _flat(feat_NKHW: Tensor) -> Tensor:
    """Features of a picture in the order of the original: column, row, feature."""
    return feat_NKHW.permute(0, 3, 2, 1).flatten(1)


def _logit(classes: Tensor) -> Tensor:
    """The logit of a face from the scores of none and of one."""
    return classes[:, 1] - classes[:, 0]
