"""What kind of source a name means, and how that is opened."""

from __future__ import annotations

from vsr.errors import ConfigurationError
from vsr.live.input.address import shown
from vsr.live.input.relay import FORMAT, RELAYED
from vsr.streams.names.container import is_address

CAMERA = "/dev/video"

PROBED_S = 1.5
"""How long ffmpeg may look at a stream before it is shown: frames are held back meanwhile."""

_LISTENING = ("rtmp://", "srt://", "tcp://", "udp://", "http://")
"""Addresses at which a publisher can be waited for."""

_TIMED = ("http://", "https://")
"""Sources that send as fast as one reads, or many seconds at a time: they are read in their own
time, as files are."""


def is_paced(source: str) -> bool:
    """Whether a source is read in its own time: one that does not send in real time itself."""
    if source.startswith(CAMERA):
        return False
    return not is_address(source) or source.startswith(_TIMED)


def ends(source: str) -> bool:
    """Whether the end of the source is the end of the stream: a file's."""
    return not is_address(source) and not source.startswith(CAMERA)


def is_relayed(source: str) -> bool:
    """Whether an ffmpeg process has to receive it."""
    return source.startswith(RELAYED)


def file_format(source: str) -> str | None:
    """Ffmpeg's name of the demuxer, where that is known from the address alone."""
    if is_relayed(source):
        return FORMAT
    return "v4l2" if source.startswith(CAMERA) else None


def check_listening(source: str) -> None:
    """Refuse to wait for a publisher where none can connect.

    Raises:
        ConfigurationError: A file, a camera, or an address that only sends.
    """
    if not source.startswith(_LISTENING):
        accepted = ", ".join(sorted(_LISTENING))
        raise ConfigurationError(
            f"nobody can publish to {shown(source)!r}; --listen takes {accepted}"
        )


def listening(source: str) -> str:
    """A relayed address at which a publisher is waited for."""
    return source + ("&" if "?" in source else "?") + "mode=listener"


def open_options(source: str, *, listen: bool) -> dict[str, str]:
    """Options for ffmpeg's protocol and demuxer."""
    if ends(source) or source.startswith(CAMERA):
        return {}
    options = {"analyzeduration": str(round(1_000_000 * PROBED_S)), "merge_pmt_versions": "1"}
    if source.startswith("rtmp"):
        options["rtmp_live"] = "live"
    if listen:
        options["listen"] = "1"
    return options
