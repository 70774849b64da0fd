"""RetinaFace: a face detector that sees a whole frame at once, in the layout of facexlib.

Deng et al., "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild", CVPR 2020; code of
biubug6/Pytorch_Retinaface (MIT) as facexlib has it (MIT), whose parameter names these are. Weights
were trained on WIDER FACE (CC BY-NC-ND 4.0); none come with this package.

At every place of three grids, with steps of 8, 16 and 32 pixels, two squares are judged: the priors
(``priors``). B pictures, K features, H, W size of the frame, P priors.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEANS = (123.0, 117.0, 104.0)
"""Taken off red, green and blue of 0 to 255; the networks see blue first."""

STEPS = (8, 16, 32)
"""Pixels from place to place of each grid."""

SIDES = ((16, 32), (64, 128), (256, 512))
"""Sides of the two priors at each place of a grid, in pixels."""

NUM_POINTS = 5

Backbone = Literal["resnet50", "mobilenet0.25"]
"""The network that makes features."""

WIDTHS: dict[Backbone, tuple[tuple[int, int, int], int]] = {
    "resnet50": ((512, 1024, 2048), 256),
    "mobilenet0.25": ((64, 128, 256), 64),
}
"""Features of its three levels, and of the pyramid made of them."""


class RetinaFace(nn.Module):
    """The network.

    Args:
        backbone: Which features: ResNet-50's, or those of a MobileNet of a quarter of its width.
    """

    def __init__(self, backbone: Backbone = "resnet50") -> None:
        super().__init__()
        widths, wide = WIDTHS[backbone]
        self.body: nn.Sequential = _resnet50() if backbone == "resnet50" else _mobilenet()
        self.fpn = _Pyramid(widths, wide)
        self.ssh1, self.ssh2, self.ssh3 = (_Context(wide) for _ in STEPS)
        self.ClassHead = nn.ModuleList(_Head(wide, 2) for _ in STEPS)
        self.BboxHead = nn.ModuleList(_Head(wide, 4) for _ in STEPS)
        self.LandmarkHead = nn.ModuleList(_Head(wide, 2 * NUM_POINTS) for _ in STEPS)

    def forward(self, frames_B3HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge the priors of frames.

        Args:
            frames_B3HW: RGB in [0, 1], of any size.

        Returns:
            Logits of a face over none, (B, P); corrections of the priors' boxes, (B, P, 4); and
            places of five points, (B, P, 5, 2), for ``decoded``.
        """
        means = torch.tensor(MEANS, device=frames_B3HW.device).view(3, 1, 1)
        feat, levels = (frames_B3HW * 255 - means).flip(1), []
        for name, part in self.body.named_children():
            feat = part(feat)
            if name in {"layer2", "layer3", "layer4", "stage1", "stage2", "stage3"}:
                levels.append(feat)
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        levels = [ssh(level) for ssh, level in zip(contexts, self.fpn(levels), strict=True)]
        classes, corrections, points = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], 1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        logits = classes[..., 1] - classes[..., 0]
        return logits, corrections, points.view(*points.shape[:2], NUM_POINTS, 2)


def backbone_of(weights: Mapping[str, Tensor]) -> Backbone | None:
    """The backbone that weights by facexlib's names are of; None if they are of no RetinaFace."""
    if "ssh1.conv3X3.0.weight" not in weights:
        return None
    return "resnet50" if "body.layer1.0.conv1.weight" in weights else "mobilenet0.25"


def priors(height: int, width: int) -> Tensor:
    """(P, 3): x and y of the middle of each prior of a frame, and its side, in pixels."""
    grids = []
    for step, sides in zip(STEPS, SIDES, strict=True):
        rows = (torch.arange(-(-height // step)) + 0.5) * step
        columns = (torch.arange(-(-width // step)) + 0.5) * step
        y, x, side = torch.meshgrid(rows, columns, torch.tensor(sides).float(), indexing="ij")
        grids.append(torch.stack([x, y, side], -1).view(-1, 3))
    return torch.cat(grids)


def decoded(priors_P3: Tensor, corrections_P4: Tensor, points_P52: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and points in pixels from what the network says of priors.

    Args:
        priors_P3: As ``priors`` gives them.
        corrections_P4: Shift of the middle in tenths of the side, x first, and the logarithm of
            width and height over the side, in fifths.
        points_P52: Distance of the points from the prior's middle, in tenths of the side.

    Returns:
        (P, 4): left, top, right and bottom; (P, 5, 2): points, x first.
    """
    middle_P2, side_P1 = priors_P3[:, :2], priors_P3[:, 2:]
    centre_P2 = middle_P2 + 0.1 * corrections_P4[:, :2] * side_P1
    half_P2 = side_P1 * torch.exp(0.2 * corrections_P4[:, 2:]) / 2
    boxes_P4 = torch.cat([centre_P2 - half_P2, centre_P2 + half_P2], 1)
    return boxes_P4, middle_P2[:, None] + 0.1 * points_P52 * side_P1[:, None]


class _Pyramid(nn.Module):
    """Adds what larger steps see to the features of smaller ones."""

    def __init__(self, widths: tuple[int, int, int], wide: int) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (
            _convolution(width, wide, side=1, slope=_slope(wide)) for width in widths
        )
        self.merge1, self.merge2 = (_convolution(wide, wide, slope=_slope(wide)) for _ in range(2))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (
            output(level)
            for output, level in zip(
                (self.output1, self.output2, self.output3), levels, strict=True
            )
        )
        middle = self.merge2(middle + F.interpolate(coarse, middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, fine.shape[2:]))
        return [fine, middle, coarse]


class _Context(nn.Module):
    """Sees 3, 5 and 7 places around each."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        half, quarter, slope = wide // 2, wide // 4, _slope(wide)
        self.conv3X3 = _convolution(wide, half)
        self.conv5X5_1 = _convolution(wide, quarter, slope=slope)
        self.conv5X5_2 = _convolution(quarter, quarter)
        self.conv7X7_2 = _convolution(quarter, quarter, slope=slope)
        self.conv7x7_3 = _convolution(quarter, quarter)

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        wider = self.conv5X5_1(feat_BKHW)
        widest = self.conv7x7_3(self.conv7X7_2(wider))
        return F.relu(torch.cat([self.conv3X3(feat_BKHW), self.conv5X5_2(wider), widest], 1))


class _Head(nn.Module):
    """So many numbers for each of the two priors of a place."""

    def __init__(self, wide: int, numbers: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(wide, len(SIDES[0]) * numbers, 1)
        self.numbers = numbers

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        """(B, P of the grid, numbers)."""
        numbers: Tensor = self.conv1x1(feat_BKHW).permute(0, 2, 3, 1)
        return numbers.reshape(len(numbers), -1, self.numbers)


class _Bottleneck(nn.Module):
    """A residual block of ResNet-50."""

    def __init__(self, wide: int, narrow: int, step: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(wide, narrow, 1, bias=False), nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, step, 1, bias=False)
        self.bn2, self.bn3 = nn.BatchNorm2d(narrow), nn.BatchNorm2d(4 * narrow)
        self.conv3 = nn.Conv2d(narrow, 4 * narrow, 1, bias=False)
        changes = step != 1 or wide != 4 * narrow
        self.downsample = (
            _convolution(wide, 4 * narrow, side=1, step=step) if changes else nn.Identity()
        )

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        feat = F.relu(self.bn1(self.conv1(feat_BKHW)))
        feat = F.relu(self.bn2(self.conv2(feat)))
        return F.relu(self.bn3(self.conv3(feat)) + self.downsample(feat_BKHW))


def _resnet50() -> nn.Sequential:
    """He et al., CVPR 2016, with the step of a block in its 3x3 convolution."""
    parts: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 64, 7, 2, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU()),
        ("maxpool", nn.MaxPool2d(3, 2, 1)),
    ]
    wide = 64
    for level, blocks in enumerate((3, 4, 6, 3)):
        narrow, step = 64 * 2**level, 1 if level == 0 else 2
        layer = [_Bottleneck(wide, narrow, step)]
        layer += [_Bottleneck(4 * narrow, narrow, 1) for _ in range(1, blocks)]
        parts.append((f"layer{level + 1}", nn.Sequential(*layer)))
        wide = 4 * narrow
    return nn.Sequential(OrderedDict(parts))


def _mobilenet() -> nn.Sequential:
    """Howard et al., "MobileNets", 2017, a quarter as wide."""
    blocks = {
        "stage1": ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)),
        "stage2": ((64, 128, 2), *((128, 128, 1),) * 5),
        "stage3": ((128, 256, 2), (256, 256, 1)),
    }
    stages = {name: [_separable(*block) for block in of_stage] for name, of_stage in blocks.items()}
    stages["stage1"].insert(0, _convolution(3, 8, step=2, slope=0.1))
    return nn.Sequential(OrderedDict((n, nn.Sequential(*stage)) for n, stage in stages.items()))


def _separable(wide: int, wider: int, step: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide, wide, 3, step, 1, groups=wide, bias=False),
        nn.BatchNorm2d(wide),
        nn.LeakyReLU(0.1),
        nn.Conv2d(wide, wider, 1, bias=False),
        nn.BatchNorm2d(wider),
        nn.LeakyReLU(0.1),
    )


def _convolution(
    wide: int, wider: int, *, side: int = 3, step: int = 1, slope: float | None = None
) -> nn.Sequential:
    """A convolution, normalised, with an activation where its slope is given."""
    convolution = nn.Conv2d(wide, wider, side, step, side // 2, bias=False)
    activation = [] if slope is None else [nn.LeakyReLU(slope)]
    return nn.Sequential(convolution, nn.BatchNorm2d(wider), *activation)


def _slope(wide: int) -> float:
    """Slope of activations for negative numbers: narrow networks keep some of them."""
    return 0.1 if wide <= 64 else 0.0
