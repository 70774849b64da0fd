"""Convolutions fused with the next operation, where the CPU library supports it.

On a CPU in bfloat16, oneDNN applies an activation or an addition while a result is still in cache;
an elementwise pass of its own costs a tenth of the convolution. Everywhere else, and while
gradients are recorded, the same is computed in two steps.

B batch, K features, H, W size.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.1
"""Negative slope of every leaky ReLU in the published video networks."""


def conv_relu(conv: nn.Conv2d, feat_BKHW: Tensor) -> Tensor:
    """ReLU of a convolution."""
    if _fuses(conv, feat_BKHW):
        return _pointwise(conv, feat_BKHW, "relu", [])
    return F.relu(conv(feat_BKHW), inplace=True)


def conv_leaky_relu(conv: nn.Conv2d, feat_BKHW: Tensor, slope: float = NEGATIVE_SLOPE) -> Tensor:
    """Leaky ReLU of a convolution, with this slope below zero."""
    if _fuses(conv, feat_BKHW):
        return _pointwise(conv, feat_BKHW, "leaky_relu", [slope])
    return F.leaky_relu(conv(feat_BKHW), slope, inplace=True)


def conv_add(conv: nn.Conv2d, feat_BKHW: Tensor, other_BKHW: Tensor) -> Tensor:
    """A convolution plus a tensor of its size."""
    if not _fuses(conv, feat_BKHW):
        summed: Tensor = conv(feat_BKHW).add_(other_BKHW)
        return summed
    fused: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
        feat_BKHW, other_BKHW, conv.weight, conv.bias, *_geometry(conv), "add", 1.0, None, [], None
    )
    return fused


def linear(rows_RK: Tensor, weight_NK: Tensor, bias: Tensor | None) -> Tensor:
    """A matrix product without gradients; oneDNN's, which on AMD is twice MKL's in float32."""
    fast = rows_RK.device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not fast or rows_RK.dtype != torch.float32:
        return F.linear(rows_RK, weight_NK, bias)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows_RK, weight_NK, bias, "none", [], "")
    return product


def _fuses(conv: nn.Conv2d, feat_BKHW: Tensor) -> bool:
    return (
        feat_BKHW.device.type == "cpu"
        and feat_BKHW.dtype == conv.weight.dtype == torch.bfloat16
        and not torch.is_grad_enabled()
        and _has_bfloat16()
    )


@functools.cache
def _has_bfloat16() -> bool:
    """Whether oneDNN has bfloat16 convolutions for this CPU: AVX512 or AVX-NE-CONVERT."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _pointwise(conv: nn.Conv2d, feat_BKHW: Tensor, name: str, values: list[float]) -> Tensor:
    fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
        feat_BKHW, conv.weight, conv.bias, *_geometry(conv), name, values, ""
    )
    return fused


def _geometry(conv: nn.Conv2d) -> tuple[list[int], list[int], list[int], int]:
    """Padding, stride, dilation and groups, in the order of the library."""
    assert isinstance(conv.padding, tuple)
    return list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups
