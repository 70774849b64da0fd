"""Assessment: degraded footage is distinguished from clean, and each kind from the others."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.networks import moving_clip
from vsr.assessment import scene
from vsr.assessment.assess import Assessment, assess
from vsr.assessment.features import NUM_FEATURES, colour_noise, measure
from vsr.assessment.regression import LEARNT, load_assessor
from vsr.assessment.samples import Amounts, coding_severity, degrade, draw_amounts, make_sample
from vsr.evaluation.assessment_page import WorstWindows
from vsr.streams import open_reader
from vsr.streams.decode.own_coding import keeps_detail
from vsr.streams.decode.quantisers import read_quantisers
from vsr.training.assessor import AssessorSettings, FitSettings, fit, rank_correlation
from vsr.training.assessor_samples import Samples


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_the_quantiser_of_h264_is_read_from_the_decoder(tmp_path: Path) -> None:
    for qp in (20, 40):
        options = {"qp": str(qp), "g": "1"}
        path = write_clip(tmp_path / f"{qp}.mkv", Clip(num_frames=3, options=options))
        quantisers = [frame.qp for frame in read_quantisers(str(path))]
        assert len(quantisers) == 3
        # I frames are a little finer than what is asked for P frames.
        assert quantisers == pytest.approx([qp - 3] * 3, abs=2)


def test_mpegs_quantiser_is_given_in_h264s_scale(tmp_path: Path) -> None:
    clip = Clip(num_frames=3, codec="mpeg4", options={"qmin": "8", "qmax": "8"})
    path = write_clip(tmp_path / "mpeg4.mkv", clip)
    assert [frame.qp for frame in read_quantisers(str(path))] == pytest.approx([28] * 3, abs=1)


def test_a_codec_that_does_not_tell_has_no_quantisers(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(num_frames=2, codec="ffv1"))
    assert not list(read_quantisers(str(path)))


@pytest.mark.parametrize(
    ("amounts", "kind"),
    [
        (Amounts(noise=15), "noise"),
        (Amounts(blur=2.5), "blur"),
        (Amounts(codec="mpeg4", qp=38), "coding"),
        (Amounts(motion=10), "blur"),
    ],
)
def test_a_degradation_raises_its_own_severity_most(amounts: Amounts, kind: str) -> None:
    clean = moving_clip(4, 192, 192)
    before, after = (
        load_assessor().estimate(load_assessor().describe(frames)[None]).severity[0]
        for frames in (clean, degrade(clean, amounts, rng()))
    )
    assert LEARNT[int((after - before).argmax())] == kind


def test_features_have_their_length_and_are_finite_on_black() -> None:
    features = measure(torch.zeros(2, 3, 64, 64))
    assert features.shape == (NUM_FEATURES,)
    assert features.isfinite().all()


def test_interlaced_motion_is_combed_and_progressive_motion_is_not() -> None:
    bars = (torch.arange(128) // 16 % 2 * 120.0 + 60).expand(128, 128)
    clip = torch.stack([bars.roll(5 * i, 1) for i in range(8)])
    woven = clip[::2].clone()
    woven[:, 1::2] = clip[1::2, 1::2]
    assert scene.combing(woven) > 0.5
    assert scene.combing(clip[::2]) == 0


def test_a_slope_in_whole_levels_is_banded_and_noise_hides_it() -> None:
    slope = torch.linspace(40, 52, 256).expand(128, 256)
    assert scene.banding(slope) > 0.5
    assert scene.banding(slope + torch.randn(128, 256, generator=rng())) == 0


@pytest.mark.parametrize("frames", [5, 6])
def test_film_in_interlaced_video_repeats_one_field_of_each_kind_in_five_frames(
    frames: int,
) -> None:
    film = moving_clip(40, 64, 64)
    # Fields of 2 and 3 to a frame of the film; with a step of 6 there is no such pattern.
    order = [0, 0, 1, 1, 1, 2, 2, 3, 3, 3] if frames == 5 else [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    held = [film[4 * (i // 10) + order[i % 10]] if frames == 5 else film[i % 40] for i in range(80)]
    measurements = scene.SceneMeasurements(load_assessor())
    for i in range(40):
        frame = held[2 * i].clone()
        frame[:, 1::2] = held[2 * i + 1][:, 1::2]
        measurements.add(frame, i / 30)
    severity = measurements.finish([]).findings["telecine"].severity
    assert (severity > 0.9) == (frames == 5)


def test_noise_in_colours_is_told_from_grey_noise() -> None:
    clean = moving_clip(1, 128, 128)
    grey, coloured = (
        colour_noise(degrade(clean, Amounts(noise=15, grey=grey), rng())[0])
        for grey in (True, False)
    )
    assert grey < colour_noise(clean[0]) + 0.5
    assert coloured > grey + 2


def test_severities_are_of_what_coding_has_left() -> None:
    clean = moving_clip(4, 128, 128)
    fine, coarse = (
        make_sample(clean, Amounts(noise=10, codec="mpeg4", qp=qp), rng()).severities
        for qp in (16, 46)
    )
    noise = LEARNT.index("noise")
    assert fine[noise] > 0.4
    assert coarse[noise] < 0.2
    # The coarsest quantiser of MPEG-4 is 31, a step of 62.
    assert coarse[0] == pytest.approx(coding_severity(39.7), abs=0.01)


def test_flicker_is_of_single_frames_and_not_of_a_fade() -> None:
    assert scene.flicker([0.1 * i for i in range(8)]) == pytest.approx(0, abs=1e-4)
    assert scene.flicker([0.5, 0.6] * 4) == 1


def test_frames_that_repeat_the_one_before_are_counted() -> None:
    measurements = scene.SceneMeasurements(load_assessor())
    for i, frame in enumerate(moving_clip(6, 64, 64).repeat_interleave(2, dim=0)):
        measurements.add(frame, i / 25)
    found = measurements.finish([])
    assert found.findings["frozen"].severity == pytest.approx(6 / 11, abs=1e-3)


def test_a_picture_in_which_nothing_moves_is_not_frozen() -> None:
    measurements = scene.SceneMeasurements(load_assessor())
    for i in range(4):
        measurements.add(moving_clip(1, 64, 64)[0], i / 25)
    assert measurements.finish([]).findings["frozen"].severity == 0


def test_a_light_subject_on_black_is_not_too_dark() -> None:
    frame = torch.full((3, 64, 64), 0.05)
    frame[:, 20:40, 20:40] = 0.6

    def exposure(shown: torch.Tensor) -> float:
        measurements = scene.SceneMeasurements(load_assessor())
        measurements.add(shown, 0.0)
        return measurements.finish([]).findings["exposure"].severity

    assert exposure(frame) == 0
    assert exposure(frame / 5) > 0.3


@pytest.mark.parametrize(
    ("clip", "keeps"),
    [
        (Clip(num_frames=3, codec="ffv1"), True),
        (Clip(num_frames=3, options={"crf": "30"}), False),
        (Clip(num_frames=3, codec="mpeg4"), False),
    ],
)
def test_a_file_says_whether_its_own_coding_kept_detail(
    clip: Clip, keeps: bool, tmp_path: Path
) -> None:
    path = str(write_clip(tmp_path / "clip.mkv", clip))
    with open_reader(path) as reader:
        assert keeps_detail(path, reader.info) == keeps


def test_pixels_of_a_lossless_file_have_to_show_coding_plainly() -> None:
    clip = degrade(moving_clip(4, 64, 64), Amounts(codec="mpeg4", qp=40), rng())
    read = []
    for kept in (False, True):
        measurements = scene.SceneMeasurements(load_assessor(), keeps_detail=kept)
        for i, frame in enumerate(clip):
            measurements.add(frame, i / 25)
        read.append(measurements.finish([]).findings["coding"].severity)
    assert read[0] > 0.2
    left = max(0, read[0] - scene.UNSURE) / (1 - scene.UNSURE)
    assert read[1] == pytest.approx(left, abs=2e-3)


def test_unsure_findings_are_not_reported() -> None:
    findings = {kind: scene.Finding(severity=0.0, confidence=1.0) for kind in scene.KINDS}
    findings |= {"blur": scene.Finding(severity=0.9, confidence=0.1)}
    findings |= {"noise": scene.Finding(severity=0.9, confidence=0.8)}
    one = scene.SceneAssessment(start_s=0, end_s=1, frames=9, findings=findings, qp=None)
    assert Assessment(source="a", width=1, height=1, scenes=(one,)).summary() == "noisy"


def test_frames_too_small_to_measure_are_reported_to_be_unsure(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "tiny.mkv", Clip(num_frames=6, height=16, width=24, codec="ffv1"))
    scenes = assess(str(path)).scenes
    assert sum(one.frames for one in scenes) == 6
    assert all(one.findings["noise"].confidence == 0 for one in scenes)


def test_severities_are_ordered_by_amount() -> None:
    assert coding_severity(10) == 0 < coding_severity(25) < coding_severity(40) <= 1
    drawn = [draw_amounts(rng(), ["libx264"]).severities() for _ in range(2)]
    assert drawn[0].equal(drawn[1])
    assert all(0 <= value <= 1 for value in drawn[0])


def test_training_learns_an_order() -> None:
    features = torch.randn(200, NUM_FEATURES, generator=rng())
    samples = Samples(
        luma_NTHW=torch.zeros(200, 4, 16, 16, dtype=torch.uint8),
        features_NF=features,
        severities_NS=features[:, : len(LEARNT)].sigmoid(),
    )
    assessor = fit([samples], AssessorSettings(), FitSettings(steps=200, patch=16), seed=1)
    described = torch.cat((features, assessor.look(torch.zeros(200, 2, 16, 16))), 1)
    estimated = assessor.estimate(described).severity
    assert rank_correlation(estimated[:, 0], features[:, 0]) > 0.9


def test_ties_share_their_rank() -> None:
    assert rank_correlation(torch.tensor([1, 1, 2]), torch.tensor([5, 5, 9])) == pytest.approx(1)


def test_the_command_prints_a_table_and_json(tmp_path: Path, vsr: Run) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=10, options={"crf": "45"}))
    table = vsr("assess", path)
    assert table.code == 0
    assert "coarsely coded" in table.out
    found = json.loads(vsr("assess", path, "--json").out)
    assert set(found["means"]) == set(scene.KINDS)
    assert found["scenes"][0]["findings"]["coding"]["confidence"] == 1


def test_the_page_shows_scenes_and_what_looks_worst(tmp_path: Path, vsr: Run) -> None:
    path = write_clip(tmp_path / "a<b.mp4", Clip(num_frames=10, options={"crf": "45"}))
    page = tmp_path / "page.html"
    assert vsr("assess", path, "--html", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert "What ails a&lt;b.mp4" in text
    assert "coarsely coded" in text
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        assert image.size == (96, 72)
    refused = vsr("assess", path, "--html", tmp_path / "nowhere" / "page.html")
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_the_worst_scenes_are_shown_worst_first() -> None:
    windows = WorstWindows()
    one = scene.SceneMeasurements(load_assessor())
    one.add(torch.zeros(3, 8, 8), 0.0)
    found = one.finish([])
    for i in range(20):
        pixels = torch.zeros(3, 8, 8, dtype=torch.uint8)
        windows.add(found, scene.WorstWindow(kind="blur", severity=i / 20, pixels=pixels))
    severities = [window.severity for _, window in windows.worst_first]
    assert severities == [i / 20 for i in range(19, 7, -1)]


def test_a_part_is_assessed_by_the_quantisers_of_its_own_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=50, options={"qp": "30", "g": "5"}))
    seen: list[int] = []
    part = assess(str(path), start_s=1, end_s=1.6, on_progress=lambda now: seen.append(now.frames))
    assert sum(one.frames for one in part.scenes) == seen[-1] == 15
    assert all(one.qp is not None and 24 < one.qp < 33 for one in part.scenes)


def test_a_stop_ends_early_with_the_scenes_so_far(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(num_frames=40))
    stop = threading.Event()
    found = assess(str(path), on_progress=lambda _: stop.set(), stop=stop)
    assert 0 < sum(one.frames for one in found.scenes) < 40


def test_files_that_are_no_videos_are_refused_in_a_line(tmp_path: Path, vsr: Run) -> None:
    (tmp_path / "x.mp4").write_text("no video")
    done = vsr("assess", tmp_path / "x.mp4")
    assert done.code == 1
    assert done.err.count("\n") == 1
