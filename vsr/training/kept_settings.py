"""Settings that kept data was made with: data of others is not taken for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vsr.errors import ConfigurationError
from vsr.files import written_whole


def check_same_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Keep settings in a file, or compare them with those that an earlier run has kept.

    Args:
        path: The file, beside what is made with them.
        settings: JSON values by name.

    Raises:
        ConfigurationError: A setting differs.
        OpenError: The file cannot be written.
    """
    wanted = json.loads(json.dumps(settings))
    if not path.exists():
        with written_whole(path) as part:
            part.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return
    kept = json.loads(path.read_text(encoding="utf-8"))
    differing = sorted(name for name in wanted if kept.get(name) != wanted[name])
    if differing:
        raise ConfigurationError(
            f"'{path.parent}' holds data of another {', '.join(differing)}; remove it, or give "
            "another folder with --out"
        )
