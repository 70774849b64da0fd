"""The street's buildings: houses with windows and shops, a clock tower, a calendar on a wall."""

from __future__ import annotations

import math

from examples.demo.paint import Canvas, Colour, shade

GROUND = 740
"""Where houses end and the road begins."""
CLOCK = (862.0, 236.0)
"""The middle of the tower's clock; its hands move and are no part of the street."""
INK: Colour = (42, 38, 36)

_CREAM: Colour = (232, 224, 204)
_GLASS: Colour = (52, 66, 82)
_SHADOW: Colour = (24, 20, 24, 80)
_GOODS = (
    (196, 160, 112),
    (150, 84, 62),
    (96, 112, 88),
    (218, 204, 172),
    (92, 100, 122),
    (170, 128, 70),
)
_FLOOR_HEIGHT, _SHOP_HEIGHT = 104, 142


def paint_house(canvas: Canvas, left: int, top: int, width: int, colour: Colour) -> None:
    """Paint plaster, roof and windows."""
    canvas.rectangle(left, top, width, GROUND - top, colour)
    _finish_house(canvas, left, top, width)


def paint_brick_house(canvas: Canvas, left: int, top: int, width: int, colour: Colour) -> None:
    """Paint bricks, roof and windows."""
    canvas.rectangle(left, top, width, GROUND - top, (172, 162, 148))
    for row in range((GROUND - top) // 6):
        _course(canvas, (left, top, width), row, (16, 6), colour)
    _finish_house(canvas, left, top, width)


def _course(
    canvas: Canvas,
    wall: tuple[int, int, int],
    row: int,
    stone: tuple[int, int],
    colour: Colour,
) -> None:
    """Lay one row of stones, every one a little different.

    Args:
        canvas: Painted on.
        wall: Left, top and width.
        row: Counted from the top; every other is shifted by half a stone.
        stone: Width and height with the mortar.
        colour: Colour of an average stone.
    """
    left, right, y = wall[0], wall[0] + wall[2], wall[1] + row * stone[1]
    for x in range(left - row % 2 * stone[0] // 2, right, stone[0]):
        start, end = max(x, left), min(x + stone[0] - 1, right)
        tone = shade(colour, canvas.random.uniform(0.8, 1.2))
        canvas.rectangle(start, y, end - start, stone[1] - 1, tone)


def _finish_house(canvas: Canvas, left: int, top: int, width: int) -> None:
    _roof(canvas, left, top, width)
    columns = width // 84
    pitch = width / columns
    for floor in range((GROUND - _SHOP_HEIGHT - top) // _FLOOR_HEIGHT):
        for column in range(columns):
            x, y = left + pitch * (column + 0.5), top + 34 + floor * _FLOOR_HEIGHT
            _window(canvas, x, y, shade(_GLASS, canvas.random.uniform(0.7, 1.5)))
    canvas.rectangle(left, top, width, 12, _SHADOW)
    canvas.rectangle(left + width - 8, top, 8, GROUND - top, _SHADOW)


def _roof(canvas: Canvas, left: int, top: int, width: int) -> None:
    slate, right = (92, 84, 86), left + width
    eaves, ridge = (left - 12, right + 12), (left + 26, right - 26)
    canvas.polygon(
        [(eaves[0], top), (ridge[0], top - 62), (ridge[1], top - 62), (eaves[1], top)], slate
    )
    for row in range(9):
        y, inset = top - 62 + row * 7, 26 - 38 * (row + 1) / 9
        for x in range(int(left + inset + (row % 2) * 5), int(right - inset - 10), 10):
            canvas.ellipse((x + 5, y + 2), (5, 5), shade(slate, canvas.random.uniform(0.75, 1.3)))
    canvas.rectangle(left - 14, top - 4, width + 28, 9, _CREAM)
    for x in range(left - 10, right + 10, 8):
        canvas.rectangle(x, top, 4, 4, (120, 108, 96))


def _window(canvas: Canvas, x: float, y: float, glass: Colour) -> None:
    canvas.rectangle(x - 23, y - 3, 46, 74, _CREAM)
    canvas.rectangle(x - 19, y, 38, 66, glass)
    glint = [(x - 19, y + 66), (x - 19, y + 30), (x + 15, y), (x + 19, y)]
    canvas.polygon(glint, (190, 210, 230, 50))
    for side in (-1, 1):
        hem = [(x + side * a, y + b) for a, b in ((19, 0), (4, 0), (14, 50), (19, 50))]
        canvas.polygon(hem, (230, 222, 208, 150))
    canvas.rectangle(x - 1.5, y, 3, 66, _CREAM)
    canvas.rectangle(x - 19, y + 22, 38, 2.5, _CREAM)
    canvas.rectangle(x - 27, y + 68, 54, 5, shade(_CREAM, 0.8))
    canvas.rectangle(x - 24, y + 73, 48, 4, _SHADOW)
    for bar in range(13):
        across = x - 26 + bar * 4.33
        canvas.line([(across, y + 52), (across, y + 69)], 1, INK)
    canvas.line([(x - 28, y + 52), (x + 28, y + 52)], 1.6, INK)


def paint_shop(canvas: Canvas, left: int, width: int, name: str, colour: Colour) -> None:
    """Paint a shop front with its name, an awning and three windows."""
    top = GROUND - _SHOP_HEIGHT
    canvas.rectangle(left, top, width, _SHOP_HEIGHT, colour)
    canvas.text((left + width / 2, top + 19), name, 25, (250, 236, 190), bold=0.4)
    pitch = (width - 12) / 3
    for pane in range(3):
        _display(canvas, left + 12 + pane * pitch, top + 60, pitch - 12)
    for stripe in range(width // 10):
        x = left + stripe * 10
        tone = shade(_CREAM if stripe % 2 else colour, 1.1)
        cloth = [(x, top + 38), (x + 10, top + 38), (x + 9, top + 60), (x - 1, top + 60)]
        canvas.polygon(cloth, tone)
        canvas.ellipse((x + 4, top + 60), (5, 4), shade(tone, 0.85))


def _display(canvas: Canvas, x: float, y: float, width: float) -> None:
    canvas.rectangle(x, y, width, 72, (70, 64, 58))
    for shelf in (36, 66):
        for item in range(int(width / 9)):
            tone = shade(
                _GOODS[canvas.random.integers(len(_GOODS))], canvas.random.uniform(0.7, 1.1)
            )
            tall = canvas.random.uniform(9, 20)
            canvas.rectangle(x + 3 + item * 9, y + shelf - tall, 7, tall, tone)
        canvas.rectangle(x, y + shelf, width, 3, (142, 110, 78))
    slant = [(x, y + 72), (x + width * 0.5, y), (x + width * 0.7, y), (x + width * 0.2, y + 72)]
    canvas.polygon(slant, (235, 240, 250, 46))
    canvas.rectangle(x + width / 2 - 42, y + 40, 84, 14, _CREAM)
    canvas.text((x + width / 2, y + 47), "open 8:30 - 18:45", 9.5, INK)


def paint_tower(canvas: Canvas) -> None:
    """Paint the tower that carries the clock."""
    left, width, top, stone = 770, 185, 150, (186, 174, 150)
    peak = (left + width / 2, top - 120)
    canvas.polygon([(left - 10, top), peak, (left + width + 10, top)], (84, 116, 104))
    for rib in range(1, 12):
        canvas.line([(left - 10 + rib * 17, top), peak], 1, (58, 84, 76))
    canvas.rectangle(left, top, width, GROUND - top, shade(stone, 0.72))
    for row in range((GROUND - top) // 16):
        _course(canvas, (left, top, width), row, (36, 16), stone)
    canvas.rectangle(left - 8, top + 168, width + 16, 10, shade(stone, 1.2))
    for x in (left + 46, left + 138):
        for y in (400, 530):
            _louvre(canvas, x, y)
    _clock_face(canvas)
    _door(canvas, left + width / 2)


def _louvre(canvas: Canvas, x: float, y: float) -> None:
    canvas.ellipse((x, y), (20, 20), (48, 44, 46))
    canvas.rectangle(x - 20, y, 40, 64, (48, 44, 46))
    for slat in range(10):
        canvas.rectangle(x - 18, y + slat * 6.2, 36, 2.2, (128, 116, 98))


def _door(canvas: Canvas, x: float) -> None:
    canvas.ellipse((x, GROUND - 90), (34, 34), (62, 46, 36))
    canvas.rectangle(x - 34, GROUND - 90, 68, 90, (62, 46, 36))
    for plank in range(9):
        canvas.rectangle(x - 33 + plank * 7.6, GROUND - 100, 1.2, 100, (34, 24, 18))


def _clock_face(canvas: Canvas) -> None:
    canvas.ellipse(CLOCK, (72, 72), (70, 60, 50))
    canvas.ellipse(CLOCK, (67, 67), (246, 240, 224))
    for minute in range(60):
        inner, width = (58, 2.2) if minute % 5 == 0 else (61, 1)
        canvas.line([_on_clock(minute, inner), _on_clock(minute, 64)], width, INK)
    for hour in range(1, 13):
        canvas.text(_on_clock(hour * 5, 48), str(hour), 15, INK, bold=0.25)


def _on_clock(minute: int, radius: float) -> tuple[float, float]:
    angle = math.tau * minute / 60
    return CLOCK[0] + radius * math.sin(angle), CLOCK[1] - radius * math.cos(angle)


def paint_calendar(canvas: Canvas, left: float, top: float) -> None:
    """Paint a month of concerts, in four sizes of type."""
    canvas.rectangle(left + 5, top + 6, 290, 236, _SHADOW)
    canvas.rectangle(left, top, 290, 236, (244, 240, 230))
    canvas.rectangle(left, top, 290, 46, (164, 44, 40))
    canvas.text((left + 145, top + 23), "MARCH  CONCERTS", 24, (250, 246, 236), bold=0.4)
    for column, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        canvas.text((left + 25 + column * 40, top + 57), name, 10.5, (110, 100, 96))
    for day in range(1, 32):
        row, column = divmod(day + 4, 7)
        place = (left + 25 + column * 40, top + 78 + row * 25)
        if day in (4, 12, 18, 27):
            canvas.ellipse(place, (12, 12), (240, 196, 92))
        canvas.text(place, str(day), 15, INK if column < 6 else (164, 44, 40))
    canvas.text((left + 145, top + 226), "tickets at the harbour office, doors at seven", 10, INK)
