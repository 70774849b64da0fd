"""Several streams in a TOML file.

latency = "800ms"                # defaults of every stream

[[stream]]
name = "yard"
source = "rtmp://camera.example/app/yard"
target = "rtmp://server.example/app/yard"
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from vsr.errors import ConfigurationError
from vsr.live.options import StreamOptions
from vsr.live.timing.quality_controller import Policy
from vsr.streams.encode.encoders import parse_options
from vsr.units import duration_s, size_bytes

ENDLESS = "endless"

_SAID = {
    "latency": "latency_s",
    "record_segment": "record_segment_s",
    "record_age": "record_age_s",
    "record_size": "record_bytes",
}
"""Keys that are called otherwise in the file."""


def read_streams(path: Path, defaults: StreamOptions) -> list[StreamOptions]:
    """Read the streams of a file.

    Args:
        path: TOML file.
        defaults: Default options, except source, target and name.

    Raises:
        ConfigurationError: Invalid TOML, an unknown key, a value of the wrong type, or
            two streams with the same name.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"'{path}' cannot be read ({error}); give a TOML file") from error
    tables = content.pop("stream", None)
    if not isinstance(tables, list) or not tables:
        raise ConfigurationError(f"'{path}' describes no stream; give a [[stream]] for each")
    common = replace(defaults, **_values(content, f"'{path}'"))
    streams = [_stream(table, common, f"stream {i} of '{path}'") for i, table in enumerate(tables)]
    names = [stream.name for stream in streams]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"'{path}' has several streams named {', '.join(doubled)}")
    return streams


def _stream(table: Mapping[str, Any], common: StreamOptions, where: str) -> StreamOptions:
    missing = [key for key in ("name", "source", "target") if key not in table]
    if missing:
        raise ConfigurationError(f"{where} does not say its {' and '.join(missing)}")
    return replace(common, **_values(table, where))


def _values(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {field.name for field in fields(StreamOptions)} - set(_SAID.values()) | set(_SAID)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"give {', '.join(sorted(known))}"
            raise ConfigurationError(f"{where} says {key!r}, which is unknown; {hint}")
        try:
            values[_SAID.get(key, key)] = _value(key, value)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{where}: {key} = {value!r} {error}") from error
    return values


_UNITS: dict[str, Callable[[str], float]] = {
    "latency": duration_s,
    "record_segment": duration_s,
    "record_age": duration_s,
    "record_size": size_bytes,
}
_SWITCH = (bool, "is neither true nor false")
_KINDS = {
    "listen": _SWITCH,
    "overwrite": _SWITCH,
    "insecure": _SWITCH,
    "max_pixels": (int, "is no number of pixels; give width times height"),
}


def _value(key: str, value: Any) -> Any:
    if key == "retries":
        if value == ENDLESS:
            return None
        return _of_kind(value, int, "is no number of attempts; give one, or endless")
    if key in _KINDS:
        return _of_kind(value, *_KINDS[key])
    text = _of_kind(value, str, "is no text; put it in quotes")
    if key in _UNITS:
        return _UNITS[key](text)
    if key == "on_overload" and text not in get_args(Policy):
        raise ValueError(f"is unknown; give {', '.join(get_args(Policy))}")
    if key == "encode_args":
        return _words(text)
    return Path(text) if key in {"slate", "ca_file"} else text


def _words(text: str) -> tuple[str, ...]:
    """Arguments of ffmpeg, split as on the command line."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError("cannot be split into words; check its quotes") from error
    parse_options(words)
    return tuple(words)


def _of_kind(value: Any, kind: type, complaint: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(complaint)
    return value
