"""Images in cells: channels-last, where the channels are the c x c pixels of a cell.

A pixel (un)shuffle moves single numbers between planes. Where an image is made in cells to begin
with, by a convolution or by sampling at places that are in cells, nothing has to move at all.

B batch, K features or colours, H, W image size, h, w cells; c side of a cell, in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_AS = {2: torch.complex64, 4: torch.complex128}
"""Numbers as long as c float32 pixels: what moves a cell's row at once."""


def doubled_cells(framed_BKHW: Tensor, cell: int) -> Tensor:
    """Images enlarged bilinearly by 2, in cells.

    Args:
        framed_BKHW: Float32, with a border of one pixel around it.
        cell: c, 2 or 4. Without the frame H and W are multiples of c / 2.

    Returns:
        (B, h, w, c, c, K) with h = 2 H / c and w = 2 W / c of H and W without the frame.
    """
    # A clone, since a single channel would be taken for planes.
    images = framed_BKHW.clone(memory_format=torch.channels_last)
    kernel = _enlarging(cell, images.shape[1], images.device)
    found = F.conv2d(images, kernel, stride=cell // 2).permute(0, 2, 3, 1)
    return found.reshape(*found.shape[:3], cell, cell, images.shape[1])


def _enlarging(cell: int, num_feat: int, device: torch.device) -> Tensor:
    """(c² K, K, c / 2 + 2, c / 2 + 2): how each pixel of a cell weighs those around."""
    places = (torch.arange(cell, device=device) + 0.5) / 2 - 0.5
    taps = 1 - (places[:, None] - torch.arange(-1, cell // 2 + 1, device=device)).abs()
    taps, each = taps.clamp(min=0), torch.eye(num_feat, device=device)
    weights = torch.einsum("py,qx,io->pqioyx", taps, taps, each)
    return weights.flatten(0, 2)


def pixel_shuffled(feat_BKhw: Tensor) -> Tensor:
    """Features in cells of 2 x 2 pixels, pixel by pixel, as an image: (B, K / 4, 2 h, 2 w)."""
    batch, num_feat, height, width = feat_BKhw.shape
    rows = feat_BKhw.permute(0, 2, 3, 1).reshape(batch, height, width, 2, num_feat // 2)
    image = rows.transpose(2, 3).reshape(batch, 2 * height, 2 * width, num_feat // 4)
    return image.permute(0, 3, 1, 2)


def into_image(cells_BKHW: Tensor, image_BKHW: Tensor) -> None:
    """A pixel shuffle, written into place: (B, K c², h, w) into (B, K, c h, c w)."""
    batch, num_feat, *_ = image_BKHW.shape
    height, width = cells_BKHW.shape[-2:]
    cell = image_BKHW.shape[-1] // width
    pixels = cells_BKHW.permute(0, 2, 3, 1).contiguous()
    cells = pixels.view(batch, height, width, num_feat, cell, cell)
    image = image_BKHW.view(batch, num_feat, height, cell, width, cell)
    number = ROWS_AS.get(cell)
    if number and cells.dtype == image.dtype == torch.float32 and not torch.is_grad_enabled():
        cells, image = cells.view(number), image.view(number)
    image.copy_(cells.permute(0, 3, 1, 4, 2, 5))


def to_image(cells_Bchw: Tensor) -> Tensor:
    """The same for brightness alone, (B, c², h, w) to (B, 1, c h, c w)."""
    batch, squared, height, width = cells_Bchw.shape
    cell = round(squared**0.5)
    image = cells_Bchw.new_empty((batch, 1, cell * height, cell * width))
    into_image(cells_Bchw, image)
    return image
