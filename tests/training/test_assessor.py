"""Training an assessor: what `vsr train` writes, `vsr assess` takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip
from vsr.assessment.regression import Assessor, load_assessor
from vsr.errors import CheckpointError, ConfigurationError
from vsr.toml_tables import read_toml
from vsr.training import assessor_samples
from vsr.training.assessor import AssessorConfig, train_assessor

CONFIG = """
[assessor]
channels = [4, 4, 4, 4]
hidden = 8

[samples]
videos = "clips"
hold_out = ["held.mkv"]
side = 192
per_clip = 2
count = {count}
test_count = 8
encoders = ["libx264"]
unseen_encoders = []

[fit]
steps = 5
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assessor_samples, "SHARD", 2)
    folder = tmp_path / "footage" / "clips"
    folder.mkdir(parents=True)
    for name in ("a.mkv", "held.mkv"):
        write_clip(folder / name, Clip(num_frames=8, height=192, width=208, codec="ffv1"))
    return folder.parent


def config(folder: Path, count: int = 6) -> Path:
    path = folder / "assess.toml"
    path.write_text(CONFIG.format(count=count))
    return path


def test_what_is_trained_assesses_and_says_how_well(data: Path, tmp_path: Path, vsr: Run) -> None:
    done = vsr("train", config(tmp_path), "--data", data, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "noise " in done.out
    weights = Path(done.out.splitlines()[-1])
    shown = vsr("assess", data / "clips" / "held.mkv", "--assessor", weights)
    assert (shown.code, "coding" in shown.out) == (0, True)


def test_samples_of_an_interrupted_run_are_taken_and_the_weights_are_the_same(
    data: Path, tmp_path: Path
) -> None:
    for count, steps in ((4, 6), (8, 2)):
        settings = read_toml(AssessorConfig, config(tmp_path, count))
        shown = Mock()
        train_assessor(settings, data, tmp_path / "twice", on_progress=shown)
        assert shown.call_count == steps
    report = train_assessor(settings, data, tmp_path / "once")
    resumed = load_assessor(tmp_path / "twice" / "assessor.safetensors").state_dict()
    for name, tensor in load_assessor(report.weights).state_dict().items():
        assert tensor.equal(resumed[name])


def test_samples_made_with_other_settings_are_not_taken(data: Path, tmp_path: Path) -> None:
    settings = read_toml(AssessorConfig, config(tmp_path))
    train_assessor(settings, data, tmp_path / "run")
    other = replace(settings, samples=replace(settings.samples, per_clip=1, workers=1))
    with pytest.raises(ConfigurationError, match="holds data of another per_clip; remove it"):
        train_assessor(other, data, tmp_path / "run")


def test_the_shipped_configuration_is_that_of_the_shipped_assessor() -> None:
    settings = read_toml(AssessorConfig, REPOSITORY / "configs" / "assess.toml")
    shape = settings.assessor
    made = Assessor(channels=shape.channels, hidden=shape.hidden)
    shipped = load_assessor().state_dict()
    assert {k: v.shape for k, v in made.state_dict().items()} == {
        k: v.shape for k, v in shipped.items()
    }


def test_a_test_without_videos_and_a_file_of_something_else_are_refused(
    data: Path, tmp_path: Path, vsr: Run
) -> None:
    settings = read_toml(AssessorConfig, config(tmp_path))
    (data / "clips" / "held.mkv").unlink()
    with pytest.raises(ConfigurationError, match="name one in hold_out"):
        train_assessor(settings, data, tmp_path / "run")
    with pytest.raises(CheckpointError, match="is not of an assessor"):
        load_assessor(REPOSITORY / "models" / "weights" / "niqe.safetensors")
    refused = vsr("train", config(tmp_path), "--data", data, "--out", data, "--init", "a.pth")
    assert (refused.code, "without --init" in refused.err) == (2, True)
