"""Pieces of HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vsr.evaluation.table import Table


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page, in which nothing is loaded from elsewhere; empty sections are left out."""
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )


def image(png: str, text: str, caption: str, kind: str) -> str:
    """A picture inside the page.

    Args:
        png: The file in base64.
        text: Description for those who cannot see it.
        caption: Text below it.
        kind: Class of the element in the style sheet.
    """
    return (
        f'<figure><img class="{kind}" alt="{escape(text)}" src="data:image/png;base64,{png}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(content: Table, *, last: str = "", first: int = 0, text: Sequence[int] = ()) -> str:
    """A table that scrolls on its own where the screen is narrow.

    Args:
        content: Headings and rows.
        last: Class of the last row.
        first: Number of rows, from the first, that belong to this run.
        text: Columns that hold words.
    """
    headings, rows = content
    kinds = ['class="text"' if i in text else "" for i in range(len(headings))]
    head = "".join(f"<th {k}>{escape(h)}</th>" for h, k in zip(headings, kinds, strict=True))
    body = []
    for i, row in enumerate(rows):
        kind = last if i == len(rows) - 1 else ""
        kind = "own" if i < first else kind
        cells = "".join(f"<td {k}>{escape(c)}</td>" for c, k in zip(row, kinds, strict=True))
        body.append(f'<tr class="{kind}">{cells}</tr>')
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def facts(named: Mapping[str, Any]) -> str:
    """A list of facts, name by name."""
    shown = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(_words(value))}</dd>"
        for key, value in named.items()
    )
    return f'<dl class="facts">{shown}</dl>'


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


WIDTH, HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 8, 10, 24

Series = Mapping[str, Sequence[float | None]]
"""Values in order, by the name of a line; gaps are left out."""


def line_chart(series: Series, *, names: Sequence[str], unit: str, label: str) -> str:
    """Draw values of consecutive frames.

    Args:
        series: One or two lines, drawn in the colours of the classes ``line-0`` and ``line-1``.
        names: Names of the values, shown at the pointer.
        unit: Unit of the values.
        label: Description of the chart for those who cannot see it.
    """
    finite = [v for values in series.values() for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return f"<p>{escape(label)}: no finite value to draw</p>"
    ticks = _ticks(min(finite), max(finite))
    count = max(len(values) for values in series.values())
    parts = [_grid(ticks, count, names)]
    for number, (name, values) in enumerate(series.items()):
        points = [
            (_x(i, count), _y(value, ticks), names[i], value)
            for i, value in enumerate(values)
            if value is not None and math.isfinite(value)
        ]
        parts.append(_line(points, number))
        parts += [
            _dot(x, y, f"{frame}, {name}: {v:.3f} {unit}", number) for x, y, frame, v in points
        ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values that enclose a range."""
    rough = max(high - low, 0.003) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    last += first == last
    return [step * i for i in range(first, last + 1)]


def _grid(ticks: Sequence[float], count: int, names: Sequence[str]) -> str:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{_y(t, ticks):.1f}" '
        f'y2="{_y(t, ticks):.1f}"/><text x="{_LEFT - 6}" y="{_y(t, ticks) + 4:.1f}" '
        f'text-anchor="end">{t:.{digits}f}</text>'
        for t in ticks
    ]
    ends = [(0, "start"), (count - 1, "end")] if count > 1 else [(0, "middle")]
    lines += [
        f'<text x="{_x(i, count):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
        f"{escape(names[i])}</text>"
        for i, anchor in ends
    ]
    return "".join(lines)


def _line(points: Sequence[tuple[float, float, str, float]], number: int) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    return f'<polyline class="line-{number}" points="{path}"/>'


def _dot(x: float, y: float, text: str, number: int) -> str:
    return (
        f'<circle class="line-{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
        f"<title>{escape(text)}</title></circle>"
    )


def _x(index: int, count: int) -> float:
    if count == 1:
        return (_LEFT + WIDTH - _RIGHT) / 2
    return _LEFT + index * (WIDTH - _LEFT - _RIGHT) / (count - 1)


def _y(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)
