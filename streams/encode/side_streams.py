"""Side streams that bypass the network: subtitles, attachments, cover pictures.

Each container holds some of them. Text subtitles are converted if that helps, cover pictures
are kept as a stream or as an attachment, and lost streams are reported in one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from vsr.errors import OpenError
from vsr.streams.encode.metadata import language_code
from vsr.streams.ffmpeg.command import Options
from vsr.streams.names.container import local_name, open_input, reason
from vsr.streams.names.formats import MATROSKA, MOV_FAMILY, TRANSPORT, WEBM
from vsr.types import OtherStream, StreamInfo

COPY = "copy"

_TEXT = frozenset(
    {"subrip", "ass", "ssa", "webvtt", "mov_text", "text", "ttml", "microdvd", "sami", "realtext"}
    | {"subviewer", "subviewer1", "jacosub", "mpl2", "pjs", "vplayer", "stl", "hdmv_text_subtitle"}
)
_TRANSPORTED = frozenset({"dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle"})
_IN_MATROSKA = frozenset(
    {"subrip", "ass", "ssa", "webvtt", "dvd_subtitle", "dvb_subtitle", "hdmv_pgs_subtitle"}
    | {"hdmv_text_subtitle"}
)
_MP4 = frozenset({".m4v", ".mp4"})
"""Containers of the MOV family whose covers players and ffmpeg find again."""

_COVERS = {"mjpeg": (".jpg", "image/jpeg"), "png": (".png", "image/png")}

_TRIM_SUBTITLES = (
    r"noise=drop=lte(pts+duration\,0),setts=ts=max(TS\,0):duration=DURATION+min(PTS\,0)"
)
"""ffmpeg shows subtitles from before the beginning at the beginning: those that are over are
dropped, and one that is still shown is shortened."""

_WRITTEN_BY_THE_MUXER = frozenset({"tmcd", "text"})
"""Data streams that hold chapters and time codes, which arrive as such."""


@dataclass(frozen=True, kw_only=True)
class SideStream:
    """A stream of the source that ffmpeg takes into the output itself.

    Attributes:
        index: In the source's container.
        kind: ``subtitle``, ``attachment``, ``cover`` or ``data``.
        codec: ffmpeg's name of the source's codec.
        encoder: ``copy``, or the subtitle encoder.
        dispositions: ffmpeg's names.
        language: As the container takes it, where the source says.
        attached: Whether a cover picture becomes an attachment instead of a stream.
    """

    index: int
    kind: str
    codec: str
    encoder: str = COPY
    dispositions: tuple[str, ...] = ()
    language: str | None = None
    attached: bool = False


def choose_side_streams(
    info: StreamInfo, suffix: str, *, from_file: bool
) -> tuple[tuple[SideStream, ...], str | None]:
    """Choose the side streams of a source that a container can hold.

    Args:
        info: The source.
        suffix: The container, as ``suffixes.suffix_of`` names it.
        from_file: Whether ffmpeg can read the source a second time.

    Returns:
        What is kept, subtitles first, then attachments, then covers; and a sentence about what is
        not, if anything.
    """
    wanted = [other for other in info.others if other.kind != "audio" and not _is_made_anew(other)]
    fitting = {o.index: side for o in wanted if from_file and (side := _fit(o, suffix))}
    lost = [other for other in wanted if other.index not in fitting]
    order = ("subtitle", "attachment", "cover", "data")
    kept = sorted(fitting.values(), key=lambda side: (order.index(side.kind), side.index))
    tracks = [other for other in lost if other.kind == "video"]
    others = [other for other in lost if other.kind != "video"]
    notes = [_one_picture_note(tracks)] if tracks else []
    notes += [loss_note(suffix, others, from_file=from_file)] if others else []
    return tuple(kept), "; ".join(notes) or None


def _one_picture_note(tracks: Sequence[OtherStream]) -> str:
    codecs = ", ".join(track.codec for track in tracks)
    return f"one video track is restored, the others are left out: {codecs}"


def loss_note(
    suffix: str, lost: Iterable[OtherStream | SideStream], *, from_file: bool = True
) -> str:
    """One sentence about streams that are left out."""
    what = ", ".join(sorted({f"{stream.kind} ({stream.codec})" for stream in lost}))
    if not from_file:
        return f"the source cannot be read twice, so these are left out: {what}"
    return f"'{suffix}' output leaves these out: {what}"


def extract_covers(source: str, sides: Sequence[SideStream], folder: Path) -> None:
    """Write the cover pictures that are to be attached into a folder, under their names.

    Raises:
        OpenError: One cannot be read.
    """
    for side, name in _attached(sides):
        try:
            with open_input(local_name(source)) as container:
                packets = container.demux(container.streams[side.index])
                picture = bytes(next(packet for packet in packets if packet.size))
            (folder / name).write_bytes(picture)
        except (FFmpegError, OSError, StopIteration) as error:
            raise OpenError(
                f"the cover picture of {source!r} cannot be read ({reason(error)})"
            ) from error


def side_options(
    sides: Sequence[SideStream], *, trimmed: bool, number: int = 1
) -> dict[str, str | list[str] | None]:
    """Options of ffmpeg's output for streams mapped in this order, but for attached covers.

    Args:
        sides: The streams.
        trimmed: Whether the output begins after the source's beginning.
        number: Number of the source among ffmpeg's inputs.
    """
    options: dict[str, str | list[str] | None] = {}
    if trimmed and any(side.kind == "subtitle" for side in sides):
        options["bsf:s"] = _TRIM_SUBTITLES
    places = {"subtitle": 0, "attachment": 0, "cover": 1, "data": 0}
    letters = {"subtitle": "s", "attachment": "t", "cover": "v", "data": "d"}
    for side in sides:
        if side.attached:
            continue
        place = f"{letters[side.kind]}:{places[side.kind]}"
        places[side.kind] += 1
        options[f"c:{place}"] = side.encoder
        options[f"map_metadata:s:{place}"] = f"{number}:s:{side.index}"
        if side.language:
            options[f"metadata:s:{place}"] = f"language={side.language}"
        if side.kind != "attachment":
            options[f"disposition:{place}"] = disposition(side.dispositions)
    return options


def attachment_options(sides: Sequence[SideStream], folder: Path) -> Options:
    """Options of ffmpeg's output that attach extracted covers behind the mapped attachments."""
    first = sum(side.kind == "attachment" for side in sides)
    attached = _attached(sides)
    options: Options = {
        f"metadata:s:t:{place}": [f"mimetype={_COVERS[side.codec][1]}", f"filename={name}"]
        for place, (side, name) in enumerate(attached, first)
    }
    if attached:
        options["attach"] = [local_name(str(folder / name)) for _, name in attached]
    return options


def disposition(names: Sequence[str]) -> str:
    """Dispositions as ffmpeg takes them."""
    return "+".join(names) or "0"


def _attached(sides: Sequence[SideStream]) -> list[tuple[SideStream, str]]:
    """Covers to attach, and their names: players look for ``cover.jpg``."""
    covers = [side for side in sides if side.attached]
    names = ["cover", *(f"cover_{number}" for number in range(2, len(covers) + 1))]
    return [(s, name + _COVERS[s.codec][0]) for s, name in zip(covers, names, strict=False)]


def _fit(other: OtherStream, suffix: str) -> SideStream | None:
    encoder = _choose_encoder(other, suffix)
    if encoder is None:
        return None
    return SideStream(
        index=other.index,
        kind=other.kind,
        codec=other.codec,
        encoder=encoder,
        dispositions=other.dispositions,
        language=language_code(suffix, other.language),
        attached=other.kind == "cover" and suffix in MATROSKA,
    )


def _choose_encoder(other: OtherStream, suffix: str) -> str | None:
    """``copy``, the encoder that makes a stream fit, or None."""
    if other.kind == "subtitle":
        return _choose_subtitle_encoder(other.codec, suffix)
    if other.kind == "data":
        return COPY if suffix in MOV_FAMILY else None
    if other.kind == "attachment":
        return COPY if suffix in MATROSKA else None
    fits = other.kind == "cover" and other.codec in _COVERS and suffix in MATROSKA | _MP4
    return COPY if fits else None


def _choose_subtitle_encoder(codec: str, suffix: str) -> str | None:
    text = codec in _TEXT
    if suffix in MATROSKA:
        return COPY if codec in _IN_MATROSKA else "srt" if text else None
    if suffix in WEBM:
        return COPY if codec == "webvtt" else "webvtt" if text else None
    if suffix in MOV_FAMILY:
        return COPY if codec in {"mov_text", "dvd_subtitle"} else "mov_text" if text else None
    return COPY if suffix in TRANSPORT and codec in _TRANSPORTED else None


def _is_made_anew(other: OtherStream) -> bool:
    return other.kind == "data" and other.codec in _WRITTEN_BY_THE_MUXER
