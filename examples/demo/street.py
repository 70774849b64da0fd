"""The demo's scenery: the sky, and a street with houses, trees and a tramway."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from examples.demo.houses import (
    GROUND,
    paint_brick_house,
    paint_calendar,
    paint_house,
    paint_shop,
    paint_tower,
)
from examples.demo.paint import Canvas, noise, shade

STREET_WIDTH, STREET_HEIGHT = 1840, 940
SKY_HEIGHT = 400
"""Down to where houses hide it everywhere."""
RAILS = (GROUND + 60, GROUND + 92)


def paint_sky() -> Tensor:
    """Give the sky, (4, SKY_HEIGHT, STREET_WIDTH): one element per pixel, it has no fine detail."""
    blue, haze = torch.tensor([0.36, 0.55, 0.78]), torch.tensor([0.80, 0.86, 0.88])
    white = torch.tensor([0.97, 0.96, 0.94])[:, None, None]
    down = torch.linspace(0, 1, SKY_HEIGHT)[:, None]
    sky = blue[:, None, None] * (1 - down) + haze[:, None, None] * down
    clouds = (
        noise(np.random.default_rng(1), SKY_HEIGHT, STREET_WIDTH, growth=1.7) * 0.5 - 0.1
    ).clamp(0, 0.85)
    return torch.cat([sky * (1 - clouds) + white * clouds, torch.ones(1, *clouds.shape)])


def paint_street() -> Tensor:
    """Give the near side of the street, transparent where the sky shows."""
    canvas = Canvas(STREET_WIDTH, STREET_HEIGHT)
    _road(canvas)
    paint_brick_house(canvas, -20, 250, 430, (142, 74, 58))
    paint_house(canvas, 410, 286, 360, (206, 176, 124))
    paint_house(canvas, 955, 262, 400, (138, 152, 160))
    paint_brick_house(canvas, 1355, 214, 500, (172, 130, 92))
    paint_tower(canvas)
    paint_shop(canvas, 20, 360, "BAKERY & CAFE", (112, 44, 40))
    paint_shop(canvas, 430, 320, "BOOKS AND MAPS", (38, 72, 62))
    paint_shop(canvas, 975, 360, "CLOCKS  RADIOS  LAMPS", (42, 54, 88))
    paint_shop(canvas, 1375, 400, "FLOWERS OF THE SEASON", (88, 62, 92))
    paint_calendar(canvas, 985, 356)
    for x, size in ((402, 1.0), (1378, 1.1), (1790, 1.2)):
        _tree(canvas, x, size)
    return canvas.finish(grain=0.045)


def _road(canvas: Canvas) -> None:
    canvas.rectangle(0, GROUND, STREET_WIDTH, STREET_HEIGHT - GROUND, (92, 88, 84))
    y, tall = float(GROUND), 5.0
    while y < STREET_HEIGHT:
        x = -float(canvas.random.uniform(0, 2 * tall))
        while x < STREET_WIDTH:
            wide = tall * canvas.random.uniform(1.5, 2.1)
            stone = shade((142, 136, 128), canvas.random.uniform(0.78, 1.12))
            canvas.rectangle(x + 0.5, y + 0.5, wide - 1, tall - 1, stone)
            x += wide
        y, tall = y + tall, tall * 1.09
    for rail in RAILS:
        canvas.rectangle(0, rail, STREET_WIDTH, 5, (70, 68, 68))
        canvas.rectangle(0, rail, STREET_WIDTH, 2, (196, 198, 200))


def _tree(canvas: Canvas, x: float, size: float) -> None:
    bark, crown = (84, 66, 50), GROUND - 250
    foot = GROUND + 12
    canvas.polygon([(x - 10, foot), (x - 6, crown), (x + 6, crown), (x + 10, foot)], bark)
    for _ in range(60):
        across, y = x + canvas.random.uniform(-7, 6), canvas.random.uniform(crown, GROUND)
        canvas.line(
            [(across, y), (across + 1, y + 14)], 1, shade(bark, canvas.random.uniform(0.6, 1.3))
        )
    for _ in range(44):
        angle, far = canvas.random.uniform(0, math.tau), math.sqrt(canvas.random.uniform(0, 1))
        branch_x = x + 76 * size * far * math.cos(angle)
        branch_y = crown - 30 + 105 * size * far * math.sin(angle)
        _leaves(canvas, branch_x, branch_y, 36 * size)


def _leaves(canvas: Canvas, x: float, y: float, radius: float) -> None:
    """Paint a branch's leaves, those at the upper left in the sun."""
    for _ in range(170):
        angle, far = (
            canvas.random.uniform(0, math.tau),
            radius * math.sqrt(canvas.random.uniform(0, 1)),
        )
        right, down = far * math.cos(angle), far * math.sin(angle)
        light = 0.85 - 0.35 * (right + 1.6 * down) / radius + canvas.random.normal(0, 0.16)
        green = shade((round(88 + 26 * canvas.random.uniform()), 120, 58), max(0.25, light))
        _leaf(canvas, x + right, y + down, canvas.random.uniform(0, math.tau), green)


def _leaf(canvas: Canvas, x: float, y: float, angle: float, colour: tuple[int, int, int]) -> None:
    sine, cosine = math.sin(angle), math.cos(angle)
    shape = ((-4.2, 0), (0, -1.9), (4.2, 0), (0, 1.9))
    canvas.polygon(
        [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in shape], colour
    )
