"""Limits of a source's demands, and restarts of failed streams."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.live.harness import PATIENCE_S, asked, free_port, look, publish, running, until
from tests.media import Clip, write_clip
from vsr.engine.batch import BatchRestorer
from vsr.errors import OpenError
from vsr.live.monitor.figures import Figures
from vsr.live.shared_network import NetworkShare, SharedNetwork
from vsr.live.stream import LiveStream
from vsr.live.supervisor import may_begin_again, run_again_and_again
from vsr.models.architectures.baselines import Bicubic
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


class Breaks(Bicubic):
    """Fails at its tenth step, and never again."""

    steps = 0

    def step(
        self, window_BTCHW: torch.Tensor, *others: Any, **named: Any
    ) -> tuple[torch.Tensor, None]:
        self.steps += 1
        if self.steps == 10:
            raise ValueError("it broke")
        return super().step(window_BTCHW, *others, **named)


def test_a_stream_of_several_that_failed_is_started_again(
    clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vsr.live.supervisor.FIRST_DELAY_S", 0.01)
    source, target = (f"udp://127.0.0.1:{free_port()}" for _ in range(2))
    batch = BatchRestorer(Breaks(scale=2), chunk=1, device="cpu", precision="float32")
    shared, figures = SharedNetwork(batch), Figures(name="live")
    stop = threading.Event()

    def make() -> LiveStream:
        share = NetworkShare(shared, "live")
        share.discard()
        return LiveStream(asked(source, target), share, figures)

    with publish(clip, source, "-stream_loop", "-1"):
        thread = threading.Thread(target=run_again_and_again, args=(make(), make, stop))
        thread.start()
        until(lambda: "live ended" in caplog.text, "it fails")
        failed_at = figures.tally.frames_out
        until(lambda: figures.tally.frames_out > failed_at + 20, "it runs again")
        stop.set()
        thread.join(PATIENCE_S)
    assert figures.state == "ended"
    assert "it broke" in caplog.text
    assert "started again in 0.01 s" in caplog.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"retries": 3}, False),
        ({"record": "copy.mkv"}, False),
        ({"record": "copy.m3u8"}, True),
    ],
)
def test_only_what_loses_nothing_begins_again(given: dict[str, Any], expected: bool) -> None:
    assert may_begin_again(asked("udp://h:1", "udp://h:2", **given)) is expected


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
