"""Which sound a container holds, where its muxer would take what no player then plays.

ffmpeg's muxers refuse most of what they cannot write, which a trial finds out. Transport streams
take any codec as data of no kind, MOV takes codecs that it has no tag for, and AVI's clock counts
frames of sound that last as long as its header says.
"""

from __future__ import annotations

from vsr.streams.names.formats import NUT, TRANSPORT

_IN_TRANSPORT = frozenset(
    {"aac", "aac_latm", "ac3", "dts", "eac3", "mp1", "mp2", "mp3", "opus", "s302m", "truehd"}
)
_BLU_RAY = frozenset({".m2ts", ".mts"})
_WINDOWS_MEDIA = frozenset({"wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice"})
_NOT_IN = {
    ".avi": frozenset({"dts", "eac3", "vorbis"}),
    ".mov": _WINDOWS_MEDIA | {"vorbis"},
    NUT: _WINDOWS_MEDIA,
}


def holds_sound(suffix: str, codec: str) -> bool:
    """Whether packets of a codec can be played from a container that ffmpeg copies them into.

    Args:
        suffix: The container, as ``suffixes.suffix_of`` names it.
        codec: ffmpeg's name of the codec.
    """
    if suffix in TRANSPORT:
        return codec in _IN_TRANSPORT or (codec == "pcm_bluray" and suffix in _BLU_RAY)
    return codec not in _NOT_IN.get(suffix, ())
