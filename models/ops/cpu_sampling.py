"""Bilinear sampling on a CPU as weighted sums of rows.

A channels-last image is a table with a row for every pixel, and a bilinear sample is a weighted sum
of four rows: an embedding bag, which reads whole rows. ``grid_sample`` wants planes, so that
features would be transposed before and after; with them it takes five times as long.

B batch, K features, H, W size, h, w half of it, N places, R rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["zeros", "border"]

FEWEST_FEATURES = 8
"""Below it rows are so short that planes are faster."""


def gathers(feat_BKHW: Tensor) -> bool:
    """Whether this is the faster way: on a CPU, without gradients, for enough features."""
    return (
        feat_BKHW.device.type == "cpu"
        and feat_BKHW.shape[1] >= FEWEST_FEATURES
        and not torch.is_grad_enabled()
    )


def gather(feat_BKHW: Tensor, flow_B2HW: Tensor, padding: Padding) -> Tensor:
    """Features where the flow points, channels-last, float32; see ``warping.warp``."""
    batch, num_feat, height, width = feat_BKHW.shape
    x, y = _positions(flow_B2HW)
    columns, right = _two_nearest(x.reshape(-1), width, padding)
    rows, below = _two_nearest(y.reshape(-1), height, padding)
    rows = _in_their_image(rows * width, batch, height * width)
    found = _weighted_sums(_table(feat_BKHW, num_feat), (rows, below), (columns, right))
    return found.view(batch, height, width, num_feat).permute(0, 3, 1, 2)


def gather_cells(feat_BKhw: Tensor, flow_B2HW: Tensor) -> Tensor:
    """The same for features in cells of 2 x 2 pixels (``cells``), zeros outside; float32."""
    batch, num_feat, height, width = feat_BKhw.shape
    x, y = (_in_cells(position) for position in _positions(flow_B2HW))
    columns, right = _two_nearest(x, 2 * width, "zeros")
    rows, below = _two_nearest(y, 2 * height, "zeros")
    # Pixel (y, x) is the row 4 (w (y // 2) + x // 2) + 2 (y % 2) + x % 2.
    columns = 2 * columns - (columns & 1)
    rows = rows * (2 * width) - (rows & 1) * (2 * width - 2)
    rows = _in_their_image(rows, batch, 4 * height * width)
    found = _weighted_sums(_table(feat_BKhw, num_feat // 4), (rows, below), (columns, right))
    return found.view(batch, height, width, num_feat).permute(0, 3, 1, 2)


def _positions(flow_B2HW: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows (B, H, W) that the flow points at, in pixels."""
    height, width = flow_B2HW.shape[-2:]
    x = flow_B2HW[:, 0].float() + torch.arange(width)
    y = flow_B2HW[:, 1].float() + torch.arange(height)[:, None]
    return x, y


def _in_cells(position_BHW: Tensor) -> Tensor:
    """(N,): the four pixels of a cell one behind the other."""
    batch, height, width = position_BHW.shape
    # Two numbers are moved as one.
    cells = position_BHW.view(torch.complex64).view(batch, height // 2, 2, width // 2)
    return cells.transpose(2, 3).reshape(-1).view(torch.float32)


def _two_nearest(position_N: Tensor, size: int, padding: Padding) -> tuple[Tensor, Tensor]:
    """The pixels before and behind each position on an axis, (2, N) int32, and their weights."""
    beyond = 0 if padding == "border" else 1
    position_N = position_N.clamp(-beyond, size - 1 + beyond)
    # What is no number stays so in the weights; as a place it must be one.
    before = torch.nan_to_num(position_N).floor_()
    share = position_N - before
    wanted = torch.stack([before, before + 1])
    there = wanted.clamp(0, size - 1)
    weights = torch.stack([1 - share, share]).mul_(there == wanted)
    return there.int(), weights


def _in_their_image(rows_2N: Tensor, batch: int, per_image: int) -> Tensor:
    """(2, N): rows of the table, given rows of each image; changed."""
    starts = torch.arange(batch, dtype=torch.int32) * per_image
    return rows_2N.view(2, batch, -1).add_(starts[:, None]).view(2, -1)


def _table(feat_BKHW: Tensor, per_row: int) -> Tensor:
    return feat_BKHW.float().permute(0, 2, 3, 1).reshape(-1, per_row)


def _weighted_sums(
    table_RK: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor]
) -> Tensor:
    """(N, K): of each place's four pixels, given by row and column (2, N) with their weights."""
    pixels = _of_all_four(torch.add, rows[0], columns[0])
    weights = _of_all_four(torch.mul, rows[1], columns[1])
    return F.embedding_bag(pixels, table_RK, mode="sum", per_sample_weights=weights)


def _of_all_four(combine: Callable[..., Tensor], rows_2N: Tensor, columns_2N: Tensor) -> Tensor:
    """(N, 4): each row with each column, written where it belongs."""
    found = rows_2N.new_empty(rows_2N.shape[1], 4)
    for i, (row, column) in enumerate(itertools.product(rows_2N, columns_2N)):
        combine(row, column, out=found[:, i])
    return found
