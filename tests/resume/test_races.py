"""Two runs that write one target at the same moment: one wins, nothing is lost."""

from __future__ import annotations

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from tests.media import Clip, read_numbers, write_clip
from tests.resume.power_cut import SIZES
from vsr.errors import VSRError
from vsr.streams import open_reader

RACES = 50
LATEST_S = 0.1
"""How much later the second of two runs may begin."""

FRAMES = 24

_together: Barrier | None = None


def share(together: Barrier) -> None:
    """Give a runner the barrier at which both meet."""
    global _together  # noqa: PLW0603
    _together = together


def run(source: str, target: str, later_s: float, overwrite: bool) -> str:
    """Restore a little later than the other; the line of a refusal, empty where it was done."""
    from vsr.offline.job import restore
    from vsr.offline.options import RestoreOptions

    options = RestoreOptions(model="identity", overwrite=overwrite, **SIZES)
    assert _together is not None
    _together.wait(60)
    Event().wait(later_s)
    try:
        return "" if restore(source, target, options).frames_out == FRAMES else "frames are missing"
    except VSRError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_one_of_two_runs_wins_and_nothing_is_lost(overwrite: bool, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=FRAMES))
    context = multiprocessing.get_context("spawn")
    rng = random.Random(int(overwrite))
    arguments = (context.Barrier(2),)
    with ProcessPoolExecutor(2, context, share, arguments) as pool:
        for race in range(RACES // 2):
            folder = tmp_path / str(race)
            folder.mkdir()
            target = str(folder / "out.mp4")
            delays = [0.0, rng.uniform(0, LATEST_S)]
            runs = [pool.submit(run, str(source), target, late, overwrite) for late in delays]
            said = [one.result(120) for one in runs]
            assert "" in said, (race, delays, said)
            for line in filter(None, said):
                assert "\n" not in line
                assert "another run writes" in line or "already exists" in line, (race, said)
            assert [path.name for path in folder.iterdir()] == ["out.mp4"]
            assert numbers(target) == list(range(FRAMES))


def numbers(target: str) -> list[int]:
    with open_reader(target) as reader:
        return [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]
