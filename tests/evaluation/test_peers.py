"""Other programs are timed beside ours, from what the user names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.files import render
from tests.conftest import REPOSITORY
from tests.networks import srvgg
from vsr.models.checkpoints.checkpoint import save_network

CHECKOUT = """
from vsr.models.architectures.srvgg import SRVGGNetCompact as Ours

class SRVGGNetCompact(Ours):
    def __init__(self, *, num_in_ch, num_out_ch, num_feat, num_conv, upscale, act_type="prelu"):
        super().__init__(num_feat=num_feat, num_conv=num_conv, scale=upscale, activation=act_type)

    def forward(self, frames):
        return super().forward(frames[None])[0] + {wrong}
"""
"""A module of BasicSR's with the class that the benchmark looks for."""


def peers(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "benchmarks.peers", *map(str, words))
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "apart"), [("0", "0.000"), ("0.5", "127.500")])
def test_a_checkout_is_timed_and_its_frames_are_compared(
    wrong: str, apart: str, tmp_path: Path
) -> None:
    archs = tmp_path / "BasicSR" / "basicsr" / "archs"
    archs.mkdir(parents=True)
    for package in (archs.parent, archs):
        (package / "__init__.py").write_text("raise ImportError('needs what is not installed')")
    (archs / "srvgg_arch.py").write_text(CHECKOUT.replace("{wrong}", wrong))
    save_network(srvgg(), tmp_path / "net.safetensors")
    source = render(tmp_path / "in.mp4", 4, "32x24")
    words = ("--model", tmp_path / "net.safetensors", "--source", source, "--frames", "2")
    done = peers(*words, "--basicsr", tmp_path / "BasicSR", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("basicsr"))
    assert apart in row


@pytest.mark.slow
def test_a_missing_program_is_reported_in_a_line(tmp_path: Path) -> None:
    save_network(srvgg(), tmp_path / "net.safetensors")
    source = render(tmp_path / "in.mp4", 4, "32x24")
    words = ("--model", tmp_path / "net.safetensors", "--source", source, "--frames", "2")
    done = peers(*words, "--basicsr", tmp_path, "--rounds", "1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: basicsr: basicsr is not installed")
