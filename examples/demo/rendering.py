"""The demo's input: the painted clip made small, compressed, and given its sound."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import torch

from examples.demo.clip import FRAME_RATE, HEIGHT, WIDTH, DemoClip
from examples.demo.sound import render_sound, write_wave
from vsr.errors import EncodeError
from vsr.quality.degradation import bicubic_down
from vsr.quality.presets import PRESETS
from vsr.streams import open_writer
from vsr.streams.ffmpeg.process import query_ffmpeg
from vsr.types import Chunk, Colour, StreamInfo, Writer

SCALE = 4
_CHUNK = 5
_BT709 = Colour(matrix="bt709", primaries="bt709", transfer="bt709", range="tv")


def render_input(clip: DemoClip, target: Path, num_frames: int) -> None:
    """Write the clip as a video from the web: a quarter of the size, H.264 at crf 30 with AAC.

    Raises:
        VSRError: The target cannot be written; an earlier one stays.
    """
    with tempfile.TemporaryDirectory() as name:
        silent, sound = Path(name) / "silent.mp4", Path(name) / "sound.wav"
        _encode_frames(clip, silent, num_frames)
        write_wave(render_sound(num_frames / FRAME_RATE), sound)
        _join(silent, sound, target)


def _encode_frames(clip: DemoClip, target: Path, num_frames: int) -> None:
    height, width, time_base = HEIGHT // SCALE, WIDTH // SCALE, Fraction(1, FRAME_RATE)
    info = StreamInfo(
        height=height,
        width=width,
        time_base=time_base,
        frame_rate=1 / time_base,
        num_frames=num_frames,
        colour=_BT709,
    )
    writer = open_writer(
        str(target),
        info,
        height=height,
        width=width,
        encoder=PRESETS["web"].encoder,
        encode_args=PRESETS["web"].encode_args,
    )
    with finished(writer):
        for start in range(0, num_frames, _CHUNK):
            pts = tuple(range(start, min(start + _CHUNK, num_frames)))
            frames = bicubic_down(torch.stack([clip.frame(index) for index in pts]), SCALE)
            writer.write(Chunk(frames=frames, pts=pts, time_base=time_base))


@contextmanager
def finished(writer: Writer) -> Iterator[Writer]:
    """Finish a writer at the end of a block, and remove what it wrote if the block fails."""
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.abort()
        raise


def _join(video: Path, sound: Path, target: Path) -> None:
    sources = ("-i", str(video), "-i", str(sound))
    codecs = ("-c:v", "copy", "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart")
    done = query_ffmpeg("-loglevel", "error", "-y", *sources, *codecs, str(target))
    if done.returncode:
        raise EncodeError(f"ffmpeg could not write '{target}': {done.stderr.strip()}")
