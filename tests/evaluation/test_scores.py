"""Scores over time, and how frames are scored."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import moving_clip
from vsr.errors import ConfigurationError, MissingDependency
from vsr.evaluation.challenges import CHALLENGES
from vsr.evaluation.frame_scores import open_score
from vsr.evaluation.motion import warping_error
from vsr.evaluation.perceptual import PerceptualScore
from vsr.evaluation.pictures import PictureTaker
from vsr.evaluation.scoring import ClipScorer, Scoring
from vsr.models.ops.imresize import imresize, quantise
from vsr.models.ops.optical_flow import estimate_flow, visible_pixels
from vsr.quality.brisque import brisque
from vsr.quality.metrics import fidelity, luma
from vsr.quality.niqe import niqe
from vsr.streams.ffmpeg.process import find_ffmpeg


def texture(height: int, width: int) -> Tensor:
    """(3, height, width): detail of every size, as pictures have it."""
    generator = torch.Generator().manual_seed(5)
    octaves = (
        imresize(torch.rand(3, height // cell, width // cell, generator=generator), cell) * cell
        for cell in (4, 8, 20)
    )
    return (sum(octaves, torch.zeros(())) / 32).clamp(0, 1)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (-3, 2), (6, -5)])
def test_the_flow_of_a_moving_texture_is_its_motion_almost_everywhere(
    right: int, down: int
) -> None:
    whole = texture(160, 200)
    frame = whole[None, :, 20:-20, 20:-20]
    neighbour = whole[None, :, 20 - down : 140 - down, 20 - right : 180 - right]
    flow = estimate_flow(frame, neighbour)
    wanted = torch.tensor([right, down]).view(1, 2, 1, 1).expand_as(flow)
    inner = (..., slice(12, -12), slice(12, -12))
    right_to_a_tenth = (flow - wanted).abs().amax(1)[inner] < 0.1
    assert right_to_a_tenth.float().mean() > 0.98


def test_pixels_that_leave_the_frame_are_not_visible_and_do_not_count() -> None:
    whole = texture(120, 120)
    frame, neighbour = whole[None, :, :, 8:], whole[None, :, :, :-8]
    flow = torch.zeros(1, 2, 120, 112)
    flow[:, 0] = 8
    visible = visible_pixels(flow, -flow)
    assert visible[..., :-8].min() == 1
    assert visible[..., -8:].max() == 0
    assert float(warping_error(frame, neighbour, flow, visible)) < 1e-12
    assert float(warping_error(frame, neighbour, flow, torch.ones_like(visible))) > 1e-4
    inconsistent = visible_pixels(flow, torch.zeros_like(flow))
    assert inconsistent.max() == 0


def score(restored: Tensor, truth: Tensor, chunk: int, scoring: Scoring) -> dict[str, Any]:
    scorer = ClipScorer(scoring)
    for start in range(0, len(truth), chunk):
        now = slice(start, start + chunk)
        scorer.add(truth[now], restored[now], truth[now])
    scores, pictures = scorer.finish()
    assert not pictures
    return scores


def test_scores_over_time_tell_flicker_from_steadiness() -> None:
    truth = quantise(moving_clip(5, 96, 128))
    generator = torch.Generator().manual_seed(0)
    steady = truth * 0.9
    flicker = (truth + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    scoring = Scoring(temporal=("tof", "warp"))
    same, dim, noisy = (score(x, truth, 2, scoring) for x in (truth, steady, flicker))
    assert same["tof"][0] is None
    assert same["warp"][0] is None
    assert max(same["tof"][1:]) == 0
    assert same["warp"][1:] == same["warp_truth"][1:]
    for t in range(1, 5):
        assert dim["tof"][t] < 0.05 < noisy["tof"][t]
        assert dim["warp"][t] < 5 < noisy["warp"][t]


def test_scores_do_not_depend_on_where_chunks_end() -> None:
    truth = moving_clip(7, 48, 64)
    restored = (truth + 0.03).clamp(0, 1)
    scoring = Scoring(temporal=("tof", "warp"))
    assert score(restored, truth, 1, scoring) == score(restored, truth, 3, scoring)


def test_frames_are_rounded_to_8_bit_clamped_and_cropped_as_asked() -> None:
    truth = quantise(moving_clip(2, 48, 64) * 0.9)
    restored = truth + 0.3 / 255
    restored[:, :, 0] = 7.0
    rounded = score(restored, truth, 2, Scoring(crop=1))
    assert rounded["psnr_rgb"] == [float("inf")] * 2
    clamped = score(restored, truth, 2, Scoring(crop=1, rounded=False))
    assert clamped["psnr_rgb"][0] == pytest.approx(-20 * math.log10(0.3 / 255), abs=0.05)
    with_border = score(restored, truth, 2, Scoring())
    expected = fidelity(quantise(restored), truth)["psnr_y"]
    assert with_border["psnr_y"] == pytest.approx(expected.tolist())
    assert with_border["psnr_y"][0] < 30
    with pytest.raises(ConfigurationError, match="SSIM needs 11 a side"):
        score(restored, truth, 2, Scoring(crop=28))


def test_pictures_show_input_output_and_truth_of_the_middle_and_a_row_over_time() -> None:
    truth = moving_clip(9, 48, 64)
    low = truth[..., ::4, ::4]
    pictures = PictureTaker(9)
    for start in range(0, 9, 4):
        now = slice(start, start + 4)
        pictures.add(low[now], truth[now], truth[now])
    taken = pictures.finish()
    views = ("input", "restored", "truth")
    assert set(taken) == {f"{kind}_{view}" for kind in ("detail", "profile") for view in views}
    details, profiles = (
        {view: decode(taken[f"{kind}_{view}"]) for view in views} for kind in ("detail", "profile")
    )
    assert details["truth"].equal(quantise(truth[4]))
    assert details["restored"].equal(details["truth"])
    assert details["input"].shape == (3, 48, 64)
    assert profiles["truth"].shape == (3, 9, 64)
    assert profiles["truth"][:, 6].equal(quantise(truth[6])[:, 24])


def decode(png: str) -> Tensor:
    import base64
    import io

    import numpy as np
    from PIL import Image

    picture = np.array(Image.open(io.BytesIO(base64.b64decode(png))))
    return quantise(torch.from_numpy(picture).movedim(-1, 0) / 255)


def test_a_missing_extra_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(MissingDependency, match=r"'musiq'.* needs pyiqa.*vsr-stream\[perceptual\]"):
        open_score("musiq", torch.device("cpu"))


def test_a_torchvision_of_another_torch_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchvision raises on import beside a torch it was not built for."""
    (tmp_path / "pyiqa.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist\\nmore')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    with pytest.raises(MissingDependency, match=r"nms does not exist.*install the torchvision"):
        PerceptualScore("lpips", torch.device("cpu"))


def test_scores_of_pyiqa_are_those_it_gives() -> None:
    try:
        import pyiqa  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"the extra 'perceptual' is not installed, or does not load ({error})")
    truth = moving_clip(2, 96, 128)
    restored = (truth + 0.05).clamp(0, 1)
    ssim_of_pyiqa = PerceptualScore("ssim", torch.device("cpu"))
    assert not ssim_of_pyiqa.lower_is_better
    scores = ssim_of_pyiqa(restored, truth)
    assert scores.shape == (2,)
    assert float(scores[0]) == pytest.approx(
        float(fidelity(restored, truth)["ssim_y"][0]), abs=0.02
    )
    with pytest.raises(ConfigurationError, match="'nonsense' is unknown"):
        PerceptualScore("nonsense", torch.device("cpu"))


def test_niqe_and_brisque_are_those_of_other_programs() -> None:
    """mmagic 1.2.0; brisque 0.2.0 with the resizing, grey and shifts of the authors' program."""
    frame = quantise(texture(200, 320))
    assert float(niqe(frame)) == pytest.approx(8.23150, abs=1e-3)
    assert float(brisque(frame)) == pytest.approx(59.058, abs=0.1)


def test_a_flat_frame_has_no_niqe_and_a_small_one_is_refused() -> None:
    assert niqe(torch.full((3, 192, 192), 0.5)).isnan()
    with pytest.raises(ConfigurationError, match="NIQE needs 96 pixels a side; 120x80"):
        niqe(torch.zeros(3, 80, 120))


def test_libvmaf_scores_chunks_as_it_scores_files(tmp_path: Path) -> None:
    truth = quantise(moving_clip(5, 97, 217))
    restored = (truth + 0.05 * torch.randn(truth.shape, generator=torch.Generator())).clamp(0, 1)
    names = ("vmaf", "vmaf-neg", "cambi")
    mine = score(restored, truth, 2, Scoring(libvmaf=names))
    files = {"a": quantise(restored), "b": truth}
    for name, frames in files.items():
        planes = luma(frames).mul(255).round().byte().expand(-1, 3, -1, -1).clone()
        planes[:, 1:] = 128
        (tmp_path / name).write_bytes(planes.numpy().tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-video_size", "217x97", "-i"]
    models = r"version=vmaf_v0.6.1|version=vmaf_v0.6.1neg\:name=vmaf_neg"
    graph = f"libvmaf=model='{models}':feature=name=cambi:log_fmt=json:log_path=/dev/stdout"
    inputs = [word for name in files for word in (*raw, str(tmp_path / name))]
    command = [find_ffmpeg(), "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    for key in ("vmaf", "vmaf_neg", "cambi"):
        assert mine[key] == pytest.approx([f["metrics"][key] for f in said["frames"]], abs=1e-4)
    assert mine["vmaf"][2] < 99


def test_frames_too_small_for_libvmaf_are_refused_before_it_crashes() -> None:
    tiny = torch.rand(2, 3, 16, 40)
    with pytest.raises(ConfigurationError, match="libvmaf needs 32 pixels a side; 40x16"):
        score(tiny, tiny, 2, Scoring(libvmaf=("vmaf",)))


def test_challenges_combine_scores_as_their_programs_do() -> None:
    one = torch.ones(1, dtype=torch.float64)
    scores = {"psnr_rgb": 30 * one, "ssim_y": 0.9 * one, "lpips": 0.1 * one, "dists": 0.2 * one}
    scores |= {"clipiqa": 0.5 * one, "maniqa-pipal": 0.4 * one, "musiq": 60 * one, "niqe": 4 * one}
    assert float(CHALLENGES["raim2026"].combine(scores)) == pytest.approx(18 + 18 + 22.5)
    assert float(CHALLENGES["ntire"].combine(scores)) == pytest.approx(0.9 + 0.8 + 0.9 + 0.6 + 0.6)
    equal = scores | {"psnr_rgb": torch.inf * one, "ssim_y": one, "lpips": 0 * one}
    assert float(CHALLENGES["raim2026"].combine(equal)) == pytest.approx(48 + 22.5 + 30)


def test_learnt_scores_say_in_a_line_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingDependency, match=r"'lpips' needs torchmetrics.*vsr-stream\[lpips\]"):
        open_score("lpips", torch.device("cpu"))
