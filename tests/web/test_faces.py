"""Faces on the page, with the official detector and a small network in place of GFPGAN's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from tests.faces.conftest import pulled  # noqa: F401
from tests.web.conftest import Served, until
from vsr.models.architectures.gfpgan import GFPGANClean
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg

pytestmark = pytest.mark.slow

CLIP = "data/train/clips/plaza.mp4"
"""A man who speaks: his face is in columns 330 to 360, rows 115 to 150."""

FACES = {"model": "identity", "faces": True, "fidelity": 0}


@pytest.fixture
def faces_home(
    pulled: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cache in which a small network has the name of the default one; its faces are random."""
    home = tmp_path / "home"
    shutil.copytree(pulled, home)
    torch.manual_seed(4)
    network = GFPGANClean(channel_multiplier=1, narrow=1 / 16, num_style_feat=8, num_mlp=1)
    torch.save({"params_ema": network.state_dict()}, home / "GFPGANv1.4.pth")
    monkeypatch.setenv("VSR_HOME", str(home))


def test_faces_are_restored_in_the_preview_and_in_the_film(
    faces_home: None, served: Served, shared: Path, tmp_path: Path
) -> None:
    words = [find_ffmpeg(), "-v", "error", "-i", str(shared / CLIP), "-t", "0.16", "-c", "copy"]
    subprocess.run([*words, str(served.folder / "plaza.mp4")], check=True)
    assert served.ask("/api/settings").json["missing_for_faces"] == []
    film = served.films()["plaza.mp4"]["id"]
    made = served.post(f"/api/films/{film}/preview", {"at": 0, "options": FACES}).json
    (tmp_path / "preview.mp4").write_bytes(served.ask(f"/api/videos/{made['id']}").body)
    with open_reader(tmp_path / "preview.mp4") as reader:
        before, after = next(reader.chunks(4)).frames.chunk(2, dim=-1)
    change = (before - after).abs()
    assert float(change[..., 115:150, 330:360].mean()) > 0.05
    assert float(change[..., :240].mean()) < 0.02  # the result is coded
    job = served.post(f"/api/films/{film}/jobs", {"options": FACES}).json
    assert job["command"].endswith("--model identity --fidelity 0 --faces --resume")
    until(lambda: served.jobs()[0]["state"] == "done")
