"""Measurements of a few consecutive frames, from which degradations are estimated.

Each group says something about one kind of damage: noise is the variation in the flattest places,
blur and enlargement bend the spectrum and the structure function, block coding shows at its grid
and in the zeros of the transform it used.

T time, C colour, H, W size; N blocks or windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8
"""Side of the transform blocks of MPEG-2, MPEG-4 and JPEG; also the smaller grid of H.264."""

SPECTRUM_SIDE = 32
NUM_BANDS = 8
LAGS = (1, 2, 4, 8)
GRIDS = (4, 8, 16)
SHARES = (0.05, 0.2, 0.5)
"""Quantiles of blocks: the flattest or stillest ones, and the usual one."""

STEEP = (0.95, 0.99)
"""Quantiles of differences: the steepest edges."""

CHROMA = torch.tensor([0.564, 0.713]).view(2, 1, 1)
"""Cb over blue less luma, and Cr over red less luma."""

_SMALL = 1e-3
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in luma."""


def measure(frames: Tensor) -> Tensor:
    """Measure frames.

    Args:
        frames: (T, 3, H, W) in [0, 1], at least 2 frames, sides of at least 64.

    Returns:
        (NUM_FEATURES,), float32.
    """
    frames = frames.float() * 255
    weights = torch.tensor(LUMA, device=frames.device).view(1, 3, 1, 1)
    luma = (frames * weights).sum(1)
    chroma = torch.stack((frames[:, 2] - luma, frames[:, 0] - luma), 1).flatten(0, 1)
    parts = [
        _noise(luma),
        _noise(chroma),
        _noise_over_time(luma),
        _structure(luma),
        _spectrum(luma),
        _grid(luma),
        _transform_zeros(luma),
    ]
    return torch.cat(parts).cpu()


def colour_noise(frame: Tensor) -> float:
    """Standard deviation of the noise in Cb and Cr, in levels of 8 bits, in the flattest blocks.

    Of 2x2 pixels together, as 4:2:0 keeps them.

    Args:
        frame: (3, H, W) in [0, 1], sides of at least 64.
    """
    small = F.avg_pool2d(frame.float() * 255, 2)
    luma = (small * torch.tensor(LUMA, device=frame.device).view(3, 1, 1)).sum(0)
    blocks = _blocks(_diagonal(CHROMA * (small[[2, 0]] - luma)), BLOCK)
    levels = blocks.square().mean(-1).sqrt()
    return float(_quantiles(levels, SHARES[1:2]))


def _noise(planes: Tensor) -> Tensor:
    """Noise level by the diagonal Haar band: over all pixels, and in the flattest blocks."""
    diagonal = _diagonal(planes)
    everywhere = _median(diagonal.abs()) / 0.6745
    blocks = _blocks(diagonal, BLOCK).square().mean(-1).sqrt()
    return _log(torch.cat((everywhere.view(1), _quantiles(blocks, SHARES))))


def _diagonal(planes: Tensor) -> Tensor:
    """The diagonal Haar band at every place, which has the deviation of white noise."""
    upper, lower = planes[:, :-1], planes[:, 1:]
    return (upper[..., :-1] - upper[..., 1:] - lower[..., :-1] + lower[..., 1:]) / 2


def _noise_over_time(luma: Tensor) -> Tensor:
    """Change from frame to frame in the stillest blocks, and in the median block."""
    change = (luma[1:] - luma[:-1]) / math.sqrt(2)
    blocks = _blocks(change, BLOCK).square().mean(-1).sqrt()
    return _log(_quantiles(blocks, SHARES))


def _structure(luma: Tensor) -> Tensor:
    """Mean differences over growing distances, and how steep the steepest edges are."""
    across = [(luma[..., lag:] - luma[..., :-lag]).abs() for lag in LAGS]
    down = [(luma[:, lag:] - luma[:, :-lag]).abs() for lag in LAGS]
    means = torch.stack([(a.mean() + d.mean()) / 2 for a, d in zip(across, down, strict=True)])
    steep = torch.stack([_quantiles(a, STEEP) for a in across])
    second = (luma[..., 2:] - 2 * luma[..., 1:-1] + luma[..., :-2]).abs().mean().view(1)
    return torch.cat(
        (_log(means), _log(means[1:]) - _log(means[:-1]), _log(steep).flatten(), _log(second))
    )


def _spectrum(luma: Tensor) -> Tensor:
    """Energy in rings of spatial frequency, of the windows with most detail."""
    side = SPECTRUM_SIDE
    windows = luma[::2].unfold(1, side, side).unfold(2, side, side).reshape(-1, side, side)
    windows = windows - windows.mean((1, 2), keepdim=True)
    strongest = windows.square().mean((1, 2)).topk(max(1, len(windows) // 3)).indices
    bell = torch.hann_window(side, periodic=False, device=luma.device)
    energy = torch.fft.rfft2(windows[strongest] * (bell[:, None] * bell)).abs().square().mean(0)
    rows = torch.fft.fftfreq(side, device=luma.device)[:, None]
    columns = torch.fft.rfftfreq(side, device=luma.device)
    ring = ((rows.square() + columns.square()).sqrt() * 2 * NUM_BANDS).long().clamp(max=NUM_BANDS)
    bands = torch.stack([energy[ring == band].mean() for band in range(NUM_BANDS + 1)])
    return torch.cat((_log(bands), _log(bands[1:]) - _log(bands[:-1])))


def _grid(luma: Tensor) -> Tensor:
    """How much stronger steps are on the most visible grid of each size than between its lines."""
    across = (luma[..., 1:] - luma[..., :-1]).abs().mean((0, 1))
    down = (luma[:, 1:] - luma[:, :-1]).abs().mean((0, 2))
    return torch.cat([_contrast(steps, grid) for steps in (across, down) for grid in GRIDS])


def _contrast(steps: Tensor, grid: int) -> Tensor:
    usable = steps[: len(steps) // grid * grid].view(-1, grid).mean(0)
    return _log(usable.max()).view(1) - _log((usable.sum() - usable.max()) / (grid - 1)).view(1)


def _transform_zeros(luma: Tensor) -> Tensor:
    """Share of small transform coefficients by frequency, on the best grid and off it."""
    cosines = _cosines(luma.device)
    shares = [_zeros(luma[:, shift:, shift:], cosines) for shift in range(0, BLOCK, 2)]
    on, off = max(shares, key=lambda s: float(s.sum())), min(shares, key=lambda s: float(s.sum()))
    return torch.cat((on, on - off))


def _zeros(luma: Tensor, cosines: Tensor) -> Tensor:
    """By diagonal of the 8x8 transform, from low to high frequencies: (BLOCK - 1,)."""
    blocks = luma.unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK).reshape(-1, BLOCK, BLOCK)
    small = ((cosines @ blocks @ cosines.T).abs() < 1).float().mean(0)
    order = torch.arange(BLOCK, device=luma.device)
    diagonal = (order[:, None] + order) // 2
    return torch.stack([small[diagonal == d].mean() for d in range(1, BLOCK)])


def _cosines(device: torch.device) -> Tensor:
    """The orthonormal DCT-II, (BLOCK, BLOCK)."""
    places = torch.arange(BLOCK, device=device, dtype=torch.float32)
    matrix = torch.cos(math.pi / BLOCK * (places + 0.5) * places[:, None]) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix


def _blocks(planes: Tensor, side: int) -> Tensor:
    """(N, side²): the blocks of all planes."""
    return planes.unfold(1, side, side).unfold(2, side, side).reshape(-1, side * side)


def _thinned(values: Tensor, most: int = 1 << 16) -> Tensor:
    """Few enough values for a quantile, evenly chosen."""
    values = values.flatten()
    return values[:: -(-len(values) // most)]


def _quantiles(values: Tensor, shares: Sequence[float]) -> Tensor:
    """The values nearest to quantiles; picking is several times as fast as ``torch.quantile``."""
    thin = _thinned(values)
    return torch.stack([thin.kthvalue(1 + round(q * (len(thin) - 1))).values for q in shares])


def _median(values: Tensor) -> Tensor:
    return _thinned(values).median()


def _log(values: Tensor) -> Tensor:
    return torch.log(values + _SMALL)


NUM_FEATURES = 64
"""Length of what ``measure`` returns."""
