"""What `vsr restore` says of its pipes, devices and writers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.media import Clip, write_clip
from tests.streams.encoding import frame_seconds
from tests.streams.test_identity import samples


def vsr(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "vsr", "restore", *words, "--model", "identity"]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def test_a_pipe_carries_the_video_and_nothing_else(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=20, audio="aac"))
    done = vsr("-", "-", data=source.read_bytes())
    assert done.returncode == 0
    assert b"20 frames" in done.stderr
    (tmp_path / "out.mkv").write_bytes(done.stdout)
    assert frame_seconds(tmp_path / "out.mkv") == frame_seconds(source)


def test_identity_without_loss_returns_every_sample(tmp_path: Path) -> None:
    """Through the whole pipeline: reader, restorer, scenes, writer."""
    for pixel_format in ("yuv420p", "yuv444p10le"):
        clip = Clip(num_frames=6, codec="ffv1", pixel_format=pixel_format, options={})
        source = write_clip(tmp_path / f"{pixel_format}.mkv", clip)
        target = tmp_path / f"{pixel_format}.out.mkv"
        assert vsr(str(source), str(target), "--encoder", "ffv1").returncode == 0
        assert samples(target) == samples(source)


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    for kind in ("auto", "vaapi", "cuda", "mediacodec"):
        done = vsr(str(source), str(tmp_path / "out.mp4"), "--hwaccel", kind, "-y")
        assert done.returncode == 0
        assert len(frame_seconds(tmp_path / "out.mp4")) == 5
    assert b"mediacodec: not in this build" in done.stderr
    assert b"software does" in done.stderr
    done = vsr(str(source), str(tmp_path / "other.mp4"), "--hwaccel", "abacus")
    assert done.returncode == 2
    assert b"'abacus' is no kind of decoding device" in done.stderr


def test_encoding_in_this_process(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20, audio="aac"))
    done = vsr(str(source), str(tmp_path / "out.mp4"), "--in-process")
    assert done.returncode == 0
    assert frame_seconds(tmp_path / "out.mp4") == frame_seconds(source)
