"""Folders of images, read and written."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.ExifTags import Base

from tests.media import Clip, numbered_frames, read_numbers, write_clip, write_images
from tests.resume.power_cut import in_parts, until_cut
from vsr.errors import ConfigurationError, EncodeError, OpenError
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.resume.journal import Journal
from vsr.streams import open_reader, open_writer
from vsr.streams.decode.image_codec import decode_image, encode_image
from vsr.types import Chunk, StreamInfo

INFO = StreamInfo(height=72, width=96, time_base=Fraction(1, 25), frame_rate=Fraction(25))


def chunk(numbers: range) -> Chunk:
    return Chunk(frames=numbered_frames(numbers), pts=tuple(numbers), time_base=INFO.time_base)


def test_images_are_sorted_by_number_not_by_letter(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 12)
    assert (folder / "10.png").exists()
    with open_reader(str(folder)) as reader:
        assert [n for c in reader.chunks(5) for n in read_numbers(c.frames)] == list(range(12))


def test_the_frame_rate_can_be_given(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 3)
    with open_reader(str(folder), frame_rate=Fraction(24000, 1001)) as reader:
        assert reader.info.time_base == Fraction(1001, 24000)
        assert reader.info.frame_rate == Fraction(24000, 1001)


def test_sixteen_bit_grey_keeps_its_depth(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(values).save(tmp_path / "frames" / "1.png")
    with open_reader(str(tmp_path / "frames")) as reader:
        frames = next(reader.chunks(1)).frames
    torch.testing.assert_close(frames[0, 0], torch.from_numpy(values.astype(np.float32)) / 65535)


def test_sixteen_bits_of_colour_come_back(tmp_path: Path) -> None:
    frames = torch.rand(3, 3, 16, 24).mul(65535).round().div(65535)
    info = StreamInfo(height=16, width=24, time_base=Fraction(1, 25), bit_depth=10)
    writer = open_writer(str(tmp_path / "out"), info, height=16, width=24)
    writer.write(Chunk(frames=frames, pts=(0, 1, 2), time_base=info.time_base))
    writer.finish()
    with open_reader(str(tmp_path / "out")) as reader:
        assert (reader.info.bit_depth, reader.info.pixel_format) == (16, "rgb48le")
        torch.testing.assert_close(next(reader.chunks(3)).frames, frames, rtol=0, atol=1e-6)


@pytest.mark.parametrize("words", [("-pix_fmt", "rgb24"), ()])
def test_eight_bits_are_what_eight_bit_sources_and_those_who_ask_get(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    info = StreamInfo(height=72, width=96, time_base=INFO.time_base, bit_depth=10 if words else 8)
    writer = open_writer(str(tmp_path / "out"), info, height=72, width=96, encode_args=words)
    writer.write(chunk(range(1)))
    writer.finish()
    with open_reader(str(tmp_path / "out")) as reader:
        assert reader.info.bit_depth == 8


def test_the_quality_of_images_can_be_asked_for(tmp_path: Path) -> None:
    sizes = []
    for quality in ("20", "90"):
        target = f"{tmp_path}/q{quality}/%d.webp"
        words = ("-quality", quality)
        writer = open_writer(target, INFO, height=72, width=96, encode_args=words)
        noise = torch.rand(1, 3, 72, 96, generator=torch.Generator().manual_seed(1))
        writer.write(Chunk(frames=noise, pts=(0,), time_base=INFO.time_base))
        writer.finish()
        sizes.append((tmp_path / f"q{quality}" / "1.webp").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("%d.jpg", {"encode_args": ("-pix_fmt", "rgb48")}),
        ("%d.png", {"encode_args": ("-crf", "18")}),
        ("%d.png", {"encode_args": ("-quality", "50")}),
        ("%d.jpg", {"encode_args": ("-quality", "500")}),
        ("%d.png", {"encoder": "libx264"}),
    ],
)
def test_arguments_unknown_to_images_are_refused(
    tmp_path: Path, target: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        open_writer(f"{tmp_path}/out/{target}", INFO, height=72, width=96, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_lossless_images_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    frames = torch.rand(3, 3, 16, 24).mul(255).round().div(255)
    info = StreamInfo(height=16, width=24, time_base=Fraction(1, 25))
    writer = open_writer(str(tmp_path / f"out/%03d{suffix}"), info, height=16, width=24)
    writer.write(Chunk(frames=frames, pts=(0, 1, 2), time_base=info.time_base))
    writer.finish()
    with open_reader(str(tmp_path / "out")) as reader:
        torch.testing.assert_close(next(reader.chunks(3)).frames, frames)


def test_names_of_a_source_folder_are_kept(tmp_path: Path) -> None:
    source, target = write_images(tmp_path / "frames", 12), tmp_path / "restored"
    with open_reader(str(source), start_s=0.2) as reader:
        writer = open_writer(str(target), reader.info, height=72, width=96, source=str(source))
        for part in reader.chunks(4):
            writer.write(part)
    assert writer.finish() == str(target)
    assert {p.name for p in target.iterdir()} == {f"{n}.png" for n in range(6, 13)}


def test_a_pattern_numbers_from_one(tmp_path: Path) -> None:
    writer = open_writer(f"{tmp_path}/out/img%04d.jpg", INFO, height=72, width=96)
    writer.write(chunk(range(3)))
    writer.finish()
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["img0001.jpg", "img0002.jpg", "img0003.jpg"]


@pytest.mark.parametrize(("target", "folder"), [("f%02d.png", "."), ("./", "."), ("..", "..")])
@pytest.mark.parametrize("segment", [0, 2])
def test_images_may_go_into_the_folder_one_is_in(
    target: str, folder: str, segment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "deeper")
    if "%" in target:
        Path("other.png").write_text("not named like the pattern")
    restore(
        str(source),
        target,
        RestoreOptions(model="identity", segment=segment, chunk=1, overwrite=folder == ".."),
    )
    written = [path for path in Path(folder).iterdir() if path.stem.removeprefix("f").isdecimal()]
    assert len(written) == 5
    with pytest.raises(OpenError, match=r"allow overwriting \(-y\)"):
        restore(str(source), target, RestoreOptions(model="identity"))
    left = {path.name for path in (tmp_path, tmp_path / "here") for path in path.iterdir()}
    assert not {name for name in left if name.endswith((".part", ".resume"))}


def test_a_folder_with_files_is_left_alone_unless_allowed(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "out", 2)
    with pytest.raises(OpenError, match="not empty"):
        open_writer(str(folder), INFO, height=72, width=96)
    (folder / "notes.txt").write_text("mine")
    (folder / "cover.png").write_text("mine too")
    for num_frames in (3, 1):
        writer = open_writer(folder, INFO, height=72, width=96, overwrite=True)
        writer.write(chunk(range(num_frames)))
        writer.finish()
    assert {p.name for p in folder.iterdir()} == {"notes.txt", "cover.png", "00000001.png"}


def test_a_pattern_replaces_all_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "0007.png").write_text("named otherwise")
    for num_frames in (3, 2):
        writer = open_writer(tmp_path / "a%02d.png", INFO, height=72, width=96, overwrite=True)
        writer.write(chunk(range(num_frames)))
        writer.finish()
    assert {p.name for p in tmp_path.iterdir()} == {"0007.png", "a01.png", "a02.png"}


@pytest.mark.parametrize(
    ("name", "written"), [("50%_%02d.png", "50%_01.png"), ("%03d_%02d.png", "001_%02d.png")]
)
def test_other_percent_signs_of_a_pattern_stay(name: str, written: str, tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "out" / name, INFO, height=72, width=96)
    writer.write(chunk(range(1)))
    writer.finish()
    assert [p.name for p in (tmp_path / "out").iterdir()] == [written]


def test_pictures_that_differ_in_their_suffix_alone_are_all_written(tmp_path: Path) -> None:
    source, target = write_images(tmp_path / "frames", 2), tmp_path / "restored"
    (source / "2.png").rename(source / "1.jpg")
    restore(str(source), str(target), RestoreOptions(model="identity"))
    assert {p.name for p in target.iterdir()} == {"1.jpg.png", "1.png.png"}


def test_images_too_large_for_their_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match=r"20000x72 are too large for \.webp"):
        open_writer(tmp_path / "out" / "%d.webp", INFO, height=72, width=20_000)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this system has no second file system that can be written")
    with TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.mark.parametrize("segment", [0, 2])
def test_images_go_to_another_file_system(segment: int, elsewhere: Path, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", Clip(num_frames=5)), tmp_path / "out"
    target.symlink_to(elsewhere)
    options = RestoreOptions(model="identity", segment=segment, chunk=1)
    restore(str(source), str(target), options)
    assert {p.name for p in elsewhere.iterdir()} == {f"{n:08}.png" for n in range(1, 6)}
    assert {p.name for p in tmp_path.iterdir()} == {"in.mp4", "out"}


def test_remains_of_a_killed_run_on_another_file_system_are_no_images(
    elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").symlink_to(elsewhere)
    for _ in range(2):  # the first is left as a kill leaves it
        writer = open_writer(tmp_path / "out", INFO, height=72, width=96)
        writer.write(chunk(range(1)))
    writer.finish()
    assert {p.name for p in elsewhere.iterdir()} == {"00000001.png"}


def test_images_that_cannot_be_moved_stay(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "out", INFO, height=72, width=96)
    writer.write(chunk(range(2)))
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(EncodeError, match=r"cannot be moved to .*; they are in "):
        writer.finish()
    writer.abort()
    assert len(list((tmp_path / ".out.part").iterdir())) == 2


def test_a_folder_of_images_appears_whole(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "out", INFO, height=72, width=96)
    writer.write(chunk(range(2)))
    number = (tmp_path / ".out.part").stat().st_ino
    writer.finish()
    assert (tmp_path / "out").stat().st_ino == number


def test_a_partial_result_holds_no_images_of_an_earlier_one(tmp_path: Path) -> None:
    for num_frames in (3, 1):
        writer = open_writer(tmp_path / "out", INFO, height=72, width=96)
        writer.write(chunk(range(num_frames)))
        writer.finish(partial=True)
    assert {p.name for p in (tmp_path / "out.partial").iterdir()} == {"00000001.png"}


def test_images_of_a_longer_run_go_even_where_the_last_one_was_killed(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20))
    target = write_images(tmp_path / "out", 30)
    until_cut(source, target, 12, model="identity", overwrite=True)
    journal = Journal.open(tmp_path / "out.resume")
    frames = journal.passed.frames
    journal.seal(frames)
    journal.close()
    in_parts(source, target, [], model="identity")
    assert {p.name for p in target.iterdir()} == {f"{n:08}.png" for n in range(1, frames + 1)}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_of_sixteen_bits_are_turned_as_those_of_eight(
    orientation: int, tmp_path: Path
) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14
    exif, (shallow, deep) = Image.Exif(), (tmp_path / "shallow.png", tmp_path / "deep.png")
    exif[Base.Orientation] = orientation
    Image.fromarray(pixels).save(shallow, exif=exif)
    frame = torch.from_numpy(pixels).permute(2, 0, 1).div(255)
    encode_image(frame, deep, deep=True, options={})
    head, content = 33, deep.read_bytes()
    exif_chunk = shallow.read_bytes()[head:].partition(b"IDAT")[0][:-4]
    deep.write_bytes(content[:head] + exif_chunk + content[head:])
    (upright, eight), (turned, sixteen) = decode_image(shallow), decode_image(deep)
    assert (eight, sixteen) == (8, 16)
    torch.testing.assert_close(turned, upright, rtol=0, atol=1e-6)


def test_the_source_folder_is_no_target(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 2)
    for source in (str(folder), f"{folder}/%d.png"):
        with pytest.raises(OpenError, match="source itself"):
            open_writer(str(folder), INFO, height=72, width=96, source=source, overwrite=True)


def test_images_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match=r"\.tga"):
        open_writer(f"{tmp_path}/out/%d.tga", INFO, height=72, width=96)
