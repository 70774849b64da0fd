"""Before a long run: a picture of one moment, a video of before and after."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.command_line import Run
from tests.media import Clip, numbered_frames, read_numbers, write_clip
from vsr.errors import ConfigurationError, OpenError
from vsr.offline.comparison_video import compare_frames
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.preview import picture_name, preview, unused
from vsr.streams import open_reader
from vsr.streams.decode.image_reader import read_image


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write_clip(tmp_path / "in.mp4", Clip(num_frames=50, audio="aac")))


@pytest.mark.parametrize(("moment", "number"), [(0.0, 0), (0.4, 10), (1.21, 31), (1.96, 49)])
def test_a_preview_shows_the_frame_of_its_moment(
    source: str, tmp_path: Path, moment: float, number: int
) -> None:
    name = preview(source, str(tmp_path / "out.mkv"), moment, RestoreOptions(model="bicubic-x2"))
    assert name == str(tmp_path / "out.preview.png")
    picture = read_image(Path(name))
    assert picture.shape == (3, 144, 2 * 192)
    assert read_numbers(torch.stack(picture.chunk(2, dim=-1))) == [number, number]


def test_a_moment_after_the_end_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ends before 2\.5 s"):
        preview(source, str(tmp_path / "out.png"), 2.5, RestoreOptions(model="identity"))
    assert not (tmp_path / "out.png").exists()


def test_a_picture_may_be_named() -> None:
    assert picture_name("look.png") == Path("look.png")
    assert picture_name("folder/film.mkv") == Path("folder/film.preview.png")
    assert picture_name("folder/%06d.png") == Path("folder.preview.png")
    assert picture_name("v1.5/") == Path("v1.5.preview.png")


@pytest.mark.parametrize("target", ["-", "null", "rtmp://host/app"])
def test_a_picture_needs_a_name(target: str) -> None:
    with pytest.raises(OpenError, match="give a name such as"):
        picture_name(target)


def test_a_picture_that_exists_is_replaced_only_where_allowed(
    source: str, tmp_path: Path, vsr: Run
) -> None:
    picture = tmp_path / "out.preview.png"
    picture.write_text("mine")
    words = ["restore", source, tmp_path / "out.mkv", "-m", "identity", "--preview", "1"]
    done = vsr(*words)
    assert (done.code, "already exists" in done.err, picture.read_text()) == (1, True, "mine")
    done = vsr(*words, "-y", "--json")
    assert json.loads(done.out) == {"output": str(picture)}
    assert read_image(picture).shape == (3, 72, 2 * 96)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", picture.name}
    nowhere = vsr("restore", source, tmp_path / "nowhere" / "out.mkv", "--preview", "1")
    assert (nowhere.code, "does not exist; create it" in nowhere.err) == (1, True)


def test_options_that_mean_nothing_for_a_preview_are_reported(
    source: str, tmp_path: Path, vsr: Run
) -> None:
    words = ["restore", source, tmp_path / "out.mkv", "-m", "identity", "--preview", "1"]
    silent = vsr(*words, "--device", "cpu", "--chunk", "4", "--segment", "250", "--encode-args", "")
    assert (silent.code, silent.err) == (0, "")
    told = vsr(*words, "-y", "--fit", "480", "--encode-args", "-crf 20", "--start", "0.5")
    assert told.code == 0
    assert told.err.splitlines() == [
        "vsr: --preview shows all that the model makes; it ignores --encode-args, --fit, --start"
    ]
    assert unused(RestoreOptions(fit=480, encode_args=("-crf", "20"))) == {"encode_args"}
    both = vsr(*words, "--dry-run")
    assert (both.code, "exclude each other" in both.err) == (2, True)


def test_a_comparison_shows_both_of_every_frame(source: str, tmp_path: Path) -> None:
    target = str(tmp_path / "out.mp4")
    summary = restore(source, target, RestoreOptions(model="bicubic-x2", compare="side"))
    assert summary.frames_out == 50
    with open_reader(target) as reader:
        assert (reader.info.height, reader.info.width) == (144, 2 * 192)
        assert [other.kind for other in reader.info.others] == ["audio"]
        frames = torch.cat([chunk.frames for chunk in reader.chunks(8)])
    for half in frames.chunk(2, dim=-1):
        assert read_numbers(half) == list(range(50))


def test_a_split_picture_is_half_of_each(source: str, tmp_path: Path) -> None:
    restore(
        source,
        str(tmp_path / "out"),
        RestoreOptions(model="bicubic-x2", compare="split", end_s=0.2),
    )
    images = sorted((tmp_path / "out").iterdir())
    assert len(images) == 5
    with Image.open(images[0]) as image:
        assert image.size == (192, 144)


def test_both_halves_come_from_their_own_picture() -> None:
    before, after = torch.zeros(3, 72, 96), numbered_frames([255], 144, 192)[0]
    split = compare_frames(before, after, "split")
    assert split.shape == (3, 144, 192)
    assert split[:, 60:, :90].max() == 0
    assert torch.equal(split[:, 60:, 96:], after[:, 60:, 96:])


def test_a_frame_that_stays_for_long_does_not_end_the_film(tmp_path: Path) -> None:
    clip = Clip(num_frames=6, pts=[0, 1, 2, 3, 150, 151], time_base=Fraction(1, 25))
    source = str(write_clip(tmp_path / "in.mkv", clip))
    picture = preview(source, str(tmp_path / "out.png"), 3.0, RestoreOptions(model="bicubic-x2"))
    assert picture is not None
    assert read_numbers(torch.stack(read_image(Path(picture)).chunk(2, dim=-1))) == [4, 4]
