"""``vsr info``."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import click

from vsr.cli.parameters import MEDIA


@click.command()
@click.argument("source", required=False, type=MEDIA)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(source: str | None, as_json: bool) -> None:
    """Print what SOURCE contains: size, time, colour, other streams.

    Without SOURCE, print what is installed.
    """
    facts = _installed() if source is None else _held_by(source)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):20} {_words(value)}")


def _held_by(source: str) -> dict[str, Any]:
    from vsr.streams import open_reader

    with open_reader(source) as reader:
        return _facts(reader.info)


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


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value) or "none"
    return "unknown" if value is None else str(value)
