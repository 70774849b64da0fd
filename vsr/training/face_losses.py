"""Losses of faces: discriminators of eyes and mouth, their style, and identity, as GFPGAN's.

Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021;
repository TencentARC/GFPGAN, Apache-2.0, from which layers and weights are. There, the boxes of
eyes and mouth are found in each picture; here they are those of the template to which all faces are
aligned, since nothing but the pictures is needed for it.

B batch, T time, N pictures, K features, S side of a face.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.errors import ConfigurationError
from vsr.faces.alignment import SIZE, TEMPLATE
from vsr.training.adversarial import adversarial_loss, discriminator_loss, gram
from vsr.training.identity import load_identity
from vsr.training.processes import ALONE, Rank, average_gradients

LEFT_EYE, RIGHT_EYE, _, LEFT_CORNER, RIGHT_CORNER = TEMPLATE

STYLE_SHARES = (0.5, 1.0)
"""Weights of the style's two levels, as published."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of a face that is judged by itself.

    Attributes:
        centre: x + iy in a face of 512 pixels.
        half: Half the side of its box there; at 512 pixels a sample is a pixel.
    """

    centre: complex
    half: int

    @property
    def side(self) -> int:
        """Side in samples: 80 of an eye and 120 of the mouth, as published."""
        return 2 * self.half


COMPONENTS: Mapping[str, Component] = {
    "left_eye": Component(centre=LEFT_EYE, half=40),
    "right_eye": Component(centre=RIGHT_EYE, half=40),
    "mouth": Component(centre=(LEFT_CORNER + RIGHT_CORNER) / 2, half=60),
}
"""Eyes and mouth, left as the picture shows it."""


@dataclass(frozen=True, kw_only=True)
class FaceLossSettings:
    """Weights of the losses of faces, next to that of the reconstruction.

    Attributes:
        component_weight: Weight of the adversarial loss of eyes and mouth.
        style_weight: Weight of the error of the Gram matrices of their discriminators' features.
        identity_weight: Weight of the error of a recognition network's features; GFPGAN's is 10.
        identity: File of that network, GFPGAN's ``arcface_resnet18.pth``, in the folder of the
            data.
        num_feat: Features of the discriminators at full size.
        learning_rate: Peak of their learning rate; it falls with the network's.
    """

    component_weight: float = 1.0
    style_weight: float = 200.0
    identity_weight: float = 0.0
    identity: str = ""
    num_feat: int = 64
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.num_feat < 1:
            raise ConfigurationError(f"num_feat is {self.num_feat}; give 1 or more")
        if self.identity_weight and not self.identity:
            raise ConfigurationError(
                f"identity_weight is {self.identity_weight:g} without a network; give the file of "
                "GFPGAN's arcface_resnet18.pth (its releases, v0.1.0) as identity, or leave it out"
            )


def cut_component(faces_N3SS: Tensor, component: Component) -> Tensor:
    """The box of a component, (N, 3, side, side), bilinear (ROI align with a sample for each bin).

    Args:
        faces_N3SS: Faces aligned to the template, of any size, float32.
        component: Which one.
    """
    offsets = torch.arange(component.side, device=faces_N3SS.device) + 0.5 - component.half
    # The middle of pixel 0 lies half a pixel inside of the picture, of which -1 and 1 are the ends.
    x = (component.centre.real + 0.5 + offsets) * 2 / SIZE - 1
    y = (component.centre.imag + 0.5 + offsets) * 2 / SIZE - 1
    grid_SS2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    grid_NSS2 = grid_SS2.expand(len(faces_N3SS), -1, -1, -1)
    return F.grid_sample(faces_N3SS, grid_NSS2, padding_mode="border", align_corners=False)


class ComponentDiscriminator(nn.Module):
    """Judges pictures of one component, by the layers of the published code.

    Args:
        num_feat: Features at full size, doubled with every halving.
    """

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        wide, wider = 2 * num_feat, 4 * num_feat
        self.conv1 = _Convolution(3, num_feat)
        self.conv2, self.conv3 = _Convolution(num_feat, wide, halves=True), _Convolution(wide, wide)
        self.conv4, self.conv5 = _Convolution(wide, wider, halves=True), _Convolution(wider, wider)
        self.final_conv = _Convolution(wider, 1, activates=False)

    def forward(self, pictures_N3SS: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (N, 1, S / 4, S / 4), and the features of two levels, S / 2 and S / 4 a side."""
        middle = self.conv3(self.conv2(self.conv1(pictures_N3SS)))
        coarse = self.conv5(self.conv4(middle))
        return self.final_conv(coarse), [middle, coarse]


class _Convolution(nn.Module):
    """StyleGAN2's: weights scaled as they are used, smoothed before it halves."""

    def __init__(
        self, wide: int, wider: int, *, halves: bool = False, activates: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(wider, wide, 3, 3))
        self.bias = nn.Parameter(torch.zeros(wider))
        self.halves, self.activates = halves, activates

    def forward(self, feat_NKSS: Tensor) -> Tensor:
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if self.halves:
            feat = F.conv2d(_smoothed(feat_NKSS), weight, self.bias, stride=2)
        else:
            feat = F.conv2d(feat_NKSS, weight, self.bias, padding=1)
        return math.sqrt(2) * F.leaky_relu(feat, 0.2) if self.activates else feat


def _smoothed(feat_NKSS: Tensor) -> Tensor:
    """Features under a window of (1, 3, 3, 1), a row and a column larger."""
    taps = feat_NKSS.new_tensor([1.0, 3.0, 3.0, 1.0]) / 8
    window = torch.outer(taps, taps).expand(feat_NKSS.shape[1], 1, 4, 4)
    return F.conv2d(feat_NKSS, window, padding=2, groups=feat_NKSS.shape[1])


class FaceCritics:
    """Discriminators of components that learn beside a network, and the network of identity.

    Args:
        settings: Their size, and the weights of the losses.
        data: Folder that the file of the identity network lies in.
        device: Where they are.

    Raises:
        CheckpointError: The identity network's file is missing, damaged, or of another network.
    """

    def __init__(self, settings: FaceLossSettings, data: Path, device: torch.device) -> None:
        self.settings = settings
        self.discriminators = nn.ModuleDict(
            {name: ComponentDiscriminator(settings.num_feat) for name in COMPONENTS}
        ).to(device)
        self.identity: nn.Module | None = None
        if settings.identity_weight:
            self.identity = load_identity(data / settings.identity).to(device)
        self.optimiser = torch.optim.Adam(
            self.discriminators.parameters(), lr=settings.learning_rate, betas=(0.0, 0.99)
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of them."""
        return {
            "discriminators": self.discriminators.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.discriminators.load_state_dict(saved["discriminators"])
        self.optimiser.load_state_dict(saved["optimiser"])

    def generator_loss(self, restored_BT3SS: Tensor, truth_BT3SS: Tensor) -> Tensor:
        """Weighted loss of the network, beside its other losses.

        Args:
            restored_BT3SS: Restored faces, aligned to the template, RGB about [0, 1].
            truth_BT3SS: Ground truth.
        """
        restored, truth = (faces.float().flatten(0, 1) for faces in (restored_BT3SS, truth_BT3SS))
        self.discriminators.requires_grad_(False)
        losses = [self._component_loss(name, restored, truth) for name in COMPONENTS]
        self.discriminators.requires_grad_(True)
        loss = torch.stack(losses).sum()
        if self.identity is None:
            return loss
        with torch.no_grad():
            wanted = self.identity(truth)
        return loss + self.settings.identity_weight * F.l1_loss(self.identity(restored), wanted)

    def learn(
        self, restored_BT3SS: Tensor, truth_BT3SS: Tensor, share: float, rank: Rank = ALONE
    ) -> float:
        """One step of the discriminators; their loss.

        Args:
            restored_BT3SS: See ``generator_loss``.
            truth_BT3SS: See ``generator_loss``.
            share: Learning rate over its peak.
            rank: Rank of this process among several.
        """
        (group,) = self.optimiser.param_groups
        group["lr"] = share * self.settings.learning_rate
        restored, truth = (
            faces.detach().float().flatten(0, 1) for faces in (restored_BT3SS, truth_BT3SS)
        )
        losses = []
        for name in COMPONENTS:
            (fake, _), (real, _) = (self._judged(name, faces) for faces in (restored, truth))
            losses.append(discriminator_loss(fake, real, relativistic=False))
        loss = torch.stack(losses).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.discriminators.parameters(), rank)
        self.optimiser.step()
        return float(loss.detach())

    def _component_loss(self, name: str, restored_N3SS: Tensor, truth_N3SS: Tensor) -> Tensor:
        fake, fake_levels = self._judged(name, restored_N3SS)
        with torch.no_grad():
            real, real_levels = self._judged(name, truth_N3SS)
        style = [
            share * F.l1_loss(gram(one), gram(other))
            for share, one, other in zip(STYLE_SHARES, fake_levels, real_levels, strict=True)
        ]
        judgement = adversarial_loss(fake, real, relativistic=False)
        settings = self.settings
        return settings.component_weight * judgement + settings.style_weight * sum(style)

    def _judged(self, name: str, faces_N3SS: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the discriminator of a component says of it, which sees colours from -1 to 1."""
        judged: tuple[Tensor, list[Tensor]] = self.discriminators[name](
            2 * cut_component(faces_N3SS, COMPONENTS[name]) - 1
        )
        return judged
