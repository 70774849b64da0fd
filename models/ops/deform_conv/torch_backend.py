"""Modulated deformable convolution in PyTorch alone: any device, any gradient, nothing to compile.

Everything happens in strips of rows, so that the samples, nine times the features, stay in cache
on a CPU and do not fill the memory of a GPU. Where gradients are wanted, or on a GPU, sampling is
``grid_sample``. On a CPU, inference takes another way, which is 2.5 times as fast: a sample is a
sum of four weighted rows of a table with a row for each pixel and group, and a table's rows summed
by the bag is what ``embedding_bag`` has vector code for.

B batch, K input features, N output features, G deformable groups, P taps of the kernel, H, W size;
h rows of a strip, S samples in it: h W G P.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.ops.fused import linear

CPU_STRIP = 768
"""Pixels of a strip on a CPU: samples of 64 features, float32, fill 1.7 MB."""

GPU_STRIP = 1 << 18
"""Pixels of a strip on a GPU: 0.6 GB for the same."""

INDEX_PAIR = 1 + (1 << 32)
"""Times an integer below 2^31: that integer twice, as two of 32 bits."""


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """The PyTorch backend of ``deform_conv.modulated_deform_conv``."""
    tensors = (feat_BKHW, offset_BOHW, mask_BMHW, weight, bias)
    learns = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    height, width = feat_BKHW.shape[-2:]
    if feat_BKHW.device.type == "cpu" and not learns:
        out_BHWN = feat_BKHW.new_empty(len(feat_BKHW), height, width, len(weight))
        for one in zip(out_BHWN, feat_BKHW, offset_BOHW, mask_BMHW, strict=True):
            _convolve_from_table(*one, weight, bias)
        return out_BHWN.permute(0, 3, 1, 2)
    rows = max(1, GPU_STRIP // width)
    strips = []
    for top in range(0, height, rows):
        offset, mask = (x[:, :, top : top + rows] for x in (offset_BOHW, mask_BMHW))
        strips.append(_convolve_strip(feat_BKHW.contiguous(), offset, mask, weight, bias, top))
    return torch.cat(strips, 2)


def _convolve_strip(
    feat_BKHW: Tensor,
    offset_BOhW: Tensor,
    mask_BMhW: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    top: int,
) -> Tensor:
    """The rows of the output from ``top`` on that the offsets are of: (B, N, h, W)."""
    batch, features = feat_BKHW.shape[:2]
    height, width = offset_BOhW.shape[-2:]
    taps = weight.shape[-2] * weight.shape[-1]
    groups = mask_BMhW.shape[1] // taps
    sampled = F.grid_sample(
        feat_BKHW.float().view(batch * groups, -1, *feat_BKHW.shape[-2:]),
        _sampling_grid(offset_BOhW, groups, weight.shape[-1], top, feat_BKHW.shape[-2]),
        padding_mode="zeros",
        align_corners=True,
    )
    mask = mask_BMhW.float().reshape(batch * groups, 1, taps * height, width)
    columns = (sampled * mask).view(batch, features * taps, height * width).to(weight.dtype)
    out = weight.flatten(1) @ columns
    if bias is not None:
        out = out + bias[:, None]
    return out.view(batch, -1, height, width).to(feat_BKHW.dtype)


def _sampling_grid(offset_BOhW: Tensor, groups: int, size: int, top: int, height: int) -> Tensor:
    """(B G, P h, W, 2), x first, -1 and 1 at the centres of the outer pixels."""
    batch, _, rows, width = offset_BOhW.shape
    offset = offset_BOhW.float().reshape(batch * groups, -1, 2, rows, width)
    tap_y, tap_x = (tap[:, None, None] for tap in _taps(size, offset.device))
    y = torch.arange(top, top + rows, device=offset.device)[:, None] + tap_y + offset[:, :, 0]
    x = torch.arange(width, device=offset.device) + tap_x + offset[:, :, 1]
    grid = (x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1)
    return torch.stack(grid, -1).flatten(1, 2)


def _taps(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Offsets of a kernel's taps, down and right of its centre: two of (P,), float32."""
    step = torch.arange(size, device=device, dtype=torch.float32) - size // 2
    return step.repeat_interleave(size), step.repeat(size)


def _convolve_from_table(
    out_HWN: Tensor,
    feat_KHW: Tensor,
    offset_OHW: Tensor,
    mask_MHW: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> None:
    """Fill the output of one frame, without gradients."""
    features, height, width = feat_KHW.shape
    taps = weight.shape[-2] * weight.shape[-1]
    groups = len(mask_MHW) // taps
    # Zeros around it, one to the left and above, two to the right and below, are what lies outside.
    padded_HWK = F.pad(feat_KHW.float().permute(1, 2, 0), (0, 0, 1, 2, 1, 2))
    table_RC = padded_HWK.reshape(-1, features // groups)
    # Samples leave the table by pixel, group, tap and only then feature.
    matrix = weight.reshape(len(weight), groups, -1, taps).transpose(2, 3).flatten(1).contiguous()
    offset_HWO, mask_HWM = offset_OHW.permute(1, 2, 0), mask_MHW.permute(1, 2, 0)
    sampler = _TableSampler(table_RC, groups, weight.shape[-1], (height, width))
    for top in range(0, height, sampler.rows):
        rows = slice(top, top + sampler.rows)
        samples = sampler.sample(offset_HWO[rows], mask_HWM[rows], top)
        columns = samples.view(-1, matrix.shape[1]).to(weight.dtype)
        out_HWN[rows] = linear(columns, matrix, bias).view_as(out_HWN[rows])


class _TableSampler:
    """Bilinear samples of one frame, masked; values that all strips share are computed once.

    Args:
        table_RC: A row for every pixel of the padded frame and group, groups innermost.
        groups: Deformable groups.
        size: Side of the kernel.
        frame: Height and width without padding.
    """

    def __init__(self, table_RC: Tensor, groups: int, size: int, frame: tuple[int, int]) -> None:
        self.table_RC, self.groups, (self.height, self.width) = table_RC, groups, frame
        self.rows = min(self.height, max(1, CPU_STRIP // self.width))
        self.stride = self.width + 3
        shape = (self.rows, self.width, groups, size**2)
        tap_y, tap_x = _taps(size, table_RC.device)
        y = (torch.arange(self.rows).view(-1, 1, 1, 1) + tap_y).expand(shape)
        x = (torch.arange(self.width).view(-1, 1, 1) + tap_x).expand(shape)
        self.base_S2 = torch.stack([y, x], -1).view(-1, 2)
        group = torch.arange(groups, dtype=torch.int32)[:, None].expand(shape)
        self.group_S = group.reshape(-1)
        num_samples = len(self.group_S)
        self.index_S4 = torch.empty(num_samples, 4, dtype=torch.int32)
        self.weight_S4 = torch.empty(num_samples, 4)
        self.bag_S = torch.arange(0, 4 * num_samples, 4, dtype=torch.int32)

    def sample(self, offset_hWO: Tensor, mask_hWM: Tensor, top: int) -> Tensor:
        """(S, K / G): the masked samples of all taps, for the rows from ``top`` on."""
        offset_S2, mask_S = offset_hWO.reshape(-1, 2), mask_hWM.reshape(-1)
        num = len(mask_S)
        # A place that is no number would be an index out of range; its mask is no number either.
        position_S2 = (offset_S2 + self.base_S2[:num]).nan_to_num_()
        y = position_S2[:, 0].clamp(-1 - top, self.height - top)
        x = position_S2[:, 1].clamp(-1, self.width)
        above, left = y.floor(), x.floor()
        self._point(above, left, top)
        self._weigh(y - above, x - left, mask_S)
        return F.embedding_bag(
            self.index_S4[:num].view(-1),
            self.table_RC,
            self.bag_S[:num],
            per_sample_weights=self.weight_S4[:num].view(-1),
            mode="sum",
        )

    def _point(self, above_S: Tensor, left_S: Tensor, top: int) -> None:
        """Write the table's rows of the four pixels around each sample."""
        num = len(left_S)
        pixel = torch.add(left_S.int(), above_S.int(), alpha=self.stride)
        pixel.add_((top + 1) * self.stride + 1)
        row = torch.add(self.group_S[:num], pixel, alpha=self.groups)
        # Two neighbours in one write of 64 bits: the left one is in the lower half.
        pair_S2 = self.index_S4.view(torch.int64)[:num]
        upper = row.long().mul_(INDEX_PAIR).add_(self.groups << 32)
        pair_S2[:, 0] = upper
        torch.add(upper, self.stride * self.groups * INDEX_PAIR, out=pair_S2[:, 1])

    def _weigh(self, down_S: Tensor, right_S: Tensor, mask_S: Tensor) -> None:
        """Write the mask times the bilinear weights of the four pixels."""
        lower = down_S.mul_(mask_S)
        upper = mask_S - lower
        pair_S2 = self.weight_S4.view(torch.complex64)[: len(mask_S)]
        for i, both in enumerate((upper, lower)):
            right = both * right_S
            torch.complex(both.sub_(right), right, out=pair_S2[:, i])
