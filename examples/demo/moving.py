"""Moving parts of the street: a tram, a balloon, the clock's hands; and the lettering."""

from __future__ import annotations

import math

from torch import Tensor

from examples.demo.houses import INK
from examples.demo.paint import Canvas, Colour, shade

TRAM_WIDTH, TRAM_HEIGHT = 800, 196
BALLOON_WIDTH, BALLOON_HEIGHT = 110, 160
DIAL = 130
TICKER_HEIGHT = 50
TICKER_PERIOD = 2500
"""Pixels after which the news begin again."""
_NEWS = (
    "HARBOUR NEWS    the ferry leaves at half past nine    +++    every frame of this clip is"
    " painted, filtered down and compressed, then restored    +++    wind from the west, 14 knots"
    "    +++    the concert on the 18th is sold out    +++"
)
_COATS = ((96, 74, 90), (60, 84, 110), (120, 110, 90), (110, 54, 48))
_RED, _CREAM, _GLASS = (168, 44, 40), (236, 228, 206), (58, 74, 88)


def paint_tram() -> Tensor:
    """Give a tram that drives to the left, (4, …) over TRAM_WIDTH x TRAM_HEIGHT pixels."""
    canvas = Canvas(TRAM_WIDTH, TRAM_HEIGHT)
    for wheel in (110, 190, 610, 690):
        canvas.ellipse((wheel, 176), (19, 19), (44, 42, 44))
        canvas.ellipse((wheel, 176), (11, 11), (120, 118, 116))
    canvas.polygon([(24, 14), (776, 14), (796, 90), (796, 172), (4, 172), (4, 90)], _CREAM)
    canvas.rectangle(4, 112, 792, 52, _RED)
    canvas.rectangle(4, 108, 792, 3, (90, 30, 28))
    canvas.rectangle(14, 164, 772, 12, (58, 54, 54))
    canvas.rectangle(20, 8, 760, 8, (120, 116, 110))
    for pane in range(9):
        _pane(canvas, 30 + pane * 84)
    canvas.text((160, 138), "CITY TRAMWAYS", 22, _CREAM, bold=0.3)
    canvas.text((420, 130), "new: night service until 1:30", 14, _CREAM)
    canvas.text((420, 149), "Friday and Saturday, all lines", 11, _CREAM)
    canvas.text((660, 138), "No. 2047", 22, _CREAM, bold=0.3)
    canvas.rectangle(316, 18, 168, 24, (24, 24, 26))
    canvas.text((400, 30), "5  HARBOUR", 19, (255, 176, 60), bold=0.4)
    return canvas.finish(grain=0.02)


def _pane(canvas: Canvas, left: float) -> None:
    canvas.rectangle(left, 46, 70, 54, _GLASS)
    for seat in (20, 50):
        if canvas.random.uniform() < 0.7:
            _passenger(canvas, left + seat + canvas.random.uniform(-3, 3))
    glint = [(left, 100), (left + 34, 46), (left + 48, 46), (left + 14, 100)]
    canvas.polygon(glint, (235, 240, 250, 44))


def _passenger(canvas: Canvas, x: float) -> None:
    head = 76 + canvas.random.uniform(-4, 3)
    coat = [(x - 14, 100), (x - 8, head + 10), (x + 8, head + 10), (x + 14, 100)]
    canvas.polygon(
        coat, shade(_COATS[canvas.random.integers(len(_COATS))], canvas.random.uniform(0.6, 1))
    )
    canvas.ellipse((x, head), (7, 8.5), shade((206, 164, 138), canvas.random.uniform(0.5, 1.1)))
    canvas.ellipse((x, head - 6), (7.5, 5), shade((110, 80, 60), canvas.random.uniform(0.3, 1.4)))


def paint_balloon() -> Tensor:
    """Give a striped balloon, (4, …) over BALLOON_WIDTH x BALLOON_HEIGHT pixels."""
    canvas = Canvas(BALLOON_WIDTH, BALLOON_HEIGHT)
    stripes: tuple[Colour, ...] = ((206, 84, 50), (240, 220, 170), (60, 104, 130))
    for index, radius in enumerate((50, 41, 32, 23, 14, 5)):
        canvas.ellipse((55, 54), (radius, 52), stripes[index % 3])
    canvas.polygon([(30, 98), (80, 98), (66, 124), (44, 124)], stripes[0])
    for rope in (45, 51, 59, 65):
        canvas.line([(rope, 124), (50 + (rope - 50) * 0.7, 140)], 0.8, INK)
    canvas.rectangle(46, 140, 18, 14, (112, 80, 50))
    return canvas.finish(grain=0.02)


def paint_hands(seconds: float) -> Tensor:
    """Give the clock's hands at so many seconds past 10:09, (4, …) over DIAL x DIAL pixels."""
    canvas = Canvas(DIAL, DIAL)
    now = 10 * 3600 + 9 * 60 + seconds
    for turns, length, width in ((now / 43200, 32, 5), (now / 3600, 50, 3.4)):
        _hand(canvas, turns, length, width, INK)
    _hand(canvas, now / 60, 56, 1.6, _RED)
    canvas.ellipse((DIAL / 2, DIAL / 2), (4, 4), _RED)
    return canvas.finish()


def _hand(canvas: Canvas, turns: float, length: float, width: float, colour: Colour) -> None:
    sine, cosine, middle = math.sin(math.tau * turns), -math.cos(math.tau * turns), DIAL / 2
    tail = (middle - 10 * sine, middle - 10 * cosine)
    canvas.line([tail, (middle + length * sine, middle + length * cosine)], width, colour)


def paint_ticker() -> Tensor:
    """Give the band of news that runs through the picture's lower edge, two periods long."""
    width = 2 * TICKER_PERIOD
    canvas = Canvas(width, TICKER_HEIGHT)
    canvas.rectangle(0, 0, width, TICKER_HEIGHT, (22, 30, 44))
    canvas.rectangle(0, 0, width, 2, (214, 168, 82))
    for start in (0, TICKER_PERIOD):
        canvas.text((start, TICKER_HEIGHT / 2 + 1), _NEWS, 24, (240, 238, 230), anchor="lm")
    return canvas.finish()


def paint_counter(frame: int, rate: int) -> Tensor:
    """Give the clip's time and frame number, in two sizes."""
    canvas = Canvas(196, 58)
    canvas.rectangle(0, 0, 196, 58, (22, 30, 44))
    canvas.text(
        (98, 19), f"00:{frame // rate:02}.{frame % rate * 100 // rate:02}", 24, (255, 224, 150)
    )
    canvas.text((98, 44), f"frame {frame:04}", 14, (220, 222, 224))
    return canvas.finish()
