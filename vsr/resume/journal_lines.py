"""The lines of a journal: what the run was asked for, a line per border, and that all is whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

FORMAT = 2
_FORMAT, _SEALED = "format", "sealed"


@dataclass(frozen=True, kw_only=True)
class Border:
    """A moment between two steps from which another run can go on.

    Attributes:
        number: 1 for the first.
        frames: Restored before it.
        packets: Copied packets that the segments before it hold.
        segment: Name of the segment that ends here; empty where frames are files.
        size: Bytes of that segment.
        state: Name of the network's state; empty where the next frame starts a scene.
        marks: Name of the scenes' marks.
    """

    number: int
    frames: int
    packets: int = 0
    segment: str = ""
    size: int = 0
    state: str = ""
    marks: str = ""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a journal says.

    Attributes:
        header: What the run was asked for.
        borders: What is done.
        sealed: Frames of the output, where that was whole and only needed its name.
        size: Bytes of the lines that were written to their end.
    """

    header: dict[str, Any]
    borders: list[Border]
    sealed: int | None
    size: int


def header_line(header: dict[str, Any]) -> bytes:
    """The first line."""
    return _line({_FORMAT: FORMAT, **header})


def border_line(border: Border) -> bytes:
    """A line of what is done."""
    return _line(asdict(border))


def sealed_line(frames: int) -> bytes:
    """The last line."""
    return _line({_SEALED: frames})


def parse(content: bytes) -> Content:
    """Read a journal's lines, up to the first that was not written to its end.

    Raises:
        ValueError: It is damaged, or of another format; the message says where.
    """
    size = content.rfind(b"\n") + 1
    lines = [_parsed(line, i) for i, line in enumerate(content[:size].splitlines(), 1)]
    if not lines:
        raise ValueError("it is empty")
    if lines[0].pop(_FORMAT, None) != FORMAT:
        raise ValueError("its format is another")
    borders = [_border(line, i) for i, line in enumerate(lines[1:], 2) if _SEALED not in line]
    sealed = next((line[_SEALED] for line in lines if _SEALED in line), None)
    return Content(header=lines[0], borders=borders, sealed=sealed, size=size)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise _damaged(number) from error
    if not isinstance(content, dict):
        raise _damaged(number)
    return content


def _border(line: dict[str, Any], number: int) -> Border:
    try:
        border = Border(**line)
    except TypeError as error:
        raise _damaged(number) from error
    kinds = [type(value).__name__ for value in asdict(border).values()]
    if kinds != [field.type for field in fields(Border)]:
        raise _damaged(number)
    return border


def _damaged(number: int) -> ValueError:
    return ValueError(f"line {number} is damaged")
