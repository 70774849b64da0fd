"""The kind of a source, by its name, and its open options."""

from __future__ import annotations

from vsr.address import is_address, shown
from vsr.errors import ConfigurationError
from vsr.live.input.relay import FORMAT, RELAYED

CAMERA = "/dev/video"

PROBED_S = 1.5
"""How long ffmpeg may look at a stream before it is shown: frames are held back meanwhile."""

_LISTENING = ("rtmp://", "srt://", "tcp://", "udp://", "http://")
"""Addresses at which a publisher can be waited for."""

_TIMED = ("http://", "https://")
"""Sources that send as fast as one reads, or many seconds at a time: they are read in their own
time, as files are."""


def is_paced(source: str) -> bool:
    """Whether a source must be paced because it does not send in real time."""
    if source.startswith(CAMERA):
        return False
    return not is_address(source) or source.startswith(_TIMED)


def ends(source: str) -> bool:
    """Whether the end of the source ends the stream, as for files."""
    return not is_address(source) and not source.startswith(CAMERA)


def is_relayed(source: str) -> bool:
    """Whether an ffmpeg process must receive the source."""
    return source.startswith(RELAYED)


def file_format(source: str) -> str | None:
    """The demuxer's name in ffmpeg, if the address determines it."""
    if is_relayed(source):
        return FORMAT
    return "v4l2" if source.startswith(CAMERA) else None


def check_listening(source: str) -> None:
    """Refuse ``--listen`` for sources that nobody can publish to.

    Raises:
        ConfigurationError: A file, a camera, or an address that only serves.
    """
    if not source.startswith(_LISTENING):
        accepted = ", ".join(sorted(_LISTENING))
        raise ConfigurationError(
            f"{shown(source)!r} cannot be published to; --listen takes {accepted}"
        )


def listening(source: str) -> str:
    """A relayed address in listening mode."""
    return source + ("&" if "?" in source else "?") + "mode=listener"


def open_options(source: str, *, listen: bool) -> dict[str, str]:
    """Options of ffmpeg's protocol and demuxer."""
    if ends(source) or source.startswith(CAMERA):
        return {}
    options = {"analyzeduration": str(round(1_000_000 * PROBED_S)), "merge_pmt_versions": "1"}
    if source.startswith("rtmp"):
        options["rtmp_live"] = "live"
    if listen:
        options["listen"] = "1"
    return options
