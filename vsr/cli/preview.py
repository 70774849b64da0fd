"""``vsr restore --preview``."""

from __future__ import annotations

import json
from typing import Any

import click

from vsr.cli.folders import preview_folder
from vsr.offline.folder import holds_videos


def write_preview(
    source: str, target: str, moment_s: float, options: dict[str, Any], *, as_json: bool
) -> int:
    """A picture of one moment, or of that moment of every video of a folder."""
    from vsr.offline.preview import preview, unused

    if names := sorted(f"--{n.removesuffix('_s').replace('_', '-')}" for n in unused(options)):
        click.echo(
            f"vsr: --preview shows all that the model makes; it does not heed {', '.join(names)}",
            err=True,
        )
    if holds_videos(source):
        return preview_folder(source, target, moment_s, options, as_json=as_json)
    picture = preview(source, target, moment_s, **options)
    click.echo(json.dumps({"output": picture}) if as_json else picture)
    return 0
