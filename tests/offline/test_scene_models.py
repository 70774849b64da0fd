"""Several models for one film: a table says which restores each scene."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.cluster.footage import one_worker
from tests.command_line import Run
from tests.networks import compact, moving_clip
from tests.streaming import frames_of, pieces
from vsr.assessment.scene import KINDS, Finding, SceneAssessment
from vsr.cluster.film import Film, restore_film
from vsr.engine.networks_in_time import NetworkChange
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Bicubic
from vsr.models.catalogue import AUTO_MODEL
from vsr.offline.auto_table import AutoTable, Row, choose_rows, read_table
from vsr.offline.expected_rate import expected_fps
from vsr.offline.job import restore
from vsr.offline.model_choice import choose_models, with_models
from vsr.offline.options import RestoreOptions
from vsr.restorer import Restorer
from vsr.results import DEFAULT_DOING, Progress
from vsr.resume.journal import kept_header
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, StreamInfo

CUT, NUM_FRAMES = 9, 21

BY_LIGHT = """
[[row]]
model = "compact-x2-video"
above = { exposure = 0.5 }

[[row]]
model = "bicubic-x2"
"""


def marked(frames: Tensor, starts: set[int]) -> Chunk:
    times = tuple(range(len(frames)))
    return Chunk(
        frames=frames, pts=times, time_base=Fraction(1, 10), scene_starts=frozenset(starts)
    )


def restored(restorer: Restorer, chunk: Chunk) -> Tensor:
    return frames_of(restorer.push(chunk) + restorer.drain())


def test_another_network_restores_from_the_next_scene_on_and_never_within_one() -> None:
    first, second = compact(), Bicubic(scale=4)
    clip = moving_clip(9, 32, 32)
    change = NetworkChange(at_s=Fraction(3, 10), network=second)
    found = restored(Restorer(first, changes=[change]), marked(clip, {5}))
    torch.testing.assert_close(found[:5], restored(Restorer(first), marked(clip[:5], set())))
    torch.testing.assert_close(found[5:], restored(Restorer(second), marked(clip[5:], set())))


def test_a_saved_stream_continues_with_the_network_it_was_saved_with(tmp_path: Path) -> None:
    first, second = compact(), compact()
    for parameter in second.parameters():
        parameter.data.mul_(0.9)
    clip, change = moving_clip(8, 32, 32), NetworkChange(at_s=Fraction(1, 10), network=second)

    def made() -> Restorer:
        return Restorer(first, chunk=2, look_ahead=0, changes=[change])

    whole = restored(made(), marked(clip, {2}))
    one, other = made(), made()
    begun = frames_of(one.push(marked(clip[:4], {2})))
    one.save(tmp_path / "state.safetensors")
    other.load(tmp_path / "state.safetensors")
    rest = Chunk(frames=clip[4:], pts=(4, 5, 6, 7), time_base=Fraction(1, 10))
    assert torch.equal(torch.cat([begun, restored(other, rest)]), whole)


def test_networks_of_two_scales_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="need one scale"):
        Restorer(compact(), changes=[NetworkChange(at_s=Fraction(1), network=Bicubic(scale=2))])


def seen(coding: float, confidence: float = 1.0) -> SceneAssessment:
    findings = {kind: Finding(severity=0.0, confidence=1.0) for kind in KINDS}
    findings["coding"] = Finding(severity=coding, confidence=confidence)
    return SceneAssessment(start_s=0, end_s=1, frames=25, findings=findings, qp=None)


def unmeasured(coding: float) -> SceneAssessment:
    scene = seen(coding)
    scene.findings["noise"] = Finding(severity=0.0, confidence=0.0)
    return scene


def test_the_first_row_that_fits_is_taken_and_kept_between_similar_scenes() -> None:
    clean = Row(model="compact-x4", below={"coding": 0.1}, confidence={"coding": 0.5})
    coded = Row(model="compact-x4-video")

    def chosen(*scenes: SceneAssessment) -> list[bool]:
        return [row is clean for row in choose_rows([clean, coded], scenes, hold=0.05)]

    assert chosen(seen(0.09), seen(0.12), seen(0.16), seen(0.08), seen(0.04)) == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert chosen(seen(0.0, confidence=0.4)) == [False]
    assert chosen(seen(0.0), unmeasured(0.9)) == [True, True]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[row]]\nmodle = "compact-x4"', "did you mean 'model'"),
        ('[[row]]\nmodel = "compact-x5"', "compact-x5"),
        ('[[row]]\nmodel = "compact-x4"\nbelow = { grain = 1.0 }', "'grain' is no kind"),
        ('[[row]]\nmodel = "compact-x4"\nbelow = { noise = 1.0 }', "no row for all scenes"),
        ('[[row]]\nmodel = "compact-x4"\nbelow = { noise = "low" }', "give a float"),
    ],
)
def test_a_wrong_table_is_refused_in_a_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        read_table(str(path))
    assert "\n" not in str(refused.value)


def test_the_shipped_table_has_rows_for_every_scale() -> None:
    table: AutoTable = read_table(AUTO_MODEL)
    rows = table.of_scale(4)

    def chosen(scene: SceneAssessment) -> str:
        return choose_rows(rows, [scene], table.hold)[0].model

    assert chosen(seen(0.2)) == "compact-x4"
    films = choose_rows(rows, [seen(0.05, confidence=0.9), seen(0.24), seen(0.28)], table.hold)
    assert [row.model for row in films] == ["compact-x4"] * 3
    assert chosen(seen(0.2, confidence=0.9)) == chosen(seen(0.3)) == "compact-x4-video"
    assert [row.model for row in table.of_scale(2)] == ["compact-x2-video"]
    rows = table.of_scale(1)
    assert chosen(seen(0.2)) == "identity"
    assert chosen(seen(0.2, confidence=0.9)) == chosen(seen(0.3)) == "unet-x1-video"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A dark scene and a light one."""
    clip = moving_clip(NUM_FRAMES, 64, 80)
    clip[:CUT] *= 0.1
    info = StreamInfo(height=64, width=80, time_base=Fraction(1, 25))
    writer = open_writer(str(tmp_path / "in.mkv"), info, height=64, width=80, encoder="ffv1")
    for chunk in pieces(clip, 8):
        writer.write(chunk)
    writer.finish()
    (tmp_path / "table.toml").write_text(BY_LIGHT)
    return tmp_path / "in.mkv"


def options_of(film: Path) -> RestoreOptions:
    return RestoreOptions(
        model=str(film.with_name("table.toml")), scale=2, segment=4, chunk=4, encoder="ffv1"
    )


def frames_in(path: Path) -> Tensor:
    with open_reader(path) as reader:
        return torch.cat([chunk.frames for chunk in reader.chunks(8)])


def test_a_dry_run_says_each_change_and_the_run_makes_it(
    film: Path, tmp_path: Path, vsr: Run, caplog: pytest.LogCaptureFixture
) -> None:
    table = str(film.with_name("table.toml"))
    words = ("restore", film, tmp_path / "out.mkv", "-m", table, "--scale", "2")
    dry = vsr(*words, "--dry-run")
    assert "compact-x2-video from 0.00 s on (exposure 0." in dry.out
    assert "bicubic-x2 from 0.36 s on" in dry.out
    done = vsr(*words, "--encoder", "ffv1")
    assert "by compact-x2-video, bicubic-x2" in done.out
    assert "bicubic-x2 from 0.36 s on" in caplog.text
    plain = tmp_path / "plain.mkv"
    restore(str(film), str(plain), RestoreOptions(model="bicubic-x2", encoder="ffv1"))
    shown, bicubic = frames_in(tmp_path / "out.mkv"), frames_in(plain)
    assert torch.equal(shown[CUT:], bicubic[CUT:])
    assert not torch.equal(shown[:CUT], bicubic[:CUT])


def test_a_resumed_run_chooses_what_its_journal_says(film: Path, tmp_path: Path) -> None:
    options, whole, target = options_of(film), tmp_path / "whole.mkv", tmp_path / "out.mkv"
    restore(str(film), str(whole), options)
    stop = threading.Event()

    def look(now: Progress) -> None:
        if now.doing == DEFAULT_DOING and now.frames >= CUT:
            stop.set()

    restore(str(film), str(target), options, on_progress=look, stop=stop)
    header = kept_header(str(target))
    assert header is not None
    assert [scene["model"] for scene in header["models"]] == ["compact-x2-video", "bicubic-x2"]
    film.with_name("table.toml").write_text(BY_LIGHT.replace("0.5", "0.99"))
    assert restore(str(film), str(target), replace(options, resume=True)).resumed
    assert torch.equal(frames_in(target), frames_in(whole))


def test_workers_restore_by_what_was_chosen_for_all(film: Path, tmp_path: Path) -> None:
    options, whole, target = options_of(film), tmp_path / "whole.mkv", tmp_path / "out.mkv"
    restore(str(film), str(whole), options)
    with open_reader(film) as reader:
        chosen = with_models(options, choose_models(str(film), options, reader.info))
    with one_worker(chosen, target) as pool:
        work = Film(source=str(film), target=str(target), options=chosen, pool=pool)
        done = restore_film(work, on_progress=lambda _: None, stop=threading.Event())
    assert done.model == "compact-x2-video, bicubic-x2"
    assert torch.equal(frames_in(target), frames_in(whole))


def test_the_expected_rate_is_that_of_each_network_in_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Bicubic(scale=4), compact()
    rates = {type(first): 100.0, type(second): 10.0}
    monkeypatch.setattr(
        "vsr.offline.expected_rate._fps_of", lambda network, *_: rates[type(network)]
    )
    restorer = Restorer(first, changes=[NetworkChange(at_s=Fraction(4), network=second)])
    info = StreamInfo(
        height=8,
        width=8,
        time_base=Fraction(1, 25),
        frame_rate=Fraction(25),
        num_frames=250,
        start_pts=50,
    )  # 2 s by the first, 8 s by the second
    assert expected_fps(restorer, info) == pytest.approx(1 / (0.2 / 100 + 0.8 / 10))
    unknown = replace(info, num_frames=None)
    assert expected_fps(restorer, unknown) == pytest.approx(1 / (0.5 / 100 + 0.5 / 10))
