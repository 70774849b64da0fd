"""Files that have broken other tools: restored with frames, times and streams, or refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media import audio_packets
from tests.streams.encoding import frame_seconds
from tests.streams.said_times import decoded_by_ffmpeg
from vsr.errors import OpenError
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.streams import open_reader

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "torture"
FILES = sorted(FOLDER.glob("*")) if FOLDER.is_dir() else []

REFUSED = {
    "invalid-bitstream.webm": "has no frame that can be decoded",
    "sample_malformed_free_box.mp4": "is not a video that ffmpeg can read",
}
LONG = {
    "bbb_2500ms.ts",
    "bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4",
    "edit_list_positive_shift.mp4",
    "hdr10-video-with-sdr-container.mp4",
}
"""The quick test reads their beginning only."""

BEGINNING_S = 0.5

HELD = {".mkv": {"audio", "subtitle", "attachment"}, ".mp4": {"audio", "subtitle"}}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_difficult_file_is_read_as_ffmpeg_reads_it_or_refused(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(OpenError, match=REFUSED[path.name]) as caught:
            open_reader(str(path))
        assert "\n" not in str(caught.value)
        return
    end_s = BEGINNING_S if path.name in LONG else None
    times, index = read_times(path, end_s)
    reference = decoded_by_ffmpeg(path, str(index))
    first = reference[0]
    assert times == [t for t in reference if end_s is None or t - first < end_s]


def read_times(path: Path, end_s: float | None = None) -> tuple[list[Fraction], int]:
    """The time of every frame, and the index of the stream that was read."""
    times: list[Fraction] = []
    with open_reader(str(path), end_s=end_s) as reader:
        for chunk in reader.chunks(8):
            assert chunk.frames.shape[1:] == (3, reader.info.height, reader.info.width)
            times += [pts * chunk.time_base for pts in chunk.pts]
            reader.take_packets()
        return times, reader.info.index


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("suffix", HELD)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_difficult_file_is_restored(path: Path, suffix: str, tmp_path: Path) -> None:
    if path.name in REFUSED:
        return
    target = tmp_path / f"out{suffix}"
    words = ("-preset", "ultrafast")
    summary = restore(str(path), str(target), RestoreOptions(model="identity", encode_args=words))
    times, _ = read_times(path)
    assert summary.frames_out == len(times)
    near = Fraction(1, 1999) if suffix == ".mkv" else Fraction(1, 100_000)
    for got, wanted in zip(frame_seconds(target), times, strict=True):
        assert abs(got - wanted) <= near
    assert kinds(target) == [kind for kind in kinds(path) if kind in HELD[suffix]]
    if not path.name.endswith("missing_stsd.mp4"):
        compare_sound(audio_packets(target), audio_packets(path))


def kinds(path: Path) -> list[str]:
    """Kinds of the streams beside the picture whose codec is known."""
    with av.open(str(path)) as container:
        found = [s.type for s in container.streams if s.codec_context or s.type == "attachment"]
        return sorted(kind for kind in found if kind not in {"video", "data"})


def compare_sound(got: list[tuple[Fraction, str]], wanted: list[tuple[Fraction, str]]) -> None:
    """Every packet is there, within a frame of sound of its time."""
    assert sorted(payload for _, payload in got) == sorted(payload for _, payload in wanted)
    for (time, _), (expected, _) in zip(got, wanted, strict=True):
        assert abs(time - expected) < Fraction(1, 40)


def test_the_difficult_files_are_there() -> None:
    if not FILES:
        pytest.skip("shared/data/torture is not beside the checkout")
    assert {path.name for path in FILES} >= LONG | set(REFUSED)
