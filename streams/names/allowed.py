"""Files that a source may open: only itself, unless it was named as a playlist.

A file whose name says .mp4 may hold a list of other files, and a server may answer with a playlist
of files on this machine. So each source is opened with the protocols of its own address alone, and
with all of ffmpeg's formats but those that open others. A playlist asked for by its name may open
what it lists, never a file from the network or the network from a file.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from av.format import ContainerFormat, formats_available

from vsr.address import is_address

PLAYLIST_FORMATS = {".m3u8": "hls", ".mpd": "dash", ".ffconcat": "concat"}
"""Names of playlists, and ffmpeg's names of their formats."""

_OPENS_OTHERS = frozenset(
    {"concat", "dash", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "vobsub"}
    | {"webm_dash_manifest"}
)

_HTTP = ("http", "https", "httpproxy", "tcp", "tls", "crypto", "data")
_RTP = ("rtp", "rtsp", "rtsps", "srtp", "udp", "tcp", "tls")
_PROTOCOLS = {
    "file": ("file", "crypto", "data"),
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": ("rtmp", "tcp"),
    "rtmps": ("rtmps", "rtmp", "tls", "tcp"),
    "rtsp": _RTP,
    "rtsps": _RTP,
    "rtp": _RTP,
    "udp": ("udp",),
    "tcp": ("tcp",),
}
_FORMATS = {"rtsp": ("rtsp", "rtp"), "rtsps": ("rtsp", "rtp"), "rtp": ("rtp", "sdp")}
"""Formats that are the protocol of the same name."""

_BYTES = "data"
"""The only protocol of sources whose bytes come from elsewhere: they open nothing."""


def allowed(source: str, *, is_bytes: bool = False) -> dict[str, str]:
    """Options of ffmpeg's that keep a source to itself.

    Args:
        source: A path, an address, or ffmpeg's name of a pipe.
        is_bytes: Whether its bytes come from a file object.
    """
    scheme = _scheme(source)
    protocols = _PROTOCOLS.get(scheme, (scheme, "tcp", "tls", "udp"))
    formats = {*_harmless(), *_FORMATS.get(scheme, ())}
    if (playlist := PLAYLIST_FORMATS.get(_suffix(source))) is not None and not is_bytes:
        formats.add(playlist)
    return {
        "protocol_whitelist": _BYTES if is_bytes else ",".join(protocols),
        "format_whitelist": ",".join(sorted(formats)),
    }


def is_http_playlist(source: str) -> bool:
    """Whether an address names a playlist that is fetched by HTTP."""
    return _scheme(source) in {"http", "https"} and _suffix(source) in PLAYLIST_FORMATS


def _scheme(source: str) -> str:
    if is_address(source):
        return source.partition("://")[0].lower()
    return "pipe" if source.startswith("pipe:") else "file"


def _suffix(source: str) -> str:
    try:
        path = urlsplit(source).path if is_address(source) else source
    except ValueError:
        return ""
    return PurePosixPath(path).suffix.lower()


@cache
def _harmless() -> frozenset[str]:
    """Ffmpeg's names of all formats that open nothing else."""
    names: set[str] = set()
    for name in formats_available:
        try:
            names |= set(ContainerFormat(name, "r").name.split(","))
        except ValueError:  # one that is only written
            continue
    return frozenset(names - _OPENS_OTHERS)
