"""The demo's ground truth: a camera moves through a painted street.

Every frame is a function of its number alone. Parts of the picture hold twice the elements that a
frame has pixels and nothing that a frame could not resolve, so that frames sampled from them at any
position move exactly and do not alias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from examples.demo import moving
from examples.demo.houses import CLOCK
from examples.demo.paint import DENSITY
from examples.demo.street import RAILS, STREET_WIDTH, paint_sky, paint_street

WIDTH, HEIGHT, FRAME_RATE = 1280, 720, 25


@dataclass(frozen=True, kw_only=True, eq=False)
class Sprite:
    """A painted part of the picture.

    Attributes:
        image: (4, rows, columns), RGB multiplied by the alpha that follows it.
        left: Place of its left edge, in pixels of the street.
        top: Place of its upper edge.
        density: Elements of the image per pixel.
    """

    image: Tensor
    left: float = 0
    top: float = 0
    density: float = DENSITY

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        rows, columns = self.image.shape[-2:]
        return columns / self.density, rows / self.density


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the clip's middle lies in the street, and how it is turned (radians) and enlarged."""

    x: float = WIDTH / 2
    y: float = HEIGHT / 2
    zoom: float = 1
    angle: float = 0

    def street_from_clip(self) -> Tensor:
        """Give the (3, 3) matrix that takes places in the clip to places in the street."""
        cosine, sine = math.cos(self.angle) / self.zoom, math.sin(self.angle) / self.zoom
        turn = torch.tensor([[cosine, -sine, self.x], [sine, cosine, self.y], [0, 0, 1]]).double()
        return turn @ _scale_shift(1, 1, -WIDTH / 2, -HEIGHT / 2)


def camera_at(seconds: float) -> Camera:
    """Give the camera's place: a slow way through the street and back, never quite steady."""
    way = 0.5 - 0.5 * math.cos(math.pi * (seconds + 0.6) / 5.2)
    return Camera(
        x=745 + 320 * way + 3 * math.sin(2.1 * seconds) + 1.1 * math.sin(5.3 * seconds + 1),
        y=490 + 18 * way + 2 * math.sin(2.7 * seconds + 2) + 0.8 * math.sin(6.1 * seconds),
        zoom=0.95 + 0.12 * way,
        angle=math.radians(1.3) * math.sin(0.9 * seconds - 0.8),
    )


class DemoClip:
    """The painted parts, and the frames and sound they make."""

    def __init__(self) -> None:
        self._sky = Sprite(image=paint_sky(), density=1)
        self._street = Sprite(image=paint_street())
        self._tram = Sprite(image=moving.paint_tram(), top=RAILS[1] - moving.TRAM_HEIGHT)
        self._balloon = Sprite(image=moving.paint_balloon())
        self._ticker = Sprite(image=moving.paint_ticker(), top=HEIGHT - moving.TICKER_HEIGHT)

    def frame(self, index: int) -> Tensor:
        """Render one frame, (3, HEIGHT, WIDTH), RGB in [0, 1]."""
        frame = torch.zeros(3, HEIGHT, WIDTH)
        for sprite, camera in [*self._scenery(index / FRAME_RATE), *self._lettering(index)]:
            draw(frame, sprite, camera)
        return frame.clamp_(0, 1)

    def _scenery(self, seconds: float) -> list[tuple[Sprite, Camera]]:
        """Give what lies in the street, the farthest first."""
        camera = camera_at(seconds)
        # Things far away follow the camera less.
        far = replace(camera, x=STREET_WIDTH / 2 + 0.7 * (camera.x - STREET_WIDTH / 2))
        drift, rise = 60 * math.cos(0.4 * seconds), 40 * math.sin(0.3 * seconds)
        hands = Sprite(
            image=moving.paint_hands(seconds),
            left=CLOCK[0] - moving.DIAL / 2,
            top=CLOCK[1] - moving.DIAL / 2,
        )
        return [
            (self._sky, far),
            (replace(self._balloon, left=580 - drift, top=130 - rise), far),
            (self._street, camera),
            (hands, camera),
            (replace(self._tram, left=1900 - (172 * seconds + 560) % 2800), camera),
        ]

    def _lettering(self, index: int) -> list[tuple[Sprite, Camera]]:
        """Give what lies over the picture and does not follow the camera."""
        scrolled = 83.7 * index / FRAME_RATE % moving.TICKER_PERIOD
        counter = moving.paint_counter(index, FRAME_RATE)
        return [
            (replace(self._ticker, left=-scrolled), Camera()),
            (Sprite(image=counter, left=WIDTH - 226, top=24), Camera()),
        ]


def draw(frame: Tensor, sprite: Sprite, camera: Camera) -> None:
    """Lay a sprite over a frame, in place: bilinear, nothing outside."""
    street_from_clip = camera.street_from_clip()
    left, top, right, bottom = _reach(sprite, torch.linalg.inv(street_from_clip), frame)
    if left >= right or top >= bottom:
        return
    sprite_from_street = _scale_shift(2 / sprite.size[0], 2 / sprite.size[1], -1, -1)
    sprite_from_street = sprite_from_street @ _scale_shift(1, 1, -sprite.left, -sprite.top)
    matrix = sprite_from_street @ street_from_clip
    columns, rows = torch.arange(left, right) + 0.5, torch.arange(top, bottom)[:, None] + 0.5
    grid = torch.stack(
        [float(a) * columns + float(b) * rows + float(c) for a, b, c in matrix[:2]], -1
    )
    drawn = grid_sample(sprite.image[None], grid[None], align_corners=False)[0]
    frame[:, top:bottom, left:right].mul_(1 - drawn[3:]).add_(drawn[:3])


def _reach(sprite: Sprite, clip_from_street: Tensor, frame: Tensor) -> tuple[int, int, int, int]:
    """Give left, top, right and bottom of the pixels that a sprite can touch, half open."""
    width, height = sprite.size
    xs = torch.tensor([0, width, 0, width]).double() + sprite.left
    ys = torch.tensor([0, 0, height, height]).double() + sprite.top
    corners = clip_from_street @ torch.stack([xs, ys, torch.ones_like(xs)])
    low, high = corners[:2].amin(dim=1), corners[:2].amax(dim=1)
    rows, columns = frame.shape[-2:]
    left, top = max(0, int(low[0]) - 1), max(0, int(low[1]) - 1)
    return left, top, min(columns, int(high[0]) + 2), min(rows, int(high[1]) + 2)


def _scale_shift(x: float, y: float, right: float = 0, down: float = 0) -> Tensor:
    return torch.tensor([[x, 0, right], [0, y, down], [0, 0, 1]]).double()
