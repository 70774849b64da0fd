"""Pieces of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vsr.evaluation.table import Table


def image(png: str, text: str, caption: str, kind: str) -> str:
    """A picture inside the page.

    Args:
        png: The file in base64.
        text: For those who cannot see it.
        caption: Below it.
        kind: Its class.
    """
    return (
        f'<figure><img class="{kind}" alt="{escape(text)}" src="data:image/png;base64,{png}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(content: Table, *, last: str = "", first: int = 0, text: Sequence[int] = ()) -> str:
    """A table that scrolls by itself where the screen is narrow.

    Args:
        content: Headings and rows.
        last: Class of the last row.
        first: How many rows, from the first, are this run's own.
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
    """What is known, name by name."""
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
