"""The kind of a source, by its name, and its open options."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from vsr.address import is_address, shown
from vsr.errors import ConfigurationError
from vsr.live.input.relay import FORMAT, RELAYED

CAMERA = "/dev/video"

SILENT_S = 5.0
LISTEN_SILENT_S = 2.0
"""SRT ends a connection that is silent for longer; a caller that was killed is back sooner than
one finds out by libsrt's own time."""

PROBED_S = 1.5
"""Time for which ffmpeg may look at a stream before it is shown: frames are held back meanwhile."""

_ACCEPTING = ("rtmp://", "tcp://")
_LISTENING = (*_ACCEPTING, "srt://", "udp://")
"""Addresses at which a publisher can be waited for; at the first, by our own listener."""

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
    """Refuse ``--listen`` for sources that cannot be published to.

    Raises:
        ConfigurationError: A file, a camera, an address that only serves, or an SRT stream id
            without a passphrase.
    """
    asked = _asked(source)
    if source.startswith("srt://") and "streamid" in asked and "passphrase" not in asked:
        raise ConfigurationError(
            f"a stream id at {shown(source)!r} is not checked and protects nothing; "
            "give a passphrase of 10 or more characters, which callers need then"
        )
    if not source.startswith(_LISTENING):
        accepted = ", ".join(sorted(_LISTENING))
        raise ConfigurationError(
            f"{shown(source)!r} cannot be published to; --listen takes {accepted}"
        )


def is_accepting(source: str) -> bool:
    """Whether publishers at an address are accepted by our own listener."""
    return source.startswith(_ACCEPTING)


def relayed(source: str, *, listen: bool) -> str:
    """A relayed address with the options that its protocol needs."""
    told = {"mode": "listener"} if listen else {}
    if "timeout" not in _asked(source):
        told["timeout"] = str(round(1_000_000 * (LISTEN_SILENT_S if listen else SILENT_S)))
    return source + ("&" if "?" in source else "?") + urlencode(told) if told else source


def _asked(source: str) -> set[str]:
    """Names of the options in an address."""
    return {name for name, _ in parse_qsl(urlsplit(source).query, keep_blank_values=True)}


def open_options(source: str) -> dict[str, str]:
    """Options of ffmpeg's protocol and demuxer."""
    if ends(source) or source.startswith(CAMERA):
        return {}
    options = {"analyzeduration": str(round(1_000_000 * PROBED_S)), "merge_pmt_versions": "1"}
    if source.startswith("rtmp"):
        options["rtmp_live"] = "live"
    return options
