"""Deleting the artefacts of a network: cases, fine-tuning, what is reported."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import pytest
import torch

from tests.command_line import Run
from tests.networks import moving_clip
from tests.training.test_training import CONFIGS
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Bicubic
from vsr.models.architectures.srvgg import SRVGGNetCompact
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.guard.network import Guarded
from vsr.models.loading import load_network
from vsr.toml_tables import read_toml
from vsr.training.artefact_cases import CaseSettings, collect, load_cases
from vsr.training.clips import ClipShape
from vsr.training.config import Reporting, Schedule
from vsr.training.desra import DesraConfig, delete_artefacts
from vsr.training.loop import StepReport, Training

CONFIG = DesraConfig(
    cases=CaseSettings(videos="clips", hold_out=("held.mkv",), most=12),
    schedule=Schedule(
        iterations=40,
        batch=4,
        frames=1,
        patch=24,
        warmup=1,
        learning_rate=2e-2,
        clip_norm=10.0,
        precision="float32",
    ),
    reporting=Reporting(log_every=1, save_every=10, validation_frames=4),
)


def inventing() -> SRVGGNetCompact:
    """Nearest enlargement by 4, with a checkerboard wherever a frame is red."""
    network = SRVGGNetCompact(num_feat=4, num_conv=1)
    for parameter in network.parameters():
        parameter.data.zero_()
    first, _, second, _, last = network.body
    for conv in (first, second):
        assert isinstance(conv, torch.nn.Conv2d)
        conv.weight.data[0, 0, 1, 1] = 1
    assert isinstance(first, torch.nn.Conv2d)
    assert first.bias is not None
    first.bias.data[0] = -0.5  # nothing is left of less red than that
    rows, columns = torch.arange(4)[:, None], torch.arange(4)
    board = ((rows + columns) % 2 * 2 - 1).float().flatten()
    assert isinstance(last, torch.nn.Conv2d)
    last.weight.data[:, 0, 1, 1] = 0.6 * board.repeat(3)
    return network


def film(path: Path, seed: int) -> None:
    """Six frames of a texture, with a red square."""
    clip = 0.2 + 0.2 * moving_clip(6, 48, 72, seed)
    clip[:, 0, 12:36, 8:32] += 0.5
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "6"})
        stream.height, stream.width = clip.shape[-2:]
        for frame in clip.mul(255).round().byte().permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "films" / "clips").mkdir(parents=True)
    for seed, name in enumerate(("a.mkv", "b.mkv", "held.mkv")):
        film(tmp_path / "films" / "clips" / name, seed)
    return tmp_path / "films"


@pytest.fixture
def vivid(tmp_path: Path) -> str:
    path = tmp_path / "vivid.safetensors"
    save_network(inventing(), path)
    return str(path)


def test_cases_are_where_something_is_found_and_show_it_faithfully(
    films: Path, vivid: str, tmp_path: Path
) -> None:
    guard, faithful = Guarded(load_network(vivid), Bicubic(scale=4)), Bicubic(scale=4)
    paths = sorted((films / "clips").iterdir())[:2]
    settings = replace(CONFIG.cases, most=5)
    cases = collect(guard, paths, settings, ClipShape(frames=2, size=24))
    assert cases.num_found == 5
    assert cases.inputs.shape == (10, 2, 3, 24, 24)
    assert cases.truths.shape == (10, 2, 3, 96, 96)
    inputs, truths = cases.inputs.float() / 255, cases.truths.float() / 255
    with torch.inference_mode():
        results = [network(inputs).clamp(0, 1) for network in (guard.vivid, faithful)]
    errors = [(truths - result).abs().mean((1, 2, 3, 4)) for result in results]
    assert (errors[0][:5] > 0.02).all()
    assert (errors[0][5:] < 0.002).all()  # the mean of what was rounded to bytes twice
    cases.save(tmp_path / "cases.safetensors")
    again = load_cases(tmp_path / "cases.safetensors")
    assert torch.equal(again.truths, cases.truths)
    assert again.num_found == 5


def test_batches_hold_both_kinds_turned_alike_and_can_be_continued(films: Path, vivid: str) -> None:
    guard = Guarded(load_network(vivid), Bicubic(scale=4))
    paths = sorted((films / "clips").iterdir())[:2]
    cases = collect(guard, paths, CONFIG.cases, ClipShape(frames=1, size=24))
    batches = cases.batches(8, seed=3, start=0)
    _, (inputs, truths) = next(batches), next(batches)
    red = inputs[:, 0, 0].float().mean((1, 2)) > 100
    assert 0 < int(red.sum()) < 8
    reduced = torch.nn.functional.avg_pool2d(truths.flatten(0, 1).float(), 4)
    assert (reduced - inputs.flatten(0, 1)).abs().mean() < 6
    assert torch.equal(next(cases.batches(8, seed=3, start=1))[0], inputs)


def test_fine_tuning_deletes_artefacts_and_keeps_the_rest(
    films: Path, vivid: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    report = delete_artefacts(CONFIG, films, run, vivid=vivid, faithful="bicubic-x4", device="cpu")
    assert report.before > 0.1
    assert report.after < 0.2 * report.before
    assert report.kept_db > 35
    network = load_network(str(report.weights))
    assert network.facts.scale == 4
    assert report.num_cases == 12


def test_an_interrupted_run_collects_nothing_again_and_ends_in_the_same_weights(
    films: Path, vivid: str, tmp_path: Path
) -> None:
    config = replace(CONFIG, schedule=replace(CONFIG.schedule, iterations=12))
    delete = partial(
        delete_artefacts, config, films, vivid=vivid, faithful="bicubic-x4", device="cpu"
    )

    def stop(step: StepReport, training: Training) -> None:
        if step.iteration == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete(tmp_path / "broken", on_progress=stop)
    clips = [films / "clips" / name for name in ("a.mkv", "b.mkv")]
    coded = [clip.read_bytes() for clip in clips]
    for clip in clips:
        clip.write_bytes(b"no longer needed")
    broken = delete(tmp_path / "broken")
    for clip, data in zip(clips, coded, strict=True):
        clip.write_bytes(data)
    whole = delete(tmp_path / "whole")
    assert broken.weights.read_bytes() == whole.weights.read_bytes()
    assert replace(broken, weights=whole.weights) == whole


def test_the_command_says_the_share_before_and_after(
    films: Path, vivid: str, tmp_path: Path, vsr: Run
) -> None:
    config = tmp_path / "desra.toml"
    config.write_text(
        """
        [cases]
        videos = "clips"
        hold_out = ["held.mkv"]
        [schedule]
        iterations = 1
        batch = 1
        frames = 1
        patch = 24
        """
    )
    words = ["train", config, "--data", films, "--out", tmp_path / "run", "--device", "cpu"]
    done = vsr(*words, "--init", vivid, "--desra", "bicubic-x4")
    said = " ".join(done.err.split())
    assert re.search(r"trained on \d+ pieces with artefacts; .* was replaced before and", said)
    assert Path(done.out.strip()).is_file()
    assert "--desra needs --init" in vsr(*words, "--desra", "bicubic-x4").err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(CONFIG, cases=replace(CONFIG.cases, hold_out=("no.mkv",))), "name one in hold"),
        (replace(CONFIG, cases=replace(CONFIG.cases, least_share=1.1)), "give other videos"),
        (replace(CONFIG, schedule=replace(CONFIG.schedule, flow_weight=0.1)), "leave flow_iter"),
    ],
)
def test_impossible_requests_are_reported(
    changed: DesraConfig, message: str, films: Path, vivid: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        delete_artefacts(
            changed, films, tmp_path / "run", vivid=vivid, faithful="bicubic-x4", device="cpu"
        )


def test_the_shipped_configuration_is_valid() -> None:
    config = read_toml(DesraConfig, CONFIGS / "desra.toml")
    assert config.cases.hold_out
