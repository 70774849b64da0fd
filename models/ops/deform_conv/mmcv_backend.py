"""Modulated deformable convolution by ``mmcv.ops``, for comparing with mmagic's results.

The op rounds offsets to the type of the features, so that everything is handed to it in float32.
Its CPU version knows no other type.
"""

from __future__ import annotations

from torch import Tensor

from vsr.errors import MissingDependency

try:
    from mmcv.ops import modulated_deform_conv2d
except ImportError as error:
    raise MissingDependency(
        f"mmcv with its ops is not installed ({error}); "
        "see `make test-mmcv` for how it is built, or set VSR_DEFORM=torch"
    ) from error


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """The mmcv backend of ``deform_conv.modulated_deform_conv``."""
    taps = weight.shape[-2] * weight.shape[-1]
    stride, padding, dilation, conv_groups = 1, weight.shape[-1] // 2, 1, 1
    out: Tensor = modulated_deform_conv2d(
        feat_BKHW.float().contiguous(),
        offset_BOHW.float().contiguous(),
        mask_BMHW.float().contiguous(),
        weight.float().contiguous(),
        None if bias is None else bias.float(),
        stride,
        padding,
        dilation,
        conv_groups,
        mask_BMHW.shape[1] // taps,
    )
    return out.to(feat_BKHW.dtype)
