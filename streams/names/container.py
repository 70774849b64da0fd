"""Opening a container with PyAV, with errors a user can act on."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vsr.address import is_address, names_file, redact, shown
from vsr.errors import OpenError, StreamTimeout
from vsr.streams.names.allowed import PLAYLIST_FORMATS, allowed, is_http_playlist
from vsr.streams.names.trust import HTTPOpener, Trust

OPEN_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 15.0
"""An address that is silent for longer is given up; files have no limit."""

PIPE = "-"
INPUT_PIPE, OUTPUT_PIPE = "pipe:0", "pipe:1"
"""Names that users type for standard input and output, and ffmpeg's names of them."""

ACCEPTED = "give a video file, an image folder or an address"

Timeout = tuple[float | None, float | None]
"""Seconds to open and to read; None for endless."""

_LENIENT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""PyAV 18 refuses tags that are not UTF-8 unless it is told otherwise; 19 has no such argument."""

_NO_REUSE = {"http_persistent": "0", "http_multiple": "0"}
"""ffmpeg's own connections, which HLS would reuse, are not there where Python opens them."""

SYSTEM = Trust()

_TEXT_FORMATS = frozenset({"tty"})
_MAX_BOXES = 1000
_COVER_ART = Disposition.attached_pic | Disposition.timed_thumbnails


def local_name(name: str) -> str:
    """A path as ffmpeg takes it whatever characters it holds; an address as it is."""
    if name == PIPE:
        return INPUT_PIPE
    return name if is_address(name) or name in {INPUT_PIPE, OUTPUT_PIPE} else f"file:{name}"


def open_container(
    source: str,
    *,
    options: Mapping[str, str] | None = None,
    file_format: str | None = None,
    timeout: Timeout | None = None,
    file: IO[bytes] | None = None,
    hwaccel: HWAccel | None = None,
    trust: Trust = SYSTEM,
) -> tuple[InputContainer, VideoStream]:
    """Open a file or address and choose its video stream.

    Args:
        source: A file or an address.
        options: Options for ffmpeg's protocol and demuxer.
        file_format: ffmpeg's name of a demuxer; None to find out.
        timeout: Seconds to open and to read; None for the usual ones of an address or a file.
        file: Where its bytes come from, if from elsewhere; the source is only named then.
        hwaccel: A decoder's device.
        trust: See ``open_input``.

    Returns:
        The container, owned by the caller, and the video stream that ffmpeg would choose, or the
        first where that is cover art.

    Raises:
        OpenError: Missing, empty, unreadable, not a video, or without a video stream.
        StreamTimeout: An address that does not answer.
    """
    address = is_address(source)
    if not address and source != PIPE:
        _check_file(source)
    if timeout is None and address:
        timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
    # Devices of a format of their own, such as cameras, are no files to ffmpeg.
    name = local_name(source) if file_format is None else source
    try:
        container = open_input(
            name if file is None else file,
            format=file_format,
            options=options,
            timeout=timeout,
            hwaccel=hwaccel,
            trust=trust,
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise _explain(source, error) from error
    try:
        return container, _choose_stream(source, container)
    except OpenError:
        container.close()
        raise


def open_input(
    file: str | IO[bytes],
    *,
    options: Mapping[str, str] | None = None,
    timeout: Timeout | None = None,
    trust: Trust = SYSTEM,
    **others: Any,
) -> InputContainer:
    """PyAV's ``open`` for reading: every source is opened here.

    It opens nothing beside itself (see ``allowed``), and its tags may have any encoding.

    Args:
        file: ffmpeg's name of a file, an address, or a file object.
        options: Options of ffmpeg's protocol and demuxer.
        timeout: Seconds to open and to read; None for endless.
        trust: Which certificates are accepted of an encrypted address.
        others: PyAV's other arguments.

    Raises:
        FFmpegError, OSError, ValueError: Raised by PyAV.
    """
    name = file if isinstance(file, str) else ""
    told = allowed(name.removeprefix("file:"), is_bytes=not isinstance(file, str))
    told |= trust.options(name) | dict(options or {})
    if is_http_playlist(name):
        read_s = (timeout and timeout[1]) or READ_TIMEOUT_S
        others["io_open"] = HTTPOpener(trust, read_s)
        told |= _NO_REUSE
    container: InputContainer = av.open(
        file, mode="r", options=told, timeout=timeout, **_LENIENT, **others
    )
    return container


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture of the whole: cover art, or thumbnails."""
    return stream.type == "video" and bool(stream.disposition & _COVER_ART)


def reason(error: BaseException) -> str:
    """The library's reason alone, in one line, without number and file name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def _check_file(source: str) -> None:
    path = Path(source)
    if not path.exists():
        raise OpenError(f"{shown(source)!r} does not exist; {ACCEPTED}")
    if path.is_dir():
        raise OpenError(f"{shown(source)!r} is a folder without images; {ACCEPTED}")
    if path.is_file() and path.stat().st_size == 0:
        raise OpenError(f"{shown(source)!r} is empty; {ACCEPTED}")


def _explain(source: str, error: Exception) -> OpenError | StreamTimeout:
    if isinstance(error, av.error.ExitError) or getattr(error, "errno", 0) == errno.ETIMEDOUT:
        return StreamTimeout(
            f"{shown(source)!r} did not answer within {OPEN_TIMEOUT_S:g} s; check the address"
        )
    if isinstance(error, av.error.InvalidDataError):
        return OpenError(
            f"{shown(source)!r} is not a video that ffmpeg can read "
            f"({_hint(source, error)}); {ACCEPTED}"
        )
    why = redact(reason(error), source)
    if isinstance(error, av.error.ArgumentError):
        why += f": a list of other files has to be named {' or '.join(PLAYLIST_FORMATS)}"
    return OpenError(f"{shown(source)!r} cannot be opened ({why}); {ACCEPTED}")


def _hint(source: str, error: FFmpegError) -> str:
    boxes = _boxes(Path(source)) if names_file(source) else []
    if boxes[:1] == ["ftyp"] and "moov" not in boxes:
        return "its index, the moov box, is missing: it was cut off while being written or copied"
    return redact(reason(error), source)


def _boxes(path: Path) -> list[str]:
    """Types of an MP4 file's outer boxes, as far as they can be followed."""
    found: list[str] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size and len(found) < _MAX_BOXES:
            header = file.read(16).ljust(16, b"\0")
            length, kind = int.from_bytes(header[:4], "big"), header[4:8].decode("latin-1")
            long = int.from_bytes(header[8:], "big") if length == 1 else 0
            found.append(kind)
            start = file.tell() - 16
            file.seek(min(size, start + max(8, long or length or size)))
    return found


def _choose_stream(source: str, container: InputContainer) -> VideoStream:
    if container.format.name in _TEXT_FORMATS:
        raise OpenError(
            f"{shown(source)!r} is not a video that ffmpeg can read (it is text); {ACCEPTED}"
        )
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise OpenError(f"{shown(source)!r} has no video stream, only {found}; {ACCEPTED}")
    best = container.streams.best("video")
    chosen = best if best in streams else streams[0]
    if chosen.codec_context is None:
        raise OpenError(
            f"{shown(source)!r} has a video stream of a codec that ffmpeg does not know"
        )
    return chosen
