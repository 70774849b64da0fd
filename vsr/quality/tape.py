"""VHS tape: reduced chroma, soft luma and line jitter.

T frames, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.quality.filters import LUMA

JITTER_SIGMA = 6.0
"""Rows over which neighbouring lines tremble alike."""


def play_tape(
    frames: Tensor,
    rng: torch.Generator,
    *,
    luma_sigma: float = 1.2,
    chroma_sigma: float = 5.0,
    chroma_shift: int = 2,
    jitter_px: float = 0.4,
) -> Tensor:
    """Show frames as they come from tape.

    Args:
        frames: (T, 3, H, W) in [0, 1].
        rng: Source of the lines' trembling.
        luma_sigma: Standard deviation of luma's horizontal blur, in pixels.
        chroma_sigma: The same of chroma.
        chroma_shift: Pixels by which chroma lies to the right of luma.
        jitter_px: Standard deviation of a line's horizontal displacement, in pixels.

    Returns:
        (T, 3, H, W), not clipped.
    """
    grey = (frames * frames.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    colour = _along_rows(frames - grey, chroma_sigma).roll(chroma_shift, -1)
    return _tremble(_along_rows(grey, luma_sigma) + colour, jitter_px, rng)


def _along_rows(frames: Tensor, sigma: float) -> Tensor:
    """A horizontal Gaussian; borders are repeated."""
    radius = max(1, round(3 * sigma))
    place = torch.arange(-radius, radius + 1, dtype=frames.dtype)
    kernel = torch.exp(-(place**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(frames.shape[1], -1, -1, -1)
    framed = F.pad(frames, (radius, radius, 0, 0), mode="replicate")
    return F.conv2d(framed, kernel.to(frames), groups=frames.shape[1])


def _tremble(frames: Tensor, jitter_px: float, rng: torch.Generator) -> Tensor:
    """Displace each row, neighbouring rows alike."""
    count, _, height, width = frames.shape
    noise = torch.randn((count, 1, 1, height), generator=rng)
    offsets = _along_rows(noise, JITTER_SIGMA)
    offsets = offsets / offsets.std().clamp(min=1e-6) * jitter_px
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    shifted = x + offsets.view(count, height, 1) * 2 / max(width - 1, 1)
    grid = torch.stack([shifted, y.expand_as(shifted)], -1).to(frames)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=True)
