"""Negotiating the output by running ffmpeg with one frame before any work is done."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from math import prod

import torch

from vsr.errors import ConfigurationError
from vsr.streams.encode.audio import AudioTrack
from vsr.streams.encode.command import Output, build_command
from vsr.streams.encode.raw_nut import RawLayout, RawStream
from vsr.streams.encode.side_streams import loss_note
from vsr.streams.encode.time_base import clock_note, coarser_clocks
from vsr.streams.ffmpeg.log import causes, in_one_line
from vsr.streams.ffmpeg.process import QUERY_TIMEOUT_S
from vsr.streams.names.formats import NUT, TRANSPORT
from vsr.types import Mastering, OtherStream

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


_AUDIO_CODEC = frozenset({"c:a", "codec:a", "acodec", "an"})
GLANCE_S = Fraction(1, 2)


def negotiate_output(output: Output, layout: RawLayout) -> tuple[Output, list[str]]:
    """Find out whether ffmpeg can make the output, and which of the source's streams it can hold.

    Args:
        output: The wanted output, with a path that may be overwritten.
        layout: Layout of the raw stream.

    Returns:
        The output, without what the container cannot hold, its audio transcoded where that
        helps; and a sentence about each difference.

    Raises:
        ConfigurationError: The encoder, its arguments or the container do not work.
    """
    output, sound_note = _transcode_unplayable(output)
    if attempt(output, layout) is None:
        return output, [sound_note] if sound_note else []
    bare = replace(output, sides=(), mastering=Mastering())
    settled, rate_note = _negotiate_clock(bare, layout)
    layout = replace(layout, time_base=settled.time_base)
    settled, audio_note = _negotiate_audio(settled, layout)
    notes = [note for note in (rate_note, audio_note or sound_note) if note]
    if attempt(graded := replace(settled, mastering=output.mastering), layout) is None:
        settled = graded
    else:
        notes.append("this ffmpeg cannot write the source's HDR10 metadata: it is left out")
    for side in output.sides:
        if attempt(more := replace(settled, sides=(*settled.sides, side)), layout) is None:
            settled = more
    if lost := [side for side in output.sides if side not in settled.sides]:
        notes.append(loss_note(output.suffix, lost))
    return settled, notes


def _negotiate_clock(output: Output, layout: RawLayout) -> tuple[Output, str | None]:
    """Try coarser time bases if the encoder refuses the source's; unchanged if none helps."""
    silent = replace(output, audio=())
    if attempt(silent, layout) is None:
        return output, None
    for clock in coarser_clocks(output.frame_rate):
        changed = replace(silent, time_base=clock, is_rounded=True)
        if attempt(changed, replace(layout, time_base=clock)) is None:
            return replace(changed, audio=output.audio), clock_note(output.encoder, clock)
    return output, None


def _negotiate_audio(output: Output, layout: RawLayout) -> tuple[Output, str | None]:
    cause = attempt(output, layout)
    if cause is None:
        return output, None
    silent = replace(output, audio=())
    if output.audio:
        cause = attempt(silent, layout)
    if cause is not None:
        raise ConfigurationError(
            f"ffmpeg cannot encode {layout.width}x{layout.height} with {output.encoder} into "
            f"'{output.suffix}' ({cause}); change the encoder, its arguments or the output's name"
        )
    cannot = _cannot_hold(output.suffix, output.audio)
    transcoded = _transcoded(output, output.audio)
    if attempt(transcoded, layout) is None:
        return transcoded, f"{cannot}: it is transcoded"
    return silent, f"{cannot}: it is left out"


def _transcode_unplayable(output: Output) -> tuple[Output, str | None]:
    """Transcode audio that the muxer accepts but players cannot decode."""
    lost = [track for track in output.audio if not holds_sound(output.suffix, track.codec)]
    if not lost or _AUDIO_CODEC & output.options.keys():
        return output, None
    return _transcoded(output, lost), f"{_cannot_hold(output.suffix, lost)}: it is transcoded"


def _cannot_hold(suffix: str, tracks: Iterable[AudioTrack]) -> str:
    codecs = ", ".join(sorted({track.codec for track in tracks}))
    return f"'{suffix}' cannot hold the source's audio ({codecs})"


def _transcoded(output: Output, lost: Collection[AudioTrack]) -> Output:
    """The output whose lost tracks ffmpeg decodes from the source: NUT is not enough for that."""
    from_source = output.source is not None
    transcoded = [
        replace(track, carried=track.carried and not from_source, copied=False) for track in lost
    ]
    kept = [track for track in output.audio if track not in lost]
    tracks = sorted([*kept, *transcoded], key=lambda track: track.index)
    return replace(output, audio=tuple(tracks))


def attempt(output: Output, layout: RawLayout) -> str | None:
    """Try the output; returns ffmpeg's reason for a failure, None on success."""
    parts: list[bytes] = []
    copied = carried_of(layout.copied, output)
    raw = RawStream(replace(layout, copied=copied), parts.append)
    raw.write_frames(_blank(layout), [0])
    raw.close()
    command = build_command(_with_quick_probing(output), lead_s=layout.lead_s)
    try:
        trial = subprocess.run(
            command,
            input=b"".join(parts),
            capture_output=True,
            check=False,
            timeout=QUERY_TIMEOUT_S,
            start_new_session=True,  # an interrupt from the keyboard is no answer
        )
    except subprocess.TimeoutExpired:
        return f"nothing happened for {QUERY_TIMEOUT_S:g} s"
    if trial.returncode == 0:
        return None
    return in_one_line(causes(trial.stderr.decode("utf-8", "replace").splitlines()))


def carried_of(copied: Iterable[OtherStream], output: Output) -> tuple[OtherStream, ...]:
    """The streams whose packets are in the raw stream."""
    indices = {track.index for track in output.carried}
    return tuple(other for other in copied if other.index in indices)


def _with_quick_probing(output: Output) -> Output:
    """The output with only as much of the source as opening its streams takes."""
    if output.source is None or not (output.direct or output.sides):
        return replace(output, source=None)
    start = output.source.start_s or Fraction(0)
    return replace(output, source=replace(output.source, end_s=start + GLANCE_S))


def _blank(layout: RawLayout) -> torch.Tensor:
    shapes = layout.pixel_format.plane_shapes(layout.height, layout.width)
    size = sum(map(prod, shapes)) * layout.pixel_format.dtype.itemsize
    return torch.zeros(1, size, dtype=torch.uint8)
