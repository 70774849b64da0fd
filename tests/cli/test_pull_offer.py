"""A network whose weights are not here: on a terminal they are offered, else it is one line."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.media import Clip, write_clip
from tests.mirror import Mirror
from tests.networks import basicvsr

PROGRAM = """
import sys
from vsr.cli.main import main
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.model import Model, OfficialFile

file = OfficialFile(name="tiny.pth", sha256=sys.argv[2], base=sys.argv[1] + "/", path="tiny.pth")
MODELS["tiny"] = Model(
    architecture="basicvsr", summary="", needs_weights=True, releases=((file,),), licence="Ours-1.0"
)
del sys.argv[1:3]
main()
"""
"""The command line, with one more network in its catalogue."""


@pytest.fixture
def command(mirror: Mirror, cache: Path, tmp_path: Path) -> list[str]:
    """Restores a clip by a network that is on a server."""
    torch.save({"params": basicvsr().state_dict()}, tmp_path / "tiny.pth")
    content = mirror.files["tiny.pth"] = (tmp_path / "tiny.pth").read_bytes()
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    words = ["restore", str(source), str(tmp_path / "out.mp4"), "-m", "tiny", "--quiet"]
    digest = hashlib.sha256(content).hexdigest()
    return [sys.executable, "-c", PROGRAM, mirror.address, digest, *words]


def on_a_terminal(command: list[str], answer: str) -> tuple[int, str]:
    """Exit code, and what the terminal shows."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 2**16):
                shown += piece
        except OSError:  # Linux says so that nobody writes to the terminal any more.
            pass
    os.close(ours)
    return process.returncode, shown.decode()


def test_whoever_agrees_gets_weights_and_result(command: list[str], tmp_path: Path) -> None:
    code, shown = on_a_terminal(command, "y")
    assert code == 0, shown
    assert shown.index("Ours-1.0") < shown.index("pull it now?")
    assert (tmp_path / "out.mp4").exists()
    assert (tmp_path / "cache" / "tiny.pth").exists()


@pytest.mark.slow
def test_whoever_declines_gets_one_line(command: list[str], mirror: Mirror, tmp_path: Path) -> None:
    code, shown = on_a_terminal(command, "n")
    assert code == 1
    assert shown.rstrip().endswith("`vsr models pull tiny` brings it")
    assert not mirror.bytes_sent
    assert not (tmp_path / "out.mp4").exists()
