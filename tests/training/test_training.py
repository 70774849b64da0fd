"""Training: configuration, steps, checkpoints, resumption."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.media import Clip, write_clip
from tests.training.test_clips import write_images
from vsr.errors import CheckpointError, ConfigurationError, DecodeError, OpenError
from vsr.models.architecture_table import build_network
from vsr.models.loading import load_network
from vsr.training.config import (
    DataSettings,
    NetworkSettings,
    Reporting,
    Schedule,
    Stage,
    TrainingConfig,
    read_training_config,
    staged,
)
from vsr.training.loop import charbonnier, flow_error, learning_rate
from vsr.training.processes import Rank, average_gradients
from vsr.training.run import Progress, train

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

TINY = TrainingConfig(
    network=NetworkSettings(
        architecture="compact",
        options={"num_feat": 8, "num_blocks": 1, "num_tail": 4, "num_flow": 4, "flow_levels": 2},
    ),
    data=DataSettings(photographs="stills", photograph_share=1.0),
    schedule=Schedule(
        iterations=6, flow_iterations=2, batch=2, frames=3, patch=12, warmup=1, learning_rate=2e-3
    ),
    reporting=Reporting(log_every=1, save_every=4, validate_every=100),
)


def losses(out: Path) -> list[float]:
    with (out / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def train_and_interrupt(config: TrainingConfig, footage: Path, out: Path, *, at: int) -> None:
    """Train until an iteration, as if Ctrl-C were pressed there."""

    def stop(progress: Progress) -> None:
        if progress.step.iteration == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, footage, out, device="cpu", on_progress=stop)


@pytest.mark.slow
def test_a_run_continues_from_its_checkpoint(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_and_interrupt(TINY, footage, out, at=5)
    seen: list[int] = []
    train(TINY, footage, out, device="cpu", on_progress=lambda p: seen.append(p.step.iteration))
    assert seen == [5, 6, 7, 8]


@pytest.mark.parametrize("branches", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    footage: Path, tmp_path: Path, branches: bool
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    schedule = replace(TINY.schedule, flow_rate=0.5, flow_weight=0.1, branches=branches)
    config = replace(TINY, schedule=schedule)
    train(config, footage, whole, device="cpu")
    train_and_interrupt(config, footage, broken, at=5)  # one step beyond the checkpoint
    train(replace(config, data=replace(config.data, workers=2)), footage, broken, device="cpu")
    assert losses(whole)[4:] == losses(broken)[5:]
    ends = [torch.load(out / "last.pt", weights_only=True)["network"] for out in (whole, broken)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_training_lowers_the_loss(footage: Path, tmp_path: Path) -> None:
    config = replace(TINY, schedule=replace(TINY.schedule, iterations=40, flow_iterations=0))
    train(config, footage, tmp_path / "run", device="cpu")
    curve = losses(tmp_path / "run")
    assert sum(curve[-8:]) < sum(curve[:8])


@pytest.mark.parametrize("share", [pytest.param(0.0, marks=pytest.mark.slow), 1.0])
def test_drafts_and_flow_learn_along_whole_and_as_a_stream(
    footage: Path, tmp_path: Path, share: float
) -> None:
    schedule = replace(
        TINY.schedule, flow_iterations=0, flow_rate=0.5, flow_weight=0.1, draft_weight=0.5
    )
    config = replace(TINY, schedule=replace(schedule, stream_share=share))
    train(config, footage, tmp_path / "run", device="cpu")
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"]
    learnt = ("flow.finest.0.6", "backward_branch.draft", "forward_branch.draft")
    assert all(saved[f"{name}.weight"].any() for name in learnt)


def test_a_network_learns_the_ground_truth_as_it_is_or_sharpened(
    footage: Path, tmp_path: Path
) -> None:
    schedule = replace(TINY.schedule, flow_iterations=0, iterations=1)
    first = {
        share: losses_of(replace(schedule, sharpen=share, sharpen_sigma=1.5), footage, tmp_path)[0]
        for share in (0.0, 1.0)
    }
    assert first[1.0] > first[0.0]


def losses_of(schedule: Schedule, footage: Path, tmp_path: Path) -> list[float]:
    out = tmp_path / f"sharpened by {schedule.sharpen}"
    train(replace(TINY, schedule=schedule), footage, out, device="cpu")
    return losses(out)


def test_a_flow_is_judged_by_the_length_of_its_error() -> None:
    truth = torch.zeros(1, 2, 3, 4)
    off = truth + torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert float(flow_error(off, truth)) == pytest.approx(5**0.5, rel=1e-4)
    assert float(flow_error(truth, truth)) < 0.11


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("basicvsr", {"num_feat": 4, "num_block": 1}),
        pytest.param(
            "iconvsr",
            {"num_feat": 8, "num_block": 1, "keyframe_stride": 2, "temporal_padding": 1},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "edvr",
            {"num_feat": 8, "num_frame": 3, "num_extract_block": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_published_networks_are_trained_and_their_flow_from_its_step_on(
    architecture: str, options: dict[str, Any], footage: Path, tmp_path: Path
) -> None:
    config = replace(
        TINY,
        network=NetworkSettings(architecture=architecture, options=options),
        schedule=Schedule(
            iterations=2, flow_rate=0.5, flow_from=1, batch=1, frames=3, patch=16, warmup=1
        ),
        reporting=Reporting(save_every=1),
    )
    train_and_interrupt(config, footage, tmp_path / "run", at=1)
    states = [torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"]]
    train(config, footage, tmp_path / "run", device="cpu")
    states.append(torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"])
    torch.manual_seed(config.schedule.seed)
    states.insert(0, build_network(architecture, options).state_dict())
    has_flow = architecture != "edvr"
    for (before, after), flow_learns in zip(pairwise(states), (False, has_flow), strict=True):
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        assert any("spynet" in name for name in changed) == flow_learns
        assert any("spynet" not in name for name in changed)


def test_another_network_than_the_checkpoints_is_refused(footage: Path, tmp_path: Path) -> None:
    train(TINY, footage, tmp_path / "run", device="cpu")
    wider = replace(TINY, network=NetworkSettings(architecture="compact", options={"num_feat": 16}))
    with pytest.raises(CheckpointError, match="train into an empty folder"):
        train(wider, footage, tmp_path / "run", device="cpu")


def test_a_damaged_checkpoint_is_reported(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match="is damaged; remove it"):
        train(TINY, footage, tmp_path / "run", device="cpu")


def test_flow_iterations_of_a_network_without_flow_are_refused(
    footage: Path, tmp_path: Path
) -> None:
    published = replace(TINY, network=NetworkSettings(architecture="edvr"))
    with pytest.raises(ConfigurationError, match="edvr has no flow network to be trained"):
        train(published, footage, tmp_path / "run", device="cpu")


def test_an_image_network_is_trained_without_flow(footage: Path, tmp_path: Path) -> None:
    small = NetworkSettings(architecture="srvgg", options={"num_feat": 8, "num_conv": 1})
    schedule = replace(TINY.schedule, iterations=40, flow_iterations=0)
    config = replace(TINY, network=small, schedule=schedule)
    train(config, footage, tmp_path / "run", device="cpu")
    curve = losses(tmp_path / "run")
    assert sum(curve[-8:]) < sum(curve[:8])


def test_missing_footage_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="stills"):
        train(TINY, tmp_path, tmp_path / "run", device="cpu")


def test_the_learning_rate_warms_up_and_falls_in_both_phases() -> None:
    schedule = Schedule(iterations=100, flow_iterations=50, warmup=10, learning_rate=1.0)
    rates = [learning_rate(schedule, i) for i in range(150)]
    assert rates[0] < rates[9] > rates[49]
    assert rates[50] < rates[60] > rates[149]
    assert max(rates) <= 1.0


def test_every_shipped_training_configuration_is_valid() -> None:
    paths = [p for p in CONFIGS.glob("*.toml") if "[network]" in p.read_text()]
    assert paths
    for path in paths:
        read_training_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[network]\narchitecture = 3", "architecture is 3; give a str"),
        ("[network]\narchitectur = 'compact'", "did you mean 'architecture'"),
        ("[schedule]\nbatch = 2", "'network' is missing"),
        ("[network]\narchitecture = 'compact'\n[data]\nworkers = 'two'", "give a int"),
        ("not toml", "is not TOML"),
        ("[schedule]\nprecision = 'bf16'", "precision is 'bf16'; give 'bfloat16' or 'float32'"),
        ("[schedule]\nbatch = 0", "batch is 0; give 1 or more"),
        ("[reporting]\nsave_every = 0", "save_every is 0; give 1 or more"),
        ("[data]\ncandidates = 0", "candidates is 0; give 1 or more"),
    ],
)
def test_a_wrong_configuration_names_the_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_training_config(path)


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        read_training_config(tmp_path / "nowhere.toml")


def test_trained_weights_load_as_a_network(
    footage: Path, tmp_path: Path, video: Callable[[Path], None]
) -> None:
    (footage / "clips").mkdir()
    video(footage / "clips" / "held.mp4")
    config = replace(TINY, data=replace(TINY.data, videos="clips", hold_out=("held.mp4",)))
    scores: list[float | None] = []
    best = train(
        config,
        footage,
        tmp_path / "run",
        device="cpu",
        on_progress=lambda p: scores.append(p.validation_psnr_y),
    )
    assert scores[-1] is not None
    with torch.inference_mode():
        assert load_network(str(best))(torch.rand(1, 2, 3, 8, 8)).shape == (1, 2, 3, 32, 32)


def test_stages_change_the_shape_of_clips_and_not_where_a_run_resumes(
    footage: Path, tmp_path: Path
) -> None:
    stages = (Stage(until=3, batch=3, frames=2, patch=8),)
    config = replace(TINY, schedule=replace(TINY.schedule, stages=stages))
    shapes = [staged(config, done)[0].schedule.patch for done in range(8)]
    assert shapes == [8] * 5 + [12] * 3  # two steps of the flow come first
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(config, footage, whole, device="cpu")
    train_and_interrupt(config, footage, broken, at=6)
    train(config, footage, broken, device="cpu")
    assert losses(whole)[4:] == losses(broken)[6:]


def test_a_run_without_held_out_videos_leaves_its_last_weights(
    footage: Path, tmp_path: Path
) -> None:
    for iterations in (1, 2):  # the second run goes on
        config = replace(TINY, schedule=replace(TINY.schedule, iterations=iterations))
        written = train(config, footage, tmp_path / "run", device="cpu")
        assert written == tmp_path / "run" / "last.safetensors"
        average = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["average"]
        kept = load_network(str(written)).state_dict()
        for name, values in average.items():
            assert torch.equal(kept[name], values.half().to(kept[name].dtype)), name


def test_a_run_that_has_ended_is_validated_once_a_video_is_held_out(
    footage: Path, tmp_path: Path
) -> None:
    train(TINY, footage, tmp_path / "run", device="cpu")
    (footage / "clips").mkdir()
    write_clip(footage / "clips" / "a.mkv", Clip(num_frames=4, height=64, width=64))
    config = replace(TINY, data=replace(TINY.data, videos="clips", hold_out=("a.mkv",)))
    assert train(config, footage, tmp_path / "run", device="cpu").is_file()


def test_weights_of_another_network_are_no_beginning(footage: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no weights of the network, compact"):
        train(TINY, footage, tmp_path / "run", device="cpu", init="unet-x1-video")


def test_updates_need_weights(footage: Path, tmp_path: Path) -> None:
    config = read_training_config(CONFIGS / "finetune.toml")
    with pytest.raises(ConfigurationError, match="give them with --init"):
        train(config, footage, tmp_path / "run", device="cpu")


def test_the_scale_is_the_networks(footage: Path, tmp_path: Path) -> None:
    network = NetworkSettings(architecture="unet")
    schedule = Schedule(iterations=1, batch=1, frames=1, patch=16, precision="float32")
    config = replace(TINY, network=network, schedule=schedule)
    train(config, footage, tmp_path / "run", device="cpu")
    assert losses(tmp_path / "run")[0] < 1


def test_an_error_in_a_process_that_makes_clips_is_one_line(footage: Path, tmp_path: Path) -> None:
    frames = footage / "clips" / "a"
    write_images(frames, 3)
    (frames / "00000001.png").write_bytes(b"no image")
    (frames / "00000002.png").unlink()
    data = replace(TINY.data, photographs="", videos="clips", workers=1)
    schedule = replace(TINY.schedule, flow_iterations=0, flow_weight=0.0, frames=2, patch=12)
    with pytest.raises(DecodeError) as raised:
        train(replace(TINY, data=data, schedule=schedule), footage, tmp_path / "run", device="cpu")
    assert "00000001.png" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(saved: object, path: Path) -> None:
        path.write_bytes(b"begun")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr("vsr.training.checkpoint.torch.save", full)
    with pytest.raises(OpenError, match="failed writing file"):
        train(TINY, footage, tmp_path / "run", device="cpu")
    assert not [path for path in (tmp_path / "run").iterdir() if path.suffix == ".part"]


def test_a_teacher_is_learnt_from(footage: Path, tmp_path: Path) -> None:
    config = replace(TINY, schedule=replace(TINY.schedule, flow_iterations=0, iterations=1))
    train(config, footage, tmp_path / "alone", device="cpu")
    train(config, footage, tmp_path / "taught", device="cpu", teacher="bicubic-x4")
    (alone,), (taught,) = losses(tmp_path / "alone"), losses(tmp_path / "taught")
    assert taught > alone + Schedule().charbonnier_epsilon


def test_a_run_starts_from_a_model_of_the_catalogue(footage: Path, tmp_path: Path) -> None:
    config = read_training_config(CONFIGS / "finetune.toml")
    schedule = replace(config.schedule, iterations=1, learning_rate=0.0, batch=1, frames=1)
    config = replace(config, data=TINY.data, schedule=replace(schedule, patch=12))
    train(config, footage, tmp_path / "run", device="cpu", init="compact-x4-video")
    average = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["average"]
    wanted = load_network("compact-x4-video").state_dict()
    assert all(torch.equal(average[name], wanted[name]) for name in average)


def test_a_teacher_of_another_scale_is_refused(footage: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="enlarges by 2, the network by 4"):
        train(TINY, footage, tmp_path / "run", device="cpu", teacher="bicubic-x2")


def test_a_log_for_tensorboard(footage: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = replace(TINY, reporting=replace(TINY.reporting, tensorboard=True))
    train(config, footage, tmp_path / "run", device="cpu")
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    shown = [event.value for event in events.Scalars("loss")]
    assert shown == pytest.approx(losses(tmp_path / "run"), abs=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_first_200_losses(footage: Path, tmp_path: Path) -> None:
    config = replace(TINY, schedule=replace(TINY.schedule, iterations=198))
    for run in ("first", "second"):
        train(config, footage, tmp_path / run, device="cpu")
    first, second = losses(tmp_path / "first"), losses(tmp_path / "second")
    assert first == second
    assert len(first) == 200


@pytest.mark.slow
def test_processes_of_torchrun_keep_the_same_weights(footage: Path, tmp_path: Path) -> None:
    """Two processes: the first writes, and continues alone with the weights of both."""
    config = tmp_path / "tiny.toml"
    config.write_text(
        """
        [network]
        architecture = "compact"
        options = { num_feat = 8, num_blocks = 1, num_tail = 4, num_flow = 4, flow_levels = 2 }
        [data]
        photographs = "stills"
        photograph_share = 1.0
        [schedule]
        iterations = 6
        batch = 1
        frames = 3
        patch = 12
        [reporting]
        log_every = 1
        save_every = 3
        """
    )
    words = ["train", str(config), "--data", str(footage), "--out", str(tmp_path / "run")]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vsr"]
    done = subprocess.run(
        [sys.executable, *launch, *words, "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "hold out a video" in done.stderr, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "last.safetensors")
    assert len(losses(tmp_path / "run")) == 6


@pytest.mark.slow
def test_gradients_of_all_processes_are_averaged(tmp_path: Path) -> None:
    mp.spawn(_average, (str(tmp_path),), 2)  # type: ignore[attr-defined, no-untyped-call]
    for number in range(2):
        assert torch.load(tmp_path / f"{number}.pt").tolist() == [[1.5, 3.0], [0.5, 0.5]]


def _average(number: int, folder: str) -> None:
    """Run by each of two processes; the gradients of both, in a file."""
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=number, world_size=2)
    used, unused = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    used.grad = torch.tensor([1.0, 2.0]) * (number + 1)
    if number:
        unused.grad = torch.ones(2)
    average_gradients([used, unused], Rank(number, 2))
    assert unused.grad is not None
    torch.save(torch.stack([used.grad, unused.grad]), f"{folder}/{number}.pt")
    dist.destroy_process_group()


def test_errors_under_epsilon_count_by_their_squares() -> None:
    truth, epsilon = torch.zeros(1), 0.01

    def loss(error: float) -> float:
        return float(charbonnier(truth + error, truth, epsilon)) - epsilon

    assert loss(0.002) == pytest.approx(4 * loss(0.001), rel=0.02)
    assert loss(2.0) == pytest.approx(2 * loss(1.0), rel=0.02)
