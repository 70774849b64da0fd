"""A second source in place of the first, while that is lost."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.live.harness import Running, asked, free_port, look, publish, running, until
from tests.media import Clip, numbered_frame, write_clip
from vsr.errors import OpenError
from vsr.live.targets import check_targets
from vsr.streams.ffmpeg.process import find_ffmpeg


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of another size with the numbers from 100 on."""
    folder = tmp_path_factory.mktemp("fallback")
    whole = write_clip(
        folder / "whole.mp4", Clip(num_frames=125, height=120, width=160, audio="aac")
    )
    words = ["-ss", "4", "-i", str(whole), "-preset", "ultrafast", "-g", "10"]
    subprocess.run(
        [find_ffmpeg(), "-loglevel", "error", *words, str(folder / "other.mp4")], check=True
    )
    return folder / "other.mp4"


def ends_well(stream: Running, copy: Path) -> list[int]:
    """Stop it; the numbers of the frames, whose times have no hole."""
    stream.stop.set()
    stream.wait()
    seen = look(copy)
    seen.assert_ordered()
    assert max(b - a for a, b in pairwise(seen.times)) < 1
    assert max(b - a for a, b in pairwise(seen.sound)) < Fraction(1, 8)
    return seen.numbers


def test_an_address_takes_over_and_gives_back(long_clip: Path, other: Path, tmp_path: Path) -> None:
    first, second = (f"udp://127.0.0.1:{free_port()}" for _ in range(2))
    copy = tmp_path / "copy.mkv"
    with (
        publish(other, second, "-stream_loop", "-1"),
        running(asked(first, copy, fallback=second, latency_s=2.0)) as stream,
    ):
        for round_ in range(2):
            with publish(long_clip, first, "-stream_loop", "-1"):
                until(lambda: stream.figures.tally.frames_in > 0, "the source is there")
                until(lambda: not stream.figures.on_fallback, "the source is shown")
                shown = stream.figures.tally.frames_in
                stream.until("it goes on", frames_in=shown + 25)
            until(lambda: stream.figures.on_fallback, "the fallback takes over")
            shown = stream.figures.tally.frames_in
            stream.until("it goes on", frames_in=shown + 25)
            assert stream.figures.state == "running"
            assert stream.figures.tally.fallbacks == round_ + 1
        numbers = ends_well(stream, copy)
    shows_other = [number >= 100 for number in numbers]
    assert [a for a, b in pairwise([*shows_other, not shows_other[-1]]) if a != b] in (
        [False, True, False, True],
        [True, False, True, False, True],
    )


def test_a_file_is_repeated_and_the_slate_follows_where_it_is_missing(
    other: Path, tmp_path: Path
) -> None:
    nowhere, copy = f"rtmp://127.0.0.1:{free_port()}/app/key", tmp_path / "copy.mkv"
    with running(asked(nowhere, copy, fallback=str(other))) as stream:
        stream.until("it is repeated", frames_out=60)
        assert ends_well(stream, copy)[:50] == 2 * list(range(100, 125))


def test_the_slate_is_shown_once_both_are_gone(clip: Path, other: Path, tmp_path: Path) -> None:
    first, second = (f"udp://127.0.0.1:{free_port()}" for _ in range(2))
    slate, copy = tmp_path / "slate.png", tmp_path / "copy.mkv"
    Image.fromarray(numbered_frame(201, 72, 96)).save(slate)
    options = asked(first, copy, fallback=second, slate=slate, latency_s=2.0)
    with running(options) as stream:
        with publish(clip, first):
            stream.until("the source is there", frames_in=25)
        until(lambda: stream.figures.on_fallback, "the fallback is asked for")
        with publish(other, second):
            before = stream.figures.tally.frames_in
            stream.until("the fallback is there", frames_in=before + 15)
        held = stream.figures.tally.held
        stream.until("both are gone", held=held + 40)
        assert stream.figures.state == "away"
        assert ends_well(stream, copy)[-1] == 201


def test_where_attempts_are_bounded_both_have_to_fail(other: Path, tmp_path: Path) -> None:
    nowhere = [f"rtmp://127.0.0.1:{free_port()}/app/s3cret" for _ in range(2)]
    options = asked(nowhere[0], tmp_path / "none.mkv", fallback=nowhere[1], retries=1)
    with pytest.raises(OpenError, match=r"127\.0\.0\.1"), running(options) as stream:
        stream.wait()
    assert stream.figures.state == "failed"


def test_no_output_replaces_a_fallback(other: Path) -> None:
    with pytest.raises(OpenError, match="is a source itself"):
        check_targets([asked("udp://h:1", other, fallback=str(other))])
