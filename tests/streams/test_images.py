"""Folders of images, read and written."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.media import Clip, numbered_frames, read_numbers, write_clip, write_images
from vsr.errors import ConfigurationError, OpenError
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.streams import open_reader, open_writer
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


def test_the_source_folder_is_no_target(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 2)
    for source in (str(folder), f"{folder}/%d.png"):
        with pytest.raises(OpenError, match="source itself"):
            open_writer(str(folder), INFO, height=72, width=96, source=source, overwrite=True)


def test_images_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match=r"\.tga"):
        open_writer(f"{tmp_path}/out/%d.tga", INFO, height=72, width=96)
