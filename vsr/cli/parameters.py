"""Values of command-line options: times, look-aheads, tiles, words for ffmpeg."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import click
from click.shell_completion import CompletionItem

from vsr.engine.settings import FULL
from vsr.errors import ConfigurationError
from vsr.units import duration_s, size_bytes

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
"""Choices of ``--precision``; ``place`` says what they mean."""


MEDIA = click.Path(readable=False)
"""A file, a folder or an address, taken as it is written; shells complete it as a file."""


def complete_model(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Shell completion: names of models, or files if no name matches."""
    return _begun_with(begun, _model_names())


def complete_model_or_auto(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The same with the word for the model that fits, which only some commands take."""
    from vsr.models.catalogue import AUTO_MODEL

    fits = CompletionItem(AUTO_MODEL, help="the model that fits the source")
    return _begun_with(begun, [*_model_names(), fits])


def _model_names() -> list[CompletionItem]:
    from vsr.models.catalogue import MODELS

    return [CompletionItem(name, help=model.summary) for name, model in MODELS.items()]


def complete_known_model(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Shell completion: names of all models, those for faces included."""
    from vsr.models.catalogue import known_models

    known = known_models().items()
    return _begun_with(begun, [CompletionItem(name, help=model.summary) for name, model in known])


def complete_face_model(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Shell completion: names of models that restore faces, or files if no name matches."""
    from vsr.models.catalogue import FACE_RESTORERS

    return _begun_with(begun, [CompletionItem(name) for name in FACE_RESTORERS])


def complete_face_detector(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Shell completion: names of models that find faces, or files if no name matches."""
    from vsr.models.catalogue import FACE_DETECTORS

    return _begun_with(begun, [CompletionItem(name) for name in FACE_DETECTORS])


def _begun_with(begun: str, items: list[CompletionItem]) -> list[CompletionItem]:
    """The items that begin with the typed text; file names where none does."""
    return [i for i in items if i.value.startswith(begun)] or [CompletionItem(begun, type="file")]


class Moment(click.ParamType["float"]):
    """A time in seconds or HH:MM:SS.mmm."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            parts = [float(part) for part in str(value).split(":")]
        except ValueError:
            parts = []
        if not 1 <= len(parts) <= 3 or any(not 0 <= part < math.inf for part in parts):
            self.fail(f"{value!r} is not a time; give seconds (12.5) or HH:MM:SS (00:00:12.5)")
        return float(sum(part * 60.0**i for i, part in enumerate(reversed(parts))))


SLOWEST, FASTEST = Fraction(1, 1000), 1000
"""Frames per second."""


class Rate(click.ParamType["Fraction"]):
    """Frames per second: 25 or 24000/1001; 23.976 is taken as 24000/1001, and so on."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        try:
            rate = Fraction(value)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not SLOWEST <= rate <= FASTEST:
            self.fail(f"{value!r} is no frame rate; give one such as 25, 23.976 or 24000/1001")
        return _exact(rate)


def _exact(rate: Fraction) -> Fraction:
    """The NTSC rate, N * 1000/1001, that a decimal is rounded from, if any."""
    ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    rounded = rate.denominator != 1 and abs(rate - ntsc) < rate / 5000
    return ntsc if rounded else rate.limit_denominator(100_000)


class Names(click.ParamType["tuple[str, ...]"]):
    """Names with commas between them."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name; give them with commas between them")
        return names


class LookAhead(click.ParamType["int | str"]):
    """A number of frames, or the word for the rest of the scene."""

    name = f"frames|{FULL}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if isinstance(value, int):
            return value
        if str(value).lower() == FULL:
            return FULL
        if not str(value).isdecimal():
            self.fail(f"{value!r} is not a look-ahead; give 0 or more frames, or {FULL}")
        return int(value)


class Arguments(click.ParamType["tuple[str, ...]"]):
    """Words split as by a shell."""

    name = "arguments"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        try:
            return value if isinstance(value, tuple) else tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r} cannot be split into words ({error}); check its quotes")


class Tiles(click.ParamType["tuple[int, int]"]):
    """COLUMNSxROWS, as (rows, columns)."""

    name = "COLUMNSxROWS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        columns, _, rows = str(value).lower().partition("x")
        if not (columns.isdecimal() and rows.isdecimal() and int(columns) and int(rows)):
            self.fail(f"{value!r} are no tiles; give COLUMNSxROWS, such as 2x2")
        return int(rows), int(columns)


class Size(click.ParamType["tuple[int, int]"]):
    """WIDTHxHEIGHT, as (height, width)."""

    name = "WIDTHxHEIGHT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"{value!r} is not a size; give WIDTHxHEIGHT, such as 320x180")
        return int(height), int(width)


class WithUnit(click.ParamType["float"]):
    """A number with its unit.

    Args:
        name: What it is, for the help.
        parse: Function that reads it, and raises ``ConfigurationError`` where it cannot.
    """

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name, self._parse = name, parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ConfigurationError as error:
            self.fail(str(error))


DURATION = WithUnit("time", duration_s)
"""A duration such as 800ms, in seconds."""

BYTE_SIZE = WithUnit("size", size_bytes)
"""A size such as 50G, in bytes."""


fidelity_option = click.option(
    "--fidelity",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="For models with two sets of weights: 0 invents the most detail, 1 stays closest to the "
    "input, between them they are mixed. Also for two checkpoints, VIVID+FAITHFUL.  [default: as "
    "the model is published]",
)
"""``--fidelity`` of every command that takes ``--model``."""


steady_option = click.option(
    "--steady",
    is_flag=True,
    help="For models that restore each frame by itself (realesr-…, realesrgan-…): blend what they "
    "restore with the frame before, along the motion, so that it flickers less.",
)
"""``--steady`` of the commands that restore footage."""


skip_still_option = click.option(
    "--skip-still",
    is_flag=True,
    help="Restore only the parts of a frame that change, and show again what stands still: for "
    "slides, talks and fixed cameras.",
)
"""``--skip-still`` of the commands that restore footage."""


face_model_option = click.option(
    "--face-model",
    shell_complete=complete_face_model,
    metavar="NAME|FILE",
    help="The network for faces: gfpgan-v1.4, gfpgan-v1.3, or a checkpoint; means --faces, too.  "
    "[default: gfpgan-v1.4]",
)
"""``--face-model`` of the commands that have ``--faces``."""


face_detector_option = click.option(
    "--face-detector",
    shell_complete=complete_face_detector,
    metavar="NAME|FILE",
    help="The network that finds faces: mtcnn, retinaface-resnet50, retinaface-mobilenet, or a "
    "checkpoint of facexlib's RetinaFace; means --faces, too.  [default: mtcnn]",
)
"""``--face-detector`` of the same commands."""
