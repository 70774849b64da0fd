"""Modulated deformable convolution by ``torchvision.ops``, whose CUDA kernel needs no compiling.

The operator wants offsets in the type of the features, so that everything is handed to it in
float32.
"""

from __future__ import annotations

from torch import Tensor

from vsr.errors import MissingDependency

try:
    from torchvision.ops import deform_conv2d
except (ImportError, RuntimeError) as error:  # a build for another torch fails at its operators
    raise MissingDependency(
        f"torchvision cannot be imported ({error}); "
        "install the build for this torch, or set VSR_DEFORM=torch"
    ) from error


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """The torchvision backend of ``deform_conv.modulated_deform_conv``."""
    out: Tensor = deform_conv2d(
        feat_BKHW.float(),
        offset_BOHW.float(),
        weight.float(),
        None if bias is None else bias.float(),
        padding=weight.shape[-1] // 2,
        mask=mask_BMHW.float(),
    )
    return out.to(feat_BKHW.dtype)
