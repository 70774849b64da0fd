"""When things happen in an encoded file: as in its source, to the tick where the container can."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media import Clip, audio_packets, write_clip
from tests.streams.encoding import frame_seconds, transcode

UNEVEN = (0, 512, 700, 2048, 2049, 4000, 9000, 9001, 12800, 20000)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_uneven_times_and_sound_arrive_exactly(tmp_path: Path, suffix: str) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN, audio="aac"))
    target = tmp_path / f"out.{suffix}"
    transcode(source, target)
    assert frame_seconds(target) == [Fraction(pts, 12800) for pts in UNEVEN]
    assert audio_packets(target) == audio_packets(source)


def test_matroska_rounds_times_to_the_millisecond(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN, audio="aac"))
    transcode(source, tmp_path / "out.mkv")
    for got, wanted in zip(frame_seconds(tmp_path / "out.mkv"), UNEVEN, strict=True):
        assert abs(got - Fraction(wanted, 12800)) <= Fraction(1, 2000)
    got_sound, sound = audio_packets(tmp_path / "out.mkv"), audio_packets(source)
    assert [payload for _, payload in got_sound] == [payload for _, payload in sound]
    assert all(
        abs(a - b) <= Fraction(1, 2000) for (a, _), (b, _) in zip(got_sound, sound, strict=True)
    )


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(30000, 1001)])
def test_broadcast_rates_arrive_exactly(tmp_path: Path, rate: Fraction) -> None:
    clip = Clip(num_frames=30, rate=rate, time_base=Fraction(1, 90000), audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    transcode(source, tmp_path / "out.mp4")
    assert frame_seconds(tmp_path / "out.mp4") == clip.seconds
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


def test_a_late_start_survives(tmp_path: Path) -> None:
    clip = Clip(num_frames=10, first_pts=12800 * 5, audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    transcode(source, tmp_path / "out.mp4")
    assert frame_seconds(tmp_path / "out.mp4") == clip.seconds
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


@pytest.mark.parametrize("first_pts", [0, 12800 * 5])
def test_a_trimmed_target_begins_at_zero(tmp_path: Path, first_pts: int) -> None:
    chapters = [(0, 1, "one"), (1, 2, "two"), (2, 3, "three"), (3, 4, "four")]
    clip = Clip(num_frames=100, first_pts=first_pts, audio="aac", chapters=chapters)
    source, target = write_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4"
    transcode(source, target, start_s=1.2, end_s=2.6)
    assert frame_seconds(target) == [Fraction(i, 25) for i in range(35)]
    late = Fraction(first_pts, 12800) + Fraction(6, 5)
    wanted = [(t - late, p) for t, p in audio_packets(source) if late <= t < late + Fraction(7, 5)]
    got = audio_packets(target)
    assert [payload for _, payload in got] == [payload for _, payload in wanted]
    assert all(abs(a - b) < Fraction(1, 48000) for (a, _), (b, _) in zip(got, wanted, strict=True))
    if not first_pts:
        with av.open(str(target)) as container:
            titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert titles == ["two", "three"]


def test_metadata_chapters_and_languages_come_from_the_source(tmp_path: Path) -> None:
    clip = Clip(
        num_frames=50, audio="aac", metadata={"title": "A film"}, chapters=[(0, 1, "Beginning")]
    )
    transcode(write_clip(tmp_path / "in.mkv", clip), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.metadata["title"] == "A film"
        assert container.chapters()[0]["metadata"]["title"] == "Beginning"
        assert container.streams.audio[0].language == "fra"


def test_names_may_hold_any_character(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    source = source.rename(tmp_path / "a:b 100% [it's].mp4")
    target = tmp_path / "c:d %2 #'\".mp4"
    transcode(source, target)
    copy = target.rename(tmp_path / "out.mp4")
    assert len(frame_seconds(copy)) == 5
