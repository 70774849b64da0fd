"""Facts and pictures of films, made without torch and kept beside the queue."""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import av

from vsr.errors import OpenError
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.container import open_container
from vsr.web.library import Film

PROTOCOLS = "file,pipe"
"""Protocols that the ffmpeg program may open for a picture."""

PICTURE_AT = 0.1
"""Position in a film at which its picture is taken: the first frame is often black."""

PICTURE_WIDTH = 320
PICTURE_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts of a film.

    Attributes:
        codec: ffmpeg's name of the video codec.
        width: Columns as stored.
        height: Rows as stored.
        seconds: Length; None if the file does not say.
        fps: Average frames per second; None if the file does not say.
    """

    codec: str
    width: int
    height: int
    seconds: float | None
    fps: float | None


class Probe:
    """Facts and pictures of films, cached by name, time and size.

    Args:
        folder: Folder of the cache.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def facts(self, film: Film) -> Facts:
        """Facts of a film.

        Raises:
            OpenError: It cannot be read, holds no video, or refers to other files.
        """
        cached = self._cached(film, "json")
        if cached.exists():
            return Facts(**json.loads(cached.read_text(encoding="utf-8")))
        facts = read_facts(film.path)
        _keep(cached, json.dumps(asdict(facts)).encode())
        return facts

    def picture(self, film: Film) -> bytes:
        """A small picture of a film, JPEG.

        Raises:
            OpenError: See ``facts``; or nothing could be decoded.
        """
        cached = self._cached(film, "jpg")
        if cached.exists():
            return cached.read_bytes()
        facts = self.facts(film)
        picture = read_picture(film.path, PICTURE_AT * (facts.seconds or 0), PICTURE_WIDTH)
        _keep(cached, picture)
        return picture

    def _cached(self, film: Film, suffix: str) -> Path:
        return self._folder / f"{film.id}-{film.size}-{int(film.modified * 1000)}.{suffix}"


def read_facts(path: Path) -> Facts:
    """Read the facts of a file; raises as ``Probe.facts``."""
    container, video = open_container(str(path))
    with container:
        seconds = container.duration / av.time_base if container.duration else None
        return Facts(
            codec=video.codec_context.name,
            width=video.width,
            height=video.height,
            seconds=seconds,
            fps=float(video.average_rate) if video.average_rate else None,
        )


def read_picture(path: Path, at_s: float, width: int) -> bytes:
    """Decode one frame by the ffmpeg program, so that a crash of a decoder ends that program alone.

    Args:
        path: A file whose facts could be read.
        at_s: Seconds after its start.
        width: Columns of the picture; a narrower film is not enlarged.

    Returns:
        JPEG.

    Raises:
        OpenError: There is no frame.
    """
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-protocol_whitelist", PROTOCOLS]
    command += ["-ss", f"{at_s:.3f}", "-i", f"file:{path}", "-frames:v", "1", "-an", "-sn"]
    command += ["-vf", f"scale='min({width},iw*sar)':-2", "-f", "image2pipe", "-c:v", "mjpeg"]
    command += ["-pix_fmt", "yuvj420p", "-strict", "unofficial", "-q:v", "4", "pipe:1"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PICTURE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise OpenError(f"{path.name!r} shows no picture within {PICTURE_TIMEOUT_S:g} s") from error
    if not done.stdout:
        raise OpenError(f"{path.name!r} shows no picture at {at_s:.1f} s")
    return done.stdout


def _keep(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # two may write it at once
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
