"""What scenes in parallel will hold is known before the run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.media import Clip, write_clip
from tests.networks import RECURRENT, basicvsr, compact, moving_clip
from tests.streaming import Maker, pieces
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.rehearsal import Moment, rehearse
from vsr.engine.run_memory import run_bytes
from vsr.engine.settings import Settings
from vsr.engine.step_memory import step_bytes
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.offline.restorer_factory import known_lengths
from vsr.types import StreamInfo

CPU = torch.device("cpu")
INFO = StreamInfo(
    height=8, width=8, time_base=Fraction(1, 1000), frame_rate=Fraction(25), num_frames=40
)


def really(make: Maker, settings: Settings, scenes: int, lengths: list[int]) -> set[Moment]:
    """What a network meets in a run of its own."""
    network, moments = make(), set()
    lanes = ParallelScenes(
        network,
        scenes=scenes,
        chunk=settings.chunk,
        look_ahead=settings.look_ahead,
        device="cpu",
        precision="float32",
    )
    entered = restored = left = 0
    original = lanes.network.step

    def step(window: torch.Tensor, state: Any, num_keep: int, *, ends_scene: bool = True) -> Any:
        nonlocal restored
        batch, num_seen = window.shape[:2]
        moments.add(
            Moment(
                scenes=batch,
                num_keep=num_keep,
                num_ahead=num_seen - num_keep,
                waiting=entered - restored,
                kept=restored - left,
            )
        )
        restored += batch * num_keep
        return original(window, state, num_keep, ends_scene=ends_scene)

    lanes.network.step = step  # type: ignore[method-assign,assignment]
    cuts = list(itertools.accumulate(lengths))
    for chunk in pieces(moving_clip(cuts[-1], 8, 8), settings.chunk, cuts):
        entered += len(chunk)
        for out in lanes.iter_push(chunk):
            left += len(out)
    for out in lanes.iter_drain():
        left += len(out)
    assert left == entered
    return moments


@pytest.mark.parametrize("make", [RECURRENT["compact"], RECURRENT["iconvsr"]])
@pytest.mark.parametrize(
    ("scenes", "chunk", "ahead", "lengths"),
    [(2, 3, 1, [9] * 6), (3, 2, 2, [5, 1, 8, 2, 11, 3, 4]), (4, 4, 0, [6] * 5), (2, 2, 1, [20])],
)
def test_a_rehearsal_meets_what_the_network_will_meet(
    make: Maker, scenes: int, chunk: int, ahead: int, lengths: list[int]
) -> None:
    settings = Settings(chunk=chunk, look_ahead=ahead)
    met = really(make, settings, scenes, lengths)
    rehearsed = rehearse(make().facts, settings, scenes, lengths)
    assert set(rehearsed) <= met
    assert not any(one.exceeds(most) for one in met for most in rehearsed)


def test_no_more_scenes_are_supposed_than_a_source_can_hold() -> None:
    facts, settings = compact().facts, Settings(chunk=16, look_ahead=4)
    short, long = (rehearse(facts, settings, 9, None, frames) for frames in (90, None))
    assert max(moment.scenes for moment in short) <= 90 // 20 + 1
    assert max(moment.waiting + moment.kept for moment in short) <= 90
    assert max(moment.scenes for moment in long) == 9


def run_of(scenes: int, lengths: list[int] | None) -> int:
    settings = Settings(chunk=2, look_ahead=1)
    return run_bytes(basicvsr(), CPU, settings, 64, 64, scenes=scenes, lengths=lengths)


def test_scenes_in_parallel_cost_what_their_cuts_make_them_hold() -> None:
    one_long_scene = run_of(4, [60])
    assert one_long_scene == pytest.approx(run_of(1, None), rel=0.05)
    several = run_of(4, [6] * 8)
    assert several > one_long_scene
    assert run_of(8, [6] * 16) > several
    assert run_of(4, None) > one_long_scene  # cuts that are not known are expected


def test_the_result_of_a_step_of_several_scenes_is_there_twice_at_its_end() -> None:
    settings, frames = Settings(chunk=8, look_ahead=0), 8 * 3 * 4 * 64**2
    assert step_bytes(Identity(), settings, 64, 64, 3) >= 3 * (frames + 2 * frames)


@pytest.mark.parametrize(
    ("asked", "lengths"),
    [("off", [40]), ("every 15", [15, 15, 10]), ("file", [3, 22, 15]), ("auto", None)],
)
def test_scenes_that_are_known_before_the_run_are_planned_for(
    asked: str, lengths: list[int] | None, tmp_path: Path
) -> None:
    cuts = tmp_path / "cuts.txt"
    cuts.write_text("3\n0:01.0  # frame 25\n1000\n", encoding="utf-8")
    words = str(cuts) if asked == "file" else asked
    assert known_lengths(words, INFO, compact().facts) == lengths


def test_a_network_without_a_state_has_one_scene() -> None:
    assert known_lengths("auto", INFO, Bicubic(scale=2).facts) == [40]


def test_a_stream_without_an_end_or_a_rate_has_scenes_too() -> None:
    endless = replace(INFO, num_frames=None, frame_rate=None)
    lengths = known_lengths("every 100", endless, compact().facts)
    assert set(lengths or ()) == {100}


def test_scenes_that_cannot_be_are_refused_before_the_plan() -> None:
    with pytest.raises(ConfigurationError, match="give auto, off"):
        known_lengths("now and then", INFO, compact().facts)


PROGRAM = """
import json, sys
import vsr.cli.startup
vsr.cli.startup.prepare()
from vsr.engine.memory_plan import Asked
from vsr.engine.memory import peak_host_bytes
from vsr.models.catalogue import build_network
from vsr.offline.pipeline import run
from vsr.offline.restorer_factory import make_restorer
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader, open_writer
source, precision, scenes = sys.argv[1:]
with open_reader(source) as reader:
    restorer, plan = make_restorer(
        build_network("compact", {}), reader.info, asked=Asked(chunk=8, look_ahead=4),
        device="cpu", precision=precision, scenes=scenes, parallel_scenes=4, exact=True,
    )
    writer = open_writer("null", reader.info, height=288, width=384)
    run(reader, restorer, writer, scenes=scene_marker(scenes, reader.info))
print(json.dumps([plan.memory_bytes, peak_host_bytes()]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="how memory goes back is glibc's")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("scenes", ["every 20", "every 33", "off"])
def test_what_scenes_in_parallel_take_is_foretold_within_a_fifth(
    precision: str, scenes: str, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=99))
    command = [sys.executable, "-c", PROGRAM, str(source), precision, scenes]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    foretold, taken = json.loads(done.stdout)
    assert foretold == pytest.approx(taken, rel=0.2)
