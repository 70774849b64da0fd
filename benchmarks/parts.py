"""Cost of each part beside the network, alone, in milliseconds of the processor a frame.

The processor's time, of children included, says what a part takes from the others however many
cores there are and whatever else the machine is busy with.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import torch
from torch import Tensor

from vsr.models.architectures.baselines import CHUNK
from vsr.streams import open_reader
from vsr.streams.colour.convert import from_rgb
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.encode.raw_nut import RawLayout, RawStream
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Colour

NUM_FRAMES = 32
"""Frames that the parts behind the network are tried with."""

RATE = 25
TAGS = Colour(matrix="bt709", range="tv", chroma_location="left")


class Cost(NamedTuple):
    """Seconds of the clock, and of the processor, children included."""

    wall: float
    cpu: float


class Parts(NamedTuple):
    """Milliseconds of the processor a frame."""

    decode: float
    to_rgb: float
    from_rgb: float
    pipe: float
    encode: float

    def table(self) -> str:
        """A line for each, and for what is neither decoder nor encoder."""
        names = {
            "decoder": self.decode,
            "planes to RGB": self.to_rgb,
            "RGB to planes": self.from_rgb,
            "muxing and the pipe": self.pipe,
            "encoder, from raw frames": self.encode,
        }
        return "\n".join(f"  {name:26s} {ms:7.2f} ms" for name, ms in names.items())


def measure(words: Sequence[str]) -> Cost:
    """Run a command."""
    before, started = _children(), time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return Cost(time.perf_counter() - started, _children() - before)


def vsr_words(source: Path, target: Path, *options: str) -> list[str]:
    """``vsr restore``, without what only matters to people."""
    words = [sys.executable, "-m", "vsr", "restore", str(source), str(target)]
    return [*words, "--quiet", "--overwrite", *options]


def render(path: Path, size: str, frames: int) -> Path:
    """A moving test picture with grain and sound."""
    picture = f"testsrc2=size={size}:rate={RATE}:duration={frames / RATE},noise=alls=8:allf=t"
    words = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", picture]
    words += ["-f", "lavfi", "-i", f"sine=duration={frames / RATE}", "-c:a", "aac"]
    words += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(words, check=True)
    return path


def measure_parts(
    source: Path, frames: Tensor, encoder: str, options: Sequence[str], rounds: int = 3
) -> Parts:
    """Try each part alone.

    Args:
        source: A video.
        frames: What the network makes of it, as many as shall be encoded: (T, 3, H, W).
        encoder: ffmpeg's name of it.
        options: Options of the encoder.
        rounds: The best of so many counts: what disturbs a run only makes it longer.
    """
    decode = min(_per_frame(lambda: _decode(source)) for _ in range(rounds))
    read = min(_per_frame(lambda: _read(source)) for _ in range(rounds))
    layout = _layout(frames)
    convert = min(_per_frame(lambda: _convert(frames, layout)) for _ in range(rounds))
    send = min(_per_frame(lambda: _send(frames, layout)) for _ in range(rounds))
    raw = source.with_name("raw.nut")
    _write_raw(frames, layout, raw)
    encode = min(_encode(raw, encoder, options) for _ in range(rounds)) / len(frames)
    raw.unlink()
    return Parts(decode, read - decode, convert, send - convert, 1000 * encode)


def first_frames(source: Path, count: int) -> Tensor:
    """The beginning of a video: (T, 3, H, W)."""
    with open_reader(str(source), headroom=True) as reader:
        return next(reader.chunks(count)).frames


def _per_frame(run: Callable[[], int]) -> float:
    """Milliseconds of this process for each of the frames that ``run`` counts."""
    started = time.process_time()
    count = run()
    return 1000 * (time.process_time() - started) / count


def _decode(source: Path) -> int:
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


def _read(source: Path) -> int:
    with open_reader(str(source), headroom=True) as reader:
        return sum(len(chunk) for chunk in reader.chunks(CHUNK))


def _convert(frames: Tensor, layout: RawLayout) -> int:
    for frame in torch.split(frames, 1):
        from_rgb(frame, layout.pixel_format, TAGS)
    return len(frames)


def _send(frames: Tensor, layout: RawLayout) -> int:
    """Into a pipe that another process empties."""
    words = [sys.executable, "-c", "import os\nwhile os.read(0, 1 << 20): pass"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, bufsize=0) as sink:
        assert sink.stdin is not None
        pipe = sink.stdin.fileno()
        _mux(frames, layout, lambda data: _write_all(pipe, data))
        sink.stdin.close()
    return len(frames)


def _mux(frames: Tensor, layout: RawLayout, send: Callable[[bytes], None]) -> None:
    raw = RawStream(layout, send)
    for pts, frame in enumerate(torch.split(frames, 1)):
        raw.write_frames(from_rgb(frame, layout.pixel_format, TAGS), [pts])
    raw.close()


def _write_all(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _write_raw(frames: Tensor, layout: RawLayout, path: Path) -> None:
    with path.open("wb") as file:
        _mux(frames, layout, lambda data: _write_all(file.fileno(), data))


def _encode(raw: Path, encoder: str, options: Sequence[str]) -> float:
    words = [find_ffmpeg(), "-v", "error", "-i", str(raw), "-c:v", encoder, *options]
    return measure([*words, "-f", "null", "-"]).cpu


def _layout(frames: Tensor) -> RawLayout:
    pixel_format = parse_pixel_format("yuv420p")
    assert pixel_format is not None
    height, width = frames.shape[2:]
    return RawLayout(
        pixel_format=pixel_format, height=height, width=width, time_base=Fraction(1, RATE)
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
