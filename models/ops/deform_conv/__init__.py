"""Modulated deformable convolution (DCNv2): one function, by one of several backends.

Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019. Every tap of the
kernel samples the input at its own place plus a learnt offset, and weighs what it finds by a mask.

    torch         ours, on any device, nothing to compile
    torchvision   torchvision.ops, where torchvision is installed: the default on CUDA there
    mmcv          mmcv.ops, where mmcv is installed with its ops

All give the same within rounding. The environment variable VSR_DEFORM chooses one.

B batch, K input features, N output features, G deformable groups, P taps of the kernel, H, W size.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor, nn

from vsr.errors import ConfigurationError, MissingDependency

BACKENDS = {
    "torch": "vsr.models.ops.deform_conv.torch_backend",
    "torchvision": "vsr.models.ops.deform_conv.torchvision_backend",
    "mmcv": "vsr.models.ops.deform_conv.mmcv_backend",
}
"""Modules with a function ``modulated_deform_conv``, imported when they are asked for."""


class Backend(Protocol):
    """A backend's function; arguments and result as those of ``modulated_deform_conv``."""

    def __call__(
        self,
        feat_BKHW: Tensor,
        offset_BOHW: Tensor,
        mask_BMHW: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor: ...


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Convolve at offset positions; stride 1, size kept, zeros outside. Differentiable.

    Args:
        feat_BKHW: Features.
        offset_BOHW: O = 2 G P: for each group, for each tap, (dy, dx) in pixels; float32 also
            where the features are not.
        mask_BMHW: M = G P: the weight of each tap, usually in [0, 1].
        weight: (N, K, k, k) with P = k², k odd.
        bias: (N,), or None.

    Returns:
        (B, N, H, W), dtype of the features. Positions are float32 whatever the features are.

    Raises:
        ConfigurationError: VSR_DEFORM names no backend, or one for another device.
        MissingDependency: It names one that is not installed.
    """
    # Kernels need contents; on the meta device, for sizes alone, any backend will do.
    backend = load_backend("torch") if feat_BKHW.is_meta else chosen_backend(feat_BKHW.is_cuda)
    return backend(feat_BKHW, offset_BOHW, mask_BMHW, weight, bias)


@cache
def chosen_backend(on_cuda: bool) -> Backend:
    """The backend of this process, chosen when it is first needed.

    Args:
        on_cuda: Whether the tensors are on a CUDA device.

    Returns:
        The one that VSR_DEFORM names; otherwise torchvision's on CUDA where it can be imported,
        and ours.
    """
    if name := os.environ.get("VSR_DEFORM"):
        return load_backend(name)
    if on_cuda:
        with suppress(MissingDependency):
            return load_backend("torchvision")
    return load_backend("torch")


def load_backend(name: str) -> Backend:
    """A backend by its name.

    Raises:
        ConfigurationError: There is none of that name.
        MissingDependency: It is not installed.
    """
    if name not in BACKENDS:
        raise ConfigurationError(f"VSR_DEFORM is {name!r}; give one of {', '.join(BACKENDS)}")
    backend: Backend = import_module(BACKENDS[name]).modulated_deform_conv
    return backend


class DeformConv(nn.Module):
    """A deformable convolution that finds its offsets and masks in other features.

    Args:
        num_feat: Features in and out.
        groups: Deformable groups.
    """

    def __init__(self, num_feat: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_feat, num_feat, 3, 3))
        self.bias = nn.Parameter(torch.zeros(num_feat))
        self.conv_offset = nn.Conv2d(num_feat, groups * 27, 3, padding=1)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        # No offset and half of every tap at the start, as in the paper.
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)

    def forward(self, feat_BKHW: Tensor, guide_BKHW: Tensor) -> Tensor:
        """Sample ``feat`` at offsets computed from ``guide``."""
        first, second, mask = self.conv_offset(guide_BKHW).float().chunk(3, 1)
        offset = torch.cat([first, second], 1)
        return modulated_deform_conv(feat_BKHW, offset, mask.sigmoid(), self.weight, self.bias)
