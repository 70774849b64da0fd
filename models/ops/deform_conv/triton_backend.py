"""Modulated deformable convolution with the sampling in a Triton kernel, for CUDA.

One program samples a block of pixels for one tap and one group: what it reads of the offsets is
read once for all features of the group, and neither positions nor weights ever reach memory. The
matrix product that follows is torch's. Positions, weights and sums of gradients are float32.

Triton looks up the annotations of kernels, and refuses names that are neither its own nor modules.
Triton's interpreter (TRITON_INTERPRET=1) runs the kernels on a CPU, slowly, for tests.

B batch, K input features, N output features, G deformable groups, P taps of the kernel, H, W size.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from vsr.errors import ConfigurationError, MissingDependency

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise MissingDependency(
        f"triton is not installed ({error}); set VSR_DEFORM=torch, or install triton"
    ) from error

BLOCK = 64
"""Pixels of a program."""


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """As ``deform.modulated_deform_conv``; tensors on a CUDA device."""
    interpreted: bool = triton.knobs.runtime.interpret
    if feat_BKHW.device.type != "cuda" and not interpreted:
        raise ConfigurationError(
            f"VSR_DEFORM=triton runs on CUDA, the features are on {feat_BKHW.device}; "
            "set VSR_DEFORM=torch"
        )
    columns_BHWPK: Tensor = _Sample.apply(  # type: ignore[no-untyped-call]
        feat_BKHW, offset_BOHW.float(), mask_BMHW.float(), weight.shape[-1]
    )
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)
    out_BHWN = columns_BHWPK.flatten(3).to(weight.dtype) @ matrix
    if bias is not None:
        out_BHWN = out_BHWN + bias
    return out_BHWN.permute(0, 3, 1, 2).to(feat_BKHW.dtype)


class _Sample(torch.autograd.Function):
    """(B, H, W, P, K): the features where the taps point, masked."""

    @staticmethod
    def forward(ctx: Any, feat: Tensor, offset: Tensor, mask: Tensor, size: int) -> Tensor:
        feat_BHWK = feat.permute(0, 2, 3, 1).contiguous()
        offset_BHWO = offset.permute(0, 2, 3, 1).contiguous()
        mask_BHWM = mask.permute(0, 2, 3, 1).contiguous()
        batch, height, width, features = feat_BHWK.shape
        columns = feat_BHWK.new_empty(batch, height, width, size**2, features)
        launch, numbers = _plan(feat_BHWK, mask_BHWM, size)
        with _on(feat.device):
            _sample_kernel[launch](feat_BHWK, offset_BHWO, mask_BHWM, columns, *numbers, BLOCK)
        ctx.save_for_backward(feat_BHWK, offset_BHWO, mask_BHWM)
        ctx.size = size
        return columns

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        feat_BHWK, offset_BHWO, mask_BHWM = ctx.saved_tensors
        grad_feat = torch.zeros_like(feat_BHWK, dtype=torch.float32)
        grad_offset, grad_mask = torch.empty_like(offset_BHWO), torch.empty_like(mask_BHWM)
        launch, numbers = _plan(feat_BHWK, mask_BHWM, ctx.size)
        given = (feat_BHWK, offset_BHWO, mask_BHWM, grads[0].contiguous())
        with _on(feat_BHWK.device):
            _gradient_kernel[launch](*given, grad_feat, grad_offset, grad_mask, *numbers, BLOCK)
        feat, offset, mask = (x.permute(0, 3, 1, 2) for x in (grad_feat, grad_offset, grad_mask))
        return feat.to(feat_BHWK.dtype), offset, mask, None


def _plan(feat_BHWK: Tensor, mask_BHWM: Tensor, size: int) -> tuple[tuple[int, int], list[int]]:
    """The programs, and the numbers both kernels take."""
    batch, height, width, features = feat_BHWK.shape
    pixels = batch * height * width
    groups = mask_BHWM.shape[3] // size**2
    per_group = features // groups
    launch = (triton.cdiv(pixels, BLOCK), groups * size**2)
    padded = triton.next_power_of_2(per_group)
    return launch, [pixels, height, width, features, groups, per_group, size, padded]


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Where Triton launches: on the current device, whichever the tensors are on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@triton.jit  # type: ignore[untyped-decorator]
def _locate(
    offset: tl.tensor,
    pixel: tl.tensor,
    inside: tl.tensor,
    tap: tl.tensor,
    slot: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    SIZE: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """The pixel above and left of each sample, and how far down and right of it the sample is."""
    y = (pixel // width) % height + tap // SIZE - SIZE // 2
    x = pixel % width + tap % SIZE - SIZE // 2
    y = y + tl.load(offset + 2 * slot, mask=inside, other=0.0)
    x = x + tl.load(offset + 2 * slot + 1, mask=inside, other=0.0)
    # Far outside is as good as just outside, and fits an integer.
    y = tl.minimum(tl.maximum(y, -2.0), height + 1.0)
    x = tl.minimum(tl.maximum(x, -2.0), width + 1.0)
    above, left = tl.floor(y), tl.floor(x)
    return above.to(tl.int32), left.to(tl.int32), y - above, x - left


@triton.jit  # type: ignore[untyped-decorator]
def _corner(
    pixel: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    inside: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
) -> tuple[tl.tensor, ...]:
    """Which pixel (y, x) is in the frame of each pixel, and whether there is one."""
    known = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    frame = pixel // (height * width)
    return tl.where(known, (frame * height + y) * width + x, 0), known


@triton.jit  # type: ignore[untyped-decorator]
def _sample_kernel(
    feat: tl.tensor,
    offset: tl.tensor,
    mask: tl.tensor,
    columns: tl.tensor,
    pixels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    features: tl.tensor,
    groups: tl.tensor,
    per_group: tl.tensor,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    tap, group = tl.program_id(1) % (SIZE * SIZE), tl.program_id(1) // (SIZE * SIZE)
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    slot = (pixel * groups + group) * SIZE * SIZE + tap
    feature = tl.arange(0, PADDED)
    wanted = (feature < per_group)[None, :]
    above, left, down, right = _locate(offset, pixel, inside, tap, slot, height, width, SIZE)
    total = tl.zeros((BLOCK, PADDED), tl.float32)
    for dy in tl.static_range(2):
        for dx in tl.static_range(2):
            share = (down if dy else 1 - down) * (right if dx else 1 - right)
            place, known = _corner(pixel, above + dy, left + dx, inside, height, width)
            there = (place * features + group * per_group)[:, None] + feature[None, :]
            value = tl.load(feat + there, mask=known[:, None] & wanted, other=0.0)
            total += value.to(tl.float32) * share[:, None]
    total = total * tl.load(mask + slot, mask=inside, other=0.0)[:, None]
    here = ((pixel * SIZE * SIZE + tap) * features + group * per_group)[:, None] + feature[None, :]
    tl.store(columns + here, total.to(columns.dtype.element_ty), mask=inside[:, None] & wanted)


@triton.jit  # type: ignore[untyped-decorator]
def _gradient_kernel(
    feat: tl.tensor,
    offset: tl.tensor,
    mask: tl.tensor,
    grad_columns: tl.tensor,
    grad_feat: tl.tensor,
    grad_offset: tl.tensor,
    grad_mask: tl.tensor,
    pixels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    features: tl.tensor,
    groups: tl.tensor,
    per_group: tl.tensor,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    tap, group = tl.program_id(1) % (SIZE * SIZE), tl.program_id(1) // (SIZE * SIZE)
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    slot = (pixel * groups + group) * SIZE * SIZE + tap
    feature = tl.arange(0, PADDED)
    wanted = (feature < per_group)[None, :]
    above, left, down, right = _locate(offset, pixel, inside, tap, slot, height, width, SIZE)
    weight = tl.load(mask + slot, mask=inside, other=0.0)
    here = ((pixel * SIZE * SIZE + tap) * features + group * per_group)[:, None] + feature[None, :]
    grad = tl.load(grad_columns + here, mask=inside[:, None] & wanted, other=0.0).to(tl.float32)
    by_y = tl.zeros((BLOCK,), tl.float32)
    by_x = tl.zeros((BLOCK,), tl.float32)
    by_mask = tl.zeros((BLOCK,), tl.float32)
    for dy in tl.static_range(2):
        for dx in tl.static_range(2):
            share_y, share_x = (down if dy else 1 - down), (right if dx else 1 - right)
            place, known = _corner(pixel, above + dy, left + dx, inside, height, width)
            there = (place * features + group * per_group)[:, None] + feature[None, :]
            known = known[:, None] & wanted
            value = tl.load(feat + there, mask=known, other=0.0).to(tl.float32)
            likeness = tl.sum(grad * value, 1)
            by_mask += likeness * share_y * share_x
            by_y += likeness * (share_x if dy else -share_x)
            by_x += likeness * (share_y if dx else -share_y)
            share = (weight * share_y * share_x)[:, None]
            tl.atomic_add(grad_feat + there, grad * share, mask=known)
    tl.store(grad_mask + slot, by_mask, mask=inside)
    tl.store(grad_offset + 2 * slot, by_y * weight, mask=inside)
    tl.store(grad_offset + 2 * slot + 1, by_x * weight, mask=inside)
