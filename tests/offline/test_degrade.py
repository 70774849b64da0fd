"""``vsr degrade``: worse pictures, at the same times, the same for the same seed."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.media import Clip, read_numbers, write_clip
from vsr.cli.degrade import PRESET_NAMES
from vsr.errors import ConfigurationError
from vsr.offline.degrade import degrade
from vsr.quality.metrics import psnr
from vsr.quality.presets import PRESETS
from vsr.streams import open_reader


def frames_of(path: Path) -> Tensor:
    with open_reader(path) as reader:
        return torch.cat([chunk.frames for chunk in reader.chunks(8)])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    write_clip(path, Clip(num_frames=10, audio="aac"))
    return path


def test_the_help_names_the_presets_there_are() -> None:
    assert list(PRESET_NAMES) == list(PRESETS)


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_every_preset_keeps_every_frame_and_changes_it(
    preset: str, clip: Path, tmp_path: Path
) -> None:
    degrade(str(clip), str(tmp_path / "worse.mkv"), preset=preset)
    before, after = frames_of(clip), frames_of(tmp_path / "worse.mkv")
    assert before.shape == after.shape
    assert read_numbers(after) == list(range(10))
    assert not torch.equal(before, after)
    assert float(psnr(before, after).min()) > 15


def test_sound_is_kept(clip: Path, tmp_path: Path) -> None:
    degrade(str(clip), str(tmp_path / "worse.mkv"), preset="web")
    with av.open(str(tmp_path / "worse.mkv")) as container:
        assert [s.codec_context.name for s in container.streams.audio] == ["aac"]


def test_a_clip_can_be_made_again(clip: Path, tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        degrade(str(clip), str(tmp_path / f"{name}.mkv"), preset="vhs", seed=seed)
        made.append(frames_of(tmp_path / f"{name}.mkv"))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_it_is_reduced_first(vsr: Run, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "worse.mp4"
    done = vsr("degrade", clip, target, "--preset", "web", "--scale", "2")
    assert (done.code, done.out.strip()) == (0, str(target))
    assert frames_of(target).shape[-2:] == (36, 48)


def test_a_picture_that_becomes_too_small_is_refused(vsr: Run, clip: Path, tmp_path: Path) -> None:
    done = vsr("degrade", clip, tmp_path / "worse.mp4", "--preset", "web", "--scale", "4")
    assert done.code == ConfigurationError.exit_code
    assert "give a larger picture or a smaller scale" in done.err
    assert not (tmp_path / "worse.mp4").exists()


def test_a_pipe_gets_nothing_but_the_film(clip: Path) -> None:
    words = ["degrade", str(clip), "-", "--preset", "web", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "vsr", *words], capture_output=True, check=True)
    with av.open(BytesIO(done.stdout), "r") as container:
        assert len(list(container.decode(video=0))) == 10
    assert not done.stdout.endswith(b"-\n")
