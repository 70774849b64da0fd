"""Kernels of a lens out of focus and of motion: how wide they are, and in which direction."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vsr.quality.blur_kernels import disc, line


def spread(kernel: Tensor) -> tuple[float, float]:
    """Standard deviations along columns and rows, in pixels."""
    places = torch.arange(len(kernel)).double() - len(kernel) // 2
    return tuple(float((kernel.sum(axis) * places.square()).sum().sqrt()) for axis in (0, 1))  # type: ignore[return-value]


@pytest.mark.parametrize("radius", [2.0, 4.0, 6.0])
def test_a_disc_is_as_wide_in_both_directions_as_its_radius_says(radius: float) -> None:
    kernel = disc(21, radius)
    assert kernel.sum() == pytest.approx(1)
    assert spread(kernel) == pytest.approx((radius / 2, radius / 2), rel=0.07)


@pytest.mark.parametrize(("angle", "along"), [(0.0, 0), (math.pi / 2, 1)])
def test_a_line_is_long_in_its_direction_alone(angle: float, along: int) -> None:
    kernel = line(21, 12, angle)
    assert kernel.sum() == pytest.approx(1)
    deviations = spread(kernel)
    assert deviations[along] == pytest.approx(12 / math.sqrt(12), rel=0.03)
    assert deviations[1 - along] < 0.5
