"""Everything beside the picture is in the output, or a sentence says that it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media import Clip, write_clip
from tests.streams.encoding import transcode
from tests.streams.rich_media import SUBTITLES, run_ffmpeg
from vsr.streams import open_reader
from vsr.streams.names.container import open_input

PICTURE = "-f lavfi -i testsrc2=size=96x72:rate=5:duration=1"
PHONE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+00.0000+000.0000/",
    "creation_time": "2024-01-02T03:04:05Z",
}


def write_phone(folder: Path, name: str) -> Path:
    tags = " ".join(f"-metadata {key}={value}" for key, value in PHONE.items())
    run_ffmpeg(folder, f"{PICTURE} -c:v libx264 -movflags use_metadata_tags {tags} {name}")
    return folder / name


def tags_of(path: Path) -> dict[str, str]:
    with open_input(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


@pytest.mark.parametrize("source", ["in.mov", "in.mp4"])
@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_the_tags_of_phones_arrive(
    tmp_path: Path, source: str, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / f"out.{suffix}"
    transcode(write_phone(tmp_path, source), target)
    found = tags_of(target)
    assert found.items() >= {(k.lower(), v) for k, v in PHONE.items() if k != "creation_time"}
    assert found["creation_time"].startswith("2024-01-02T03:04:05")
    assert not caplog.records


def test_tags_that_did_not_arrive_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out.avi"
    transcode(write_phone(tmp_path, "in.mov"), target)
    said = "does not hold these tags of the source: com.apple.quicktime.location.iso6709, com."
    assert f"'{target}' {said}" in caplog.text


@pytest.mark.parametrize("suffix", ["webm", "mkv"])
def test_transparency_of_vp9_is_reported_and_not_claimed_of_the_copy(
    tmp_path: Path, suffix: str
) -> None:
    run_ffmpeg(tmp_path, f"{PICTURE} -vf format=yuva420p -c:v libvpx-vp9 -pix_fmt yuva420p in.webm")
    with open_reader(str(tmp_path / "in.webm")) as reader:
        assert "the source's transparency is left out" in reader.notes
    transcode(tmp_path / "in.webm", tmp_path / f"out.{suffix}")
    with open_input(str(tmp_path / f"out.{suffix}")) as container:
        assert "alpha_mode" not in {key.lower() for key in container.streams[0].metadata}


def test_the_sound_of_another_programme_is_not_this_ones(tmp_path: Path) -> None:
    inputs = f"{PICTURE} -f lavfi -i sine=duration=1 " * 2
    maps = "-map 0 -map 1 -map 2 -map 3 -c:v libx264 -c:a mp2"
    run_ffmpeg(tmp_path, f"{inputs}{maps} -program st=0:st=1 -program st=2:st=3 in.ts")
    with open_reader(str(tmp_path / "in.ts")) as reader:
        assert [other.kind for other in reader.info.others] == ["audio"]
        assert "other programmes of the source are left out: 2 streams" in reader.notes
    transcode(tmp_path / "in.ts", tmp_path / "out.mkv")
    with open_input(str(tmp_path / "out.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def write_telemetry(folder: Path) -> Path:
    """A clip with a track of a kind that ffmpeg does not know: subtitles under another name."""
    (folder / "subtitles.srt").write_text(SUBTITLES)
    words = f"{PICTURE} -i subtitles.srt -map 0 -map 1 -c:v libx264 -c:s mov_text plain.mp4"
    run_ffmpeg(folder, words)
    content = (folder / "plain.mp4").read_bytes()
    content = content.replace(b"sbtl", b"meta").replace(b"text\0\0\0\0", b"meta\0\0\0\0")
    content = content.replace(b"tx3g", b"gpmd").replace(
        b"SubtitleHandler", b"\x0eGoPro MET  \0\0\0"
    )
    (folder / "in.mp4").write_bytes(content)
    return folder / "in.mp4"


def test_telemetry_is_kept_or_reported(tmp_path: Path) -> None:
    source = write_telemetry(tmp_path)
    with open_reader(str(source)) as reader:
        (track,) = reader.info.others
        assert track.kind == "data"
    for suffix in ("mp4", "mkv"):
        target = tmp_path / f"out.{suffix}"
        writer = transcode(source, target)
        with open_input(str(target)) as container:
            kept = any(stream.type == "data" for stream in container.streams)
        said = [note for note in writer.notes if f"data ({track.codec})" in note]
        assert kept != bool(said)


def test_titles_of_chapters_are_no_telemetry(tmp_path: Path) -> None:
    chapters = ((0, 1000, "Before"), (1000, 2000, "After"))
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=50, chapters=chapters))
    writer = transcode(source, tmp_path / "out.mkv")
    assert not [note for note in writer.notes if "data" in note]


def test_a_spherical_video_is_reported_to_lose_its_projection(tmp_path: Path) -> None:
    """A box of Google's V2, sv3d, in the description of the picture."""
    run_ffmpeg(tmp_path, f"{PICTURE} -c:v libx264 plain.mp4")
    (tmp_path / "in.mp4").write_bytes(with_projection((tmp_path / "plain.mp4").read_bytes()))
    writer = transcode(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert "data of each frame is left out: projection of spherical video" in writer.notes


def with_projection(content: bytes) -> bytes:
    """An MP4 file whose index lies at its end, with the box of an equirectangular projection."""
    header = box(b"svhd", b"\0" * 5)
    projection = box(b"proj", box(b"prhd", b"\0" * 16) + box(b"equi", b"\0" * 20))
    added = box(b"sv3d", header + projection)
    place = content.index(b"avcC") - 4
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = content.rindex(kind, 0, place) - 4
        size = int.from_bytes(content[at : at + 4], "big") + len(added)
        content = content[:at] + size.to_bytes(4, "big") + content[at + 4 :]
    return content[:place] + added + content[place:]


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def write_flagged(folder: Path) -> Path:
    inputs = f"{PICTURE} -f lavfi -i sine=duration=1 -f lavfi -i sine=duration=1"
    flags = "-disposition:a:0 default -disposition:a:1 visual_impaired+hearing_impaired"
    run_ffmpeg(folder, f"{inputs} -map 0 -map 1 -map 2 -c:v libx264 -c:a aac {flags} in.mkv")
    return folder / "in.mkv"


def test_flags_of_tracks_are_kept_or_compared_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, kept = write_flagged(tmp_path), tmp_path / "out.mkv"
    transcode(source, kept)
    assert not [r for r in caplog.records if "flags of tracks" in r.getMessage()]
    lost = tmp_path / "lost.mkv"
    transcode(source, lost, encode_args=["-disposition:a:1", "0"])
    assert (
        f"'{lost}' does not hold these flags of tracks: audio 2 hearing_impaired visual_impaired"
        in caplog.text
    )


def test_a_stream_that_was_planned_and_is_missing_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = write_flagged(tmp_path), tmp_path / "out.mkv"
    transcode(source, target, encode_args=["-an"])
    assert f"'{target}' lacks streams that it was to hold: 2 audio" in caplog.text
