"""Pipes, devices and writers of `vsr restore`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.streams.encoding import frame_seconds
from tests.streams.test_identity import samples

IDENTITY = ("--model", "identity")


def test_a_pipe_carries_the_video_and_nothing_else(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=20, audio="aac"))
    command = [sys.executable, "-m", "vsr", "restore", "-", "-", "--model", "identity"]
    done = subprocess.run(command, input=source.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0
    assert b"20 frames" in done.stderr
    (tmp_path / "out.mkv").write_bytes(done.stdout)
    assert frame_seconds(tmp_path / "out.mkv") == frame_seconds(source)


def test_identity_without_loss_returns_every_sample(vsr: Run, tmp_path: Path) -> None:
    """Through the whole pipeline: reader, restorer, scenes, writer."""
    for pixel_format in ("yuv420p", "yuv444p10le"):
        clip = Clip(num_frames=6, codec="ffv1", pixel_format=pixel_format, options={})
        source = write_clip(tmp_path / f"{pixel_format}.mkv", clip)
        target = tmp_path / f"{pixel_format}.out.mkv"
        assert vsr("restore", source, target, *IDENTITY, "--encoder", "ffv1").code == 0
        assert samples(target) == samples(source)


def test_a_device_that_is_not_there_is_reported(
    vsr: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    for kind in ("auto", "vaapi", "cuda", "mediacodec"):
        done = vsr("restore", source, tmp_path / "out.mp4", *IDENTITY, "--hwaccel", kind, "-y")
        assert done.code == 0
        assert len(frame_seconds(tmp_path / "out.mp4")) == 5
    assert "mediacodec: not in this build" in caplog.text
    assert "software does" in caplog.text
    done = vsr("restore", source, tmp_path / "other.mp4", *IDENTITY, "--hwaccel", "abacus")
    assert done.code == 2
    assert "'abacus' is no kind of decoding device" in done.err


def test_encoding_in_this_process(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20, audio="aac"))
    assert vsr("restore", source, tmp_path / "out.mp4", *IDENTITY, "--in-process").code == 0
    assert frame_seconds(tmp_path / "out.mp4") == frame_seconds(source)
