"""Raw samples of pictures, for tests of the colour conversion."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.streams.colour.pixel_format import PixelFormat, parse_pixel_format
from vsr.types import Colour

HEIGHT, WIDTH = 96, 128


def known(name: str) -> PixelFormat:
    found = parse_pixel_format(name)
    assert found is not None
    return found


def tags(matrix: str = "bt709", colour_range: str = "tv", location: str = "left") -> Colour:
    return Colour(matrix=matrix, range=colour_range, chroma_location=location)


def soft_picture(height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Random colours without detail finer than chroma can hold: (1, 3, H, W)."""
    grid = torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(5))
    return F.interpolate(grid, (height, width), mode="bicubic", align_corners=True).clamp(
        0.02, 0.98
    )


def planes_of(samples: Tensor, pixel_format: PixelFormat, height: int, width: int) -> list[Tensor]:
    """Cut raw frames into planes: (T, rows, columns) each."""
    planes, start = [], 0
    for shape in pixel_format.plane_shapes(height, width):
        size = torch.Size(shape).numel()
        planes.append(samples[:, start : start + size].reshape(-1, *shape))
        start += size
    return planes


def noise(pixel_format: PixelFormat, height: int, width: int) -> Tensor:
    """Raw frames of random samples."""
    size = sum(torch.Size(shape).numel() for shape in pixel_format.plane_shapes(height, width))
    values = torch.randint(0, 1 << pixel_format.bits, (2, size), dtype=torch.int32)
    return values.to(pixel_format.dtype)
