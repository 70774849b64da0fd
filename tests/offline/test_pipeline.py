"""Decode, restore and encode side by side: nothing lost, and errors of any stage end all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import vsr
from tests.media import Clip, audio_packets, numbered_frames, read_numbers, write_clip
from vsr.errors import ConfigurationError, DecodeError, EncodeError, OpenError
from vsr.models.loading import load_network
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.pipeline import Progress, Summary, run
from vsr.restorer import Restorer
from vsr.scenes.markers import ListedScenes, ResumedMarker
from vsr.scenes.state import DecidedMark, MarkerState
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, StreamInfo


def frame_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            Fraction(frame.pts or 0) * (stream.time_base or 0) for frame in container.decode(stream)
        ]


def numbers(path: Path) -> list[int]:
    with open_reader(str(path)) as reader:
        return [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]


@pytest.mark.parametrize("model", ["identity", "bicubic-x2", "compact-x4"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_frames_times_and_sound_arrive_unchanged(model: str, name: str, tmp_path: Path) -> None:
    clip = Clip(num_frames=21, audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    target = tmp_path / name
    summary = restore(str(source), str(target), RestoreOptions(model=model, chunk=4, look_ahead=2))
    assert summary.frames_in == summary.frames_out == 21
    assert numbers(target) == list(range(21))
    assert frame_times(target) == clip.seconds
    sound, copied = audio_packets(source), audio_packets(target)
    assert [fingerprint for _, fingerprint in copied] == [fingerprint for _, fingerprint in sound]
    tolerance = Fraction(1, 1000) if target.suffix == ".mkv" else 0  # Matroska's clock: 1 ms
    assert all(abs(a - b) <= tolerance for (a, _), (b, _) in zip(sound, copied, strict=True))


def test_a_variable_frame_rate_and_a_late_start_survive(tmp_path: Path) -> None:
    pts = [5000, 5512, 6600, 6700, 9000, 9512, 10536, 14000, 14001, 20000]
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=pts))
    times = frame_times(source)
    restore(str(source), str(tmp_path / "out.mp4"), RestoreOptions(model="bicubic-x2", chunk=3))
    assert frame_times(tmp_path / "out.mp4") == times
    assert numbers(tmp_path / "out.mp4") == list(range(10))


def test_the_output_is_larger_by_the_scale_of_the_network(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    restore(str(source), str(tmp_path / "out.mkv"), RestoreOptions(model="bicubic-x3"))
    with open_reader(str(tmp_path / "out.mkv")) as reader:
        assert (reader.info.height, reader.info.width) == (216, 288)


def test_a_part_can_be_restored(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20))
    restore(
        str(source),
        str(tmp_path / "out.mp4"),
        RestoreOptions(model="identity", start_s=0.2, end_s=0.48),
    )
    assert numbers(tmp_path / "out.mp4") == list(range(5, 12))


def test_progress_reaches_every_frame(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20))
    seen: list[Progress] = []
    restore(str(source), "null", RestoreOptions(model="identity", chunk=3), on_progress=seen.append)
    assert (seen[-1].frames, seen[-1].total) == (20, 20)
    assert [p.frames for p in seen] == sorted(p.frames for p in seen)


def test_stopping_leaves_a_playable_partial_file(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=200, audio="aac"))
    stop = threading.Event()

    def stop_after_a_while(progress: Progress) -> None:
        if progress.frames >= 16:
            stop.set()

    summary = restore(
        str(source),
        str(tmp_path / "out.mp4"),
        RestoreOptions(model="identity", chunk=4),
        on_progress=stop_after_a_while,
        stop=stop,
    )
    assert summary.interrupted
    assert Path(summary.output) == tmp_path / "out.partial.mp4"
    written = numbers(tmp_path / "out.partial.mp4")
    assert written == list(range(len(written)))
    assert 16 <= len(written) == summary.frames_out < 200
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.partial.mp4"]


def test_a_source_that_breaks_keeps_what_came_before_and_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", Clip(num_frames=150))
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(DecodeError, match=r"frames restored before are in '.*out\.partial\.mkv'"):
        restore(str(broken), str(tmp_path / "out.mkv"), RestoreOptions(model="identity", chunk=4))
    written_numbers = numbers(tmp_path / "out.partial.mkv")
    assert written_numbers == list(range(len(written_numbers)))
    assert len(written_numbers) >= 20
    assert not (tmp_path / "out.mkv").exists()


class Frames:
    """A reader of numbered frames that may break."""

    def __init__(self, num_frames: int, breaks_at: int | None = None) -> None:
        self.num_frames, self.breaks_at = num_frames, breaks_at
        self.info = StreamInfo(height=72, width=96, time_base=Fraction(1, 25))
        self.notes, self.corrupt_frames, self.size_changes, self.read = (), 0, 0, 0

    def chunks(self, size: int) -> Any:
        for start in range(0, self.num_frames, size):
            if self.breaks_at is not None and start >= self.breaks_at:
                raise DecodeError("the source broke")
            pts = tuple(range(start, min(start + size, self.num_frames)))
            self.read += len(pts)
            yield Chunk(
                frames=numbered_frames([n % 256 for n in pts]), pts=pts, time_base=Fraction(1, 25)
            )

    def take_packets(self) -> Sequence[Any]:
        return ()

    def close(self) -> None: ...

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *exception: object) -> None: ...


class Sink:
    """A writer that counts, and may fail or wait."""

    def __init__(self, fails_at: int | None = None, gate: threading.Event | None = None) -> None:
        self.frames, self.fails_at, self.gate = 0, fails_at, gate
        self.notes, self.added_frames = (), 0
        self.ended = ""

    def write(self, chunk: Chunk) -> None:
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.fails_at is not None and self.frames >= self.fails_at:
            raise EncodeError("the disk is full")
        self.frames += len(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None: ...

    def finish(self, *, partial: bool = False) -> str:
        self.ended = "partial" if partial else "whole"
        return self.ended

    def abort(self) -> None:
        self.ended = "aborted"


def restorer() -> Restorer:
    return Restorer(load_network("identity"), chunk=4, device="cpu", precision="float32")


def test_an_error_of_the_sink_ends_the_run_and_leaves_nothing() -> None:
    sink = Sink(fails_at=8)
    with pytest.raises(EncodeError, match="the disk is full"):
        run(Frames(4000), restorer(), sink)
    assert sink.ended == "aborted"


def test_an_error_of_the_source_before_the_first_frame_leaves_nothing() -> None:
    sink = Sink()
    with pytest.raises(DecodeError, match=r"^the source broke$"):
        run(Frames(40, breaks_at=0), restorer(), sink)
    assert sink.ended == "aborted"


def test_frames_before_a_break_are_all_restored() -> None:
    sink = Sink()
    with pytest.raises(DecodeError):
        run(Frames(40, breaks_at=20), restorer(), sink)
    assert (sink.frames, sink.ended) == (20, "partial")


def test_a_source_that_breaks_before_the_place_of_an_interruption_ends_the_run() -> None:
    known = tuple(DecidedMark(pts=number, starts=False) for number in range(40))
    marker = ResumedMarker(
        ListedScenes(numbers=frozenset(), times=()), MarkerState(known=known, seen=40)
    )
    sink = Sink()
    with pytest.raises(DecodeError, match=r"^the source broke; frames"):
        run(Frames(40, breaks_at=20), restorer(), sink, scenes=marker)
    assert (sink.frames, sink.ended) == (20, "partial")


def test_an_error_of_the_network_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sink = restorer(), Sink()
    monkeypatch.setattr(broken.network, "step", None)
    with pytest.raises(TypeError):
        run(Frames(40), broken, sink)
    assert sink.ended == "aborted"


def test_a_slow_sink_holds_the_source_back() -> None:
    gate, frames = threading.Event(), Frames(4000)
    held_back: list[int] = []

    def open_gate() -> None:
        held_back.append(frames.read)
        gate.set()

    timer = threading.Timer(1.0, open_gate)
    timer.start()
    summary: Summary = run(frames, restorer(), Sink(gate=gate))
    timer.join()
    assert summary.frames_out == 4000
    # A few chunks of 4 in the queues and the stages, not the whole source.
    assert held_back[0] <= 40


def test_writers_and_readers_are_what_the_pipeline_takes(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    with open_reader(str(source)) as reader:
        writer = open_writer("null", reader.info, height=72, width=96)
        assert run(reader, restorer(), writer).frames_out == 5


def test_two_runs_of_one_target_do_not_meet(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=6))
    target = str(tmp_path / "out.mp4")
    refused: list[str] = []

    def begin_another(_: object) -> None:
        if not refused:
            with pytest.raises(OpenError) as error:
                restore(str(source), target, RestoreOptions(model="identity", overwrite=True))
            refused.append(str(error.value))

    summary = restore(
        str(source), target, RestoreOptions(model="identity", chunk=2), on_progress=begin_another
    )
    assert "another run writes" in refused[0]
    assert (summary.frames_out, numbers(tmp_path / "out.mp4")) == (6, list(range(6)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("kind", [str, Path])
def test_the_package_gives_out_restore_as_a_function(kind: type, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    target = kind(tmp_path / "out.mp4")
    summary = vsr.restore(kind(source), target, RestoreOptions(model="identity"))
    assert summary.frames_out == 3


def test_frames_in_memory_are_no_name_which_is_reported(tmp_path: Path) -> None:
    frames: Any = numbered_frames(range(2)).numpy()
    with pytest.raises(ConfigurationError, match="ndarray was given for a source or target; give"):
        vsr.restore(frames, tmp_path / "out.mp4")
    with pytest.raises(ConfigurationError, match=r"frames in memory go through vsr\.Restorer"):
        vsr.open_reader(frames)
