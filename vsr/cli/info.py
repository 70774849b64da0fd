"""``vsr info``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.parameters import MEDIA
from vsr.cli.signals import unless_stopped
from vsr.cli.startup import loading

if TYPE_CHECKING:
    from vsr.streams.decode.container_facts import ContainerFacts
    from vsr.types import Colour, Mastering, OtherStream, StreamInfo

HEADING_WIDTH = 20


@click.command()
@click.argument("source", required=False, type=MEDIA)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all that is known.")
def info(source: str | None, as_json: bool) -> None:
    """Print what SOURCE contains: duration, codec, bit rate, size, colour, other streams.

    Without SOURCE, print what is installed.
    """
    if source is None:
        facts = _installed()
        lines = [(key.replace("_", " "), str(value)) for key, value in facts.items()]
    else:
        whole, described = unless_stopped(lambda: _read(source))
        facts = asdict(whole) | _facts(described)
        lines = list(_lines(source, whole, described))
    if as_json:
        click.echo(json.dumps(facts))
        return
    for heading, value in lines:
        click.echo(f"{heading:<{HEADING_WIDTH}}{value}")


def _read(source: str) -> tuple[ContainerFacts, StreamInfo]:
    with loading():
        from vsr.streams import open_reader
        from vsr.streams.decode.container_facts import ContainerFacts, read_container_facts
        from vsr.streams.names.image_sequence import names_images

    with open_reader(source) as reader:
        described = reader.info
    whole = ContainerFacts() if names_images(source) else read_container_facts(source)
    return whole, described


def _installed() -> dict[str, Any]:
    from importlib.metadata import version

    from vsr.streams.colour import yuv_native as compiled_yuv
    from vsr.streams.ffmpeg.process import find_ffmpeg

    by_torch = "by torch: without a compiler at the installation nothing was compiled"
    return {
        "vsr": version("vsr-stream"),
        "torch": version("torch"),
        "ffmpeg": find_ffmpeg(),
        "colour_conversion": "compiled" if compiled_yuv.BUILT else by_torch,
    }


def _lines(source: str, whole: ContainerFacts, described: StreamInfo) -> Iterator[tuple[str, str]]:
    """Headings and values as text; unknown and usual values are left out."""
    from vsr.address import shown

    yield "source", f"{shown(source)}{f' ({whole.container})' if whole.container else ''}"
    yield "duration", _duration(whole.duration_s, described)
    if whole.bit_rate:
        yield "bit rate", f"{whole.bit_rate / 1000:,.0f} kbit/s"
    if whole.codec:
        yield "codec", f"{whole.codec}{f' ({whole.profile})' if whole.profile else ''}"
    yield "size", f"{described.width}x{described.height}{_shape(described)}"
    yield "frame rate", _rate(described)
    yield "pixel format", f"{described.pixel_format}, {described.bit_depth} bits"
    yield "colour", _colour(described.colour)
    if mastering := _mastering(described.mastering):
        yield "HDR10", mastering
    for other in described.others:
        yield f"stream {other.index}", _other(other)


def _duration(seconds: float | None, described: StreamInfo) -> str:
    frames = "" if described.num_frames is None else f"{described.num_frames} frames"
    if seconds is None and described.num_frames and described.frame_rate:
        seconds = float(described.num_frames / described.frame_rate)
    length = "" if seconds is None else str(timedelta(seconds=round(seconds, 2)))[:11]
    return ", ".join(filter(None, (length, frames))) or "unknown"


def _rate(described: StreamInfo) -> str:
    rate = described.frame_rate
    if rate is None:
        return "unknown"
    exact = "" if rate.denominator == 1 else f" ({rate})"
    return f"{float(rate):.6g} frames/s{exact}, time base {described.time_base}"


def _shape(described: StreamInfo) -> str:
    ratio = described.sample_aspect_ratio
    pixels = "" if ratio == 1 else f", pixels {ratio.numerator}:{ratio.denominator}"
    return pixels + (f", turned by {described.rotation} degrees" if described.rotation else "")


def _colour(colour: Colour) -> str:
    named = {
        "matrix": colour.matrix,
        "primaries": colour.primaries,
        "transfer": colour.transfer,
        "range": colour.range,
    }
    return ", ".join(f"{what} {tag}" for what, tag in named.items() if tag) or "not tagged"


def _mastering(mastering: Mastering) -> str:
    parts = []
    if mastering.luminance:
        least, most = mastering.luminance
        parts.append(f"mastered for {float(least):g} to {float(most):g} cd/m²")
    if mastering.light_levels:
        brightest, average = mastering.light_levels
        parts.append(f"MaxCLL {brightest}, MaxFALL {average}")
    return ", ".join(parts)


def _other(other: OtherStream) -> str:
    flags = " ".join(other.dispositions)
    return ", ".join(filter(None, (f"{other.kind} ({other.codec})", other.language, flags)))


def _facts(described: Any) -> dict[str, Any]:
    """The fields and properties of a dataclass as JSON values."""
    shown = (entry.name for entry in fields(described) if entry.repr)
    return {name: _plain(getattr(described, name)) for name in shown}


def _plain(value: Any) -> Any:
    """A JSON value; fractions become text, so that they stay exact."""
    if is_dataclass(value):
        return _facts(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
