"""What a source may demand of the machine, and how a stream that failed comes back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live.harness import asked, free_port, look, publish, running
from tests.media import Clip, write_clip
from vsr.errors import OpenError
from vsr.streams.ffmpeg.process import find_ffmpeg


def test_a_source_with_too_many_pixels_is_refused_in_a_line(clip: Path, tmp_path: Path) -> None:
    options = asked(clip, tmp_path / "out.mkv", max_pixels=96 * 72 - 1)
    with (
        pytest.raises(OpenError, match=r"sends 96x72, more than 6911 pixels; raise --max-pixels"),
        running(options) as stream,
    ):
        stream.wait()
    assert not list(tmp_path.iterdir())


def sized(path: Path, width: int, height: int) -> Path:
    """Half a second of a picture of that size, as a transport stream."""
    write_clip(path.with_suffix(".mp4"), Clip(num_frames=12, width=width, height=height))
    words = ["-loglevel", "error", "-i", str(path.with_suffix(".mp4")), "-c", "copy", str(path)]
    subprocess.run([find_ffmpeg(), *words], check=True)
    return path


def test_a_publisher_that_sends_too_many_pixels_is_left_and_the_picture_held(
    clip: Path, tmp_path: Path
) -> None:
    address = f"rtmp://127.0.0.1:{free_port()}/app/s3cret"
    large = sized(tmp_path / "large.ts", 256, 256)
    copy = tmp_path / "out.mkv"
    options = asked(address, copy, listen=True, max_pixels=128 * 128, latency_s=1.0)
    with running(options) as stream:
        with publish(clip, address):
            stream.until("frames come", frames_in=20)
        with publish(large, address) as publisher:
            publisher.wait()
        before = stream.figures.tally.held
        stream.until("the picture is held", held=before + 10)
        with publish(clip, address):
            stream.until("a publisher with fewer is taken", frames_in=60)
    assert look(copy).size == (144, 192)


def test_frames_larger_than_the_first_are_restored_at_the_first_ones_size(tmp_path: Path) -> None:
    small, large = sized(tmp_path / "a.ts", 96, 72), sized(tmp_path / "b.ts", 288, 144)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    sizes: set[tuple[int, ...]] = set()
    copy = tmp_path / "out.mkv"
    with running(asked(both, copy)) as stream:
        push = stream.restorer.push

        def noting(chunk: object) -> object:
            sizes.add(tuple(chunk.frames.shape[-2:]))  # type: ignore[attr-defined]
            return push(chunk)  # type: ignore[arg-type]

        stream.restorer.push = noting  # type: ignore[method-assign, assignment]
        stream.wait()
    assert sizes == {(72, 96), (48, 96)}
    seen = look(copy)
    assert seen.size == (144, 192)
    seen.assert_ordered()
