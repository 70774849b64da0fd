"""TOML files as frozen dataclasses: unknown keys and values of another type are errors."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vsr.errors import ConfigurationError

Table = TypeVar("Table")


def read_toml(kind: type[Table], path: Path) -> Table:
    """Read a TOML file into a dataclass.

    Args:
        kind: The dataclass; its fields are the keys of the file.
        path: The file.

    Raises:
        ConfigurationError: No such file, not TOML, an unknown key (the nearest is named), a value
            of another type.
    """
    return _fill(kind, _read(path), str(path))


def has_table(path: Path, key: str) -> bool:
    """Whether a TOML file has a key; errors as for ``read_toml``."""
    return key in _read(path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"'{path}' cannot be read ({error.strerror}); give a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"'{path}' is not TOML ({error}); correct that line") from error


def _fill(kind: type[Table], table: Mapping[str, Any], where: str) -> Table:
    """A dataclass from a table, key by key."""
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise ConfigurationError(f"{where}: unknown key {key!r}; {_nearest(key, hints)}")
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    needed = [f.name for f in fields(kind) if not _has_default(f)]  # type: ignore[arg-type]
    if missing := [name for name in needed if name not in values]:
        raise ConfigurationError(f"{where}: {missing[0]!r} is missing; add it")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if type(None) in get_args(hint):
        hint = get_args(hint)[0]
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _fill(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple and isinstance(value, list):
        return _sequence(get_args(hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        kind = get_args(hint)[1]
        return {key: _value(kind, entry, f"{where}.{key}") for key, entry in value.items()}
    if hint is Any:
        return value
    if not isinstance(hint, type) or type(value) is not hint:
        raise ConfigurationError(f"{where} is {value!r}; give a {getattr(hint, '__name__', hint)}")
    return value


def _sequence(hints: tuple[Any, ...], values: Sequence[Any], where: str) -> tuple[Any, ...]:
    """A tuple of one kind of values, of any length, or of those that the hints list."""
    if hints[-1] is Ellipsis:
        return tuple(_value(hints[0], value, where) for value in values)
    if len(values) != len(hints):
        raise ConfigurationError(f"{where} is {values!r}; give {len(hints)} values")
    return tuple(_value(hint, v, where) for hint, v in zip(hints, values, strict=True))


def _has_default(entry: Any) -> bool:
    return entry.default is not MISSING or entry.default_factory is not MISSING


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
