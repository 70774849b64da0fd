"""The detector's official weights, pulled once; where they cannot be had, tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vsr.errors import DownloadError
from vsr.models.architectures.gfpgan import GFPGANClean
from vsr.models.architectures.mtcnn import MTCNN
from vsr.models.catalogue import FACE_MODELS
from vsr.models.checkpoints.face_zoo import DETECTOR
from vsr.models.checkpoints.pull import pull_model
from vsr.models.face_loading import load_face_detector


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the detector."""
    folder = tmp_path_factory.mktemp("faces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSR_HOME", str(folder))
        try:
            pull_model(FACE_MODELS[DETECTOR])
        except DownloadError as error:
            pytest.skip(f"the detector's weights cannot be had here: {error}")
    return folder


@pytest.fixture
def faces_home(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache that this test's runs read."""
    monkeypatch.setenv("VSR_HOME", str(pulled))
    return pulled


@pytest.fixture
def detector(faces_home: Path) -> MTCNN:
    loaded = load_face_detector()
    assert isinstance(loaded, MTCNN)
    return loaded


@pytest.fixture
def face_file(tmp_path: Path) -> Path:
    """A small face network, whose results look like no person."""
    torch.manual_seed(4)
    network = GFPGANClean(channel_multiplier=1, narrow=1 / 16, num_style_feat=8, num_mlp=1)
    torch.save({"params_ema": network.state_dict()}, tmp_path / "face.pth")
    return tmp_path / "face.pth"
