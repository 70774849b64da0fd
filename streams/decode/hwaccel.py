"""Hardware decoding, with a note where it is not available."""

from __future__ import annotations

from av.codec.hwaccel import HWAccel, HWDeviceType, hwdevices_available
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from vsr.errors import ConfigurationError, OpenError
from vsr.streams.decode.animated_webp import as_video
from vsr.streams.names.container import PIPE, open_container, reason

AUTO = "auto"
DEVICES = ("cuda", "videotoolbox", "d3d11va", "vaapi", "qsv")
"""Kinds of devices in the order in which ``auto`` tries them."""

KINDS = tuple(kind.name for kind in HWDeviceType if kind.name != "none")
"""All that ffmpeg has names for; what it was built with is less."""


def open_accelerated(
    source: str, hwaccel: str | None
) -> tuple[InputContainer, VideoStream, str | None]:
    """Open a source with a hardware decoder, or without where that fails.

    Args:
        source: A file or an address.
        hwaccel: ``auto``, ffmpeg's name of a kind of device, or None for none.

    Returns:
        The container, its video stream, and a sentence where software decodes instead.

    Raises:
        ConfigurationError: No such kind of device.
        OpenError: The source cannot be opened at all.
        StreamTimeout: An address that does not answer.
    """
    if hwaccel is None:
        return *open_container(source, file=as_video(source)), None
    here = hwdevices_available()
    if hwaccel not in {AUTO, *here, *KINDS}:
        raise ConfigurationError(
            f"{hwaccel!r} is no kind of decoding device; give {AUTO}, {', '.join(here)}"
        )
    known = [kind for kind in (DEVICES if hwaccel == AUTO else [hwaccel]) if kind in here]
    missing = hwaccel not in {AUTO, *here}
    causes = [f"{hwaccel}: not in this build, which has {', '.join(here)}"] if missing else []
    if source == PIPE:
        known, causes = [], ["what is read of a pipe to try one is gone"]
    for kind in known:
        try:
            device = HWAccel(device_type=kind, allow_software_fallback=False)
            return *open_container(source, hwaccel=device), None
        except (FFmpegError, RuntimeError, ValueError, OpenError) as error:
            causes.append(f"{kind}: {reason(error.__cause__ or error)}")
    why = "; ".join(causes) or "no kind of device is known here"
    note = f"no hardware decodes the source ({why}): software does"
    return *open_container(source, file=as_video(source)), note
