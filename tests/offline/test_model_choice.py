"""The model of a run that names none: the one whose scale fits the source and the wanted size."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.media import Clip, write_clip
from vsr.models.catalogue import weights_path
from vsr.offline.estimate import estimate
from vsr.offline.job import restore
from vsr.offline.model_choice import choose_models, named
from vsr.offline.options import RestoreOptions
from vsr.offline.preview import preview
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import StreamInfo

X1, X2, X4 = "unet-x1-video", "compact-x2-video", "compact-x4-video"


@pytest.mark.parametrize(
    ("height", "width", "options", "name"),
    [
        (180, 320, RestoreOptions(), X4),
        (540, 960, RestoreOptions(), X4),
        (960, 540, RestoreOptions(), X4),
        (542, 960, RestoreOptions(), X2),
        (1080, 1920, RestoreOptions(), X2),
        (1080, 1920, RestoreOptions(scale=3), X4),
        (180, 320, RestoreOptions(scale=1), X1),
        (1080, 1920, RestoreOptions(fit=720), X1),
        (180, 320, RestoreOptions(scale=2), X2),
        (180, 320, RestoreOptions(fit=360), X2),
        (180, 320, RestoreOptions(fit=362), X4),
        (180, 320, RestoreOptions(size=(361, 320)), X4),
        (180, 320, RestoreOptions(scale=8), X4),
        (1080, 1920, RestoreOptions(model="compact-x4"), "compact-x4"),
        (1080, 1920, RestoreOptions(weights=Path("mine.pth")), "mine.pth"),
    ],
)
def test_the_smallest_scale_that_reaches_the_size_is_taken(
    height: int, width: int, options: RestoreOptions, name: str
) -> None:
    info = StreamInfo(height=height, width=width, time_base=Fraction(1, 25))
    assert named(choose_models("-", options, info)) == name


@pytest.mark.parametrize(("crf", "name"), [("5", "compact-x4"), ("30", X4)])
def test_a_clean_file_gets_the_model_for_clean_footage(crf: str, name: str, tmp_path: Path) -> None:
    source, film = str(tmp_path / "in.mp4"), "mandelbrot=size=192x144:rate=25"
    words = ["-v", "error", "-f", "lavfi", "-i", film, "-frames:v", "12", "-crf", crf, source]
    subprocess.run([find_ffmpeg(), *words], check=True)
    with open_reader(source) as reader:
        assert named(choose_models(source, RestoreOptions(), reader.info)) == name
        assert named(choose_models("-", RestoreOptions(), reader.info)) == X4


def test_every_command_takes_the_same_and_says_it(tmp_path: Path, vsr: Run) -> None:
    source = str(write_clip(tmp_path / "in.mp4", Clip(num_frames=2)))
    target, options = str(tmp_path / "out.mp4"), RestoreOptions(scale=2)
    assert estimate(source, target, options).model == X2
    assert str(preview(source, target, 0.0, options)).endswith("out.preview.png")
    assert restore(source, target, options).model == X2
    done = vsr("restore", source, tmp_path / "large.mp4")
    assert X4 in done.out


def test_weights_alone_say_what_network_they_are_of(tmp_path: Path) -> None:
    source = str(write_clip(tmp_path / "in.mp4", Clip(num_frames=2)))
    weights = weights_path(X2)
    options = RestoreOptions(weights=weights, segment=0)
    assert restore(source, str(tmp_path / "out.mp4"), options).model == str(weights)
