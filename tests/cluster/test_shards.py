"""A film is divided at cuts only, and as one machine divides it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.resume.killing import CHUNK, SEGMENT, write_footage, write_weights
from vsr.cluster.shards import Scene, Shard, divide, efficiency, longest_first
from vsr.engine.settings import Settings
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.resume.journal import Journal, ResumePoint

SETTINGS = Settings(chunk=8, look_ahead=4)


def film(*lengths: int) -> list[Scene]:
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return [
        Scene(frames=length, first_pts=start, last_pts=start + length - 1, digest=str(start))
        for start, length in zip(starts, lengths, strict=True)
    ]


def lengths_of(shards: list[Shard]) -> list[int]:
    return [shard.frames for shard in shards]


@pytest.mark.parametrize("num_scenes", [0, 1, 2, 1000])
def test_every_frame_is_in_one_shard(num_scenes: int) -> None:
    scenes = film(*(10 + 7 * i % 90 for i in range(num_scenes)))
    shards = divide(scenes, SETTINGS, segment=250, workers=4)
    assert sum(lengths_of(shards)) == sum(scene.frames for scene in scenes)
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for before, after in pairwise(shards):
        assert before.first + before.frames == after.first
        assert before.last_pts < after.first_pts
    starts = [shard.first + start for shard in shards for start in shard.starts]
    assert starts == [scene.first_pts for scene in scenes]


def test_a_long_film_has_sixteen_shards_or_more_for_each_worker() -> None:
    shards = divide(film(*[100] * 400), SETTINGS, segment=250, workers=4)
    assert 64 <= len(shards) <= 72
    assert max(lengths_of(shards)) <= 40_000 // 64


def test_a_scene_is_never_divided() -> None:
    shards = divide(film(100, 9000, 100), SETTINGS, segment=250, workers=16)
    assert lengths_of(shards) == [100, 9000, 100]


def test_short_scenes_share_a_shard() -> None:
    shards = divide(film(*[20] * 40), SETTINGS, segment=250, workers=16)
    assert min(lengths_of(shards)[:-1]) >= 250


def test_long_shards_are_handed_out_first() -> None:
    shards = divide(film(100, 9000, 400), SETTINGS, segment=250, workers=16)
    assert [shard.frames for shard in longest_first(shards)] == [9000, 400, 100]


def test_efficiency_is_what_the_longest_leaves() -> None:
    assert efficiency([1.0] * 8, [1.0] * 4) == 1
    assert efficiency([4.0, 1.0, 1.0], [1.0, 1.0]) == pytest.approx(6 / 8)
    assert efficiency([2.0, 2.0], [2.0, 1.0]) == pytest.approx(4 / 6)
    assert efficiency([], [1.0]) == 1


def test_shards_begin_where_one_machine_begins_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[int] = []

    def note(journal: Journal, point: ResumePoint) -> None:
        frames.append(point.frames)

    monkeypatch.setattr(Journal, "append", note)
    source = write_footage(tmp_path / "in.mp4")
    weights = write_weights(tmp_path / "small.safetensors")
    (tmp_path / "scenes.txt").write_text("17\n18\n41\n43\n70\n")
    options = RestoreOptions(
        model=str(weights),
        chunk=CHUNK,
        look_ahead=2,
        segment=SEGMENT,
        scenes=str(tmp_path / "scenes.txt"),
        device="cpu",
    )
    restore(str(source), str(tmp_path / "out.mp4"), options)
    settings = Settings(chunk=CHUNK, look_ahead=2)
    shards = divide(film(17, 1, 23, 2, 27, 20), settings, segment=SEGMENT, workers=100)
    begins = [shard.first for shard in shards[1:]]
    assert len(begins) > 2
    assert set(begins) <= set(frames)
