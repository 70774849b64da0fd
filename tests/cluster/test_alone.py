"""Shards restored in this process: the same file, and a run that anyone can finish."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.footage import Footage, make_footage, one_worker
from vsr.cluster.pool import Alone
from vsr.cluster.restore import restore
from vsr.cluster.shard_reader import ShardReader, SourceDiffers
from vsr.cluster.shards import Shard
from vsr.cluster.tasks import NotVisible, ShardResult
from vsr.cluster.transfer import Unlike, collect
from vsr.errors import ConfigurationError, OpenError
from vsr.results import Progress
from vsr.resume.journal import FinishedShard, KeptSegment
from vsr.streams import open_reader


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return make_footage(tmp_path_factory.mktemp("footage"))


def begin(footage: Footage, target: Path, *, shards: int) -> None:
    """Restore some shards, and stop."""
    stop = threading.Event()

    def end(progress: Progress) -> None:
        if progress.doing == "restoring" and progress.frames > 10 * shards:
            stop.set()

    with one_worker(footage.options, target) as pool:
        summary = restore(
            str(footage.source),
            str(target),
            footage.options,
            pool=pool,
            on_progress=end,
            stop=stop,
        )
    assert summary.interrupted
    assert not target.exists()


def test_the_file_is_the_same_to_the_byte(footage: Footage, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with one_worker(footage.options, target) as pool:
        summary = restore(str(footage.source), str(target), footage.options, pool=pool)
    assert target.read_bytes() == footage.content
    assert (summary.frames_out, summary.scenes, summary.interrupted) == (40, 4, False)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_run_begun_in_shards_continues_alone(footage: Footage, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    begin(footage, target, shards=2)
    with pytest.raises(OpenError, match="resume with --resume"):
        restore(str(footage.source), str(target), footage.options)
    summary = restore(str(footage.source), str(target), replace(footage.options, resume=True))
    assert summary.resumed >= 20
    assert target.read_bytes() == footage.content


def test_a_machine_of_another_kind_does_not_continue(footage: Footage, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    begin(footage, target, shards=1)
    journal = tmp_path / "out.mp4.resume" / "journal.jsonl"
    header, *lines = journal.read_text().splitlines()
    facts = json.loads(header)
    facts["fingerprint"]["network"] = "of another"
    journal.write_text("\n".join([json.dumps(facts), *lines, ""]))
    options = replace(footage.options, resume=True)
    with pytest.raises(ConfigurationError, match=r"computes other bits.*network"):
        restore(str(footage.source), str(target), options)
    restore(str(footage.source), str(target), replace(options, mixed_machines=True))
    assert target.read_bytes() == footage.content


def test_a_damaged_line_of_a_shard_is_reported(footage: Footage, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    begin(footage, target, shards=1)
    journal = tmp_path / "out.mp4.resume" / "journal.jsonl"
    lines = journal.read_text().splitlines()
    shard = json.loads(lines[1])
    del shard["segments"][0]["size"]
    journal.write_text("\n".join([lines[0], json.dumps(shard), ""]))
    with pytest.raises(OpenError, match="line 2 is damaged"):
        restore(str(footage.source), str(target), replace(footage.options, resume=True))


def test_a_lost_segment_of_a_shard_is_reported(footage: Footage, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    begin(footage, target, shards=1)
    folder = tmp_path / "out.mp4.resume"
    shard = json.loads((folder / "journal.jsonl").read_text().splitlines()[1])
    (folder / shard["segments"][0]["name"]).unlink()
    with pytest.raises(OpenError, match="is missing or incomplete"):
        restore(str(footage.source), str(target), replace(footage.options, resume=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parallel_scenes": 2}, "--parallel-scenes"),
        ({"in_process": True}, "--in-process"),
        ({"cluster": "auto", "devices": ("cpu",)}, "--devices"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    footage: Footage, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    options = replace(footage.options, **{"cluster": "local", **change})
    with pytest.raises(ConfigurationError, match=said):
        restore(str(footage.source), str(tmp_path / "out.mp4"), options)


PLANNED = Shard(
    number=0, first=20, frames=10, first_pts=0, last_pts=9, starts=(0,), digest="of others"
)


def test_a_result_that_is_not_the_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segment-1.nut").write_bytes(b"frames")
    segment = KeptSegment(name="segment-1.nut", size=6, sha256="of other bytes")
    done = FinishedShard(
        shard=0, frames=10, first_pts=0, last_pts=9, segments=(segment,), counts={}
    )
    with pytest.raises(Unlike, match="differs from"):
        collect(ShardResult(done=done, seconds=1), PLANNED, tmp_path)
    with pytest.raises(Unlike, match="came back with 9 frames"):
        collect(ShardResult(done=replace(done, frames=9), seconds=1), PLANNED, tmp_path)


def test_frames_that_the_first_pass_has_not_seen_are_refused(footage: Footage) -> None:
    with open_reader(footage.source) as reader:
        frames = ShardReader(reader, PLANNED, skipped=20, on_frames=lambda _: None).chunks(16)
        with pytest.raises(SourceDiffers, match="in place of 0"):
            next(frames)


class Remote(Alone):
    """As if its worker were on another machine."""

    is_remote = True


def test_a_worker_that_restores_a_whole_film_ends_when_the_run_is_stopped(
    footage: Footage, tmp_path: Path
) -> None:
    target, stop = tmp_path / "out.mp4", threading.Event()
    options = replace(footage.options, segment=100, chunk=5)
    with one_worker(options, target) as pool:
        pool.__class__ = Remote
        worker: Any = pool._worker

        def first_step(_: Progress) -> None:
            stop.set()
            assert worker.stop.wait(30)

        worker._count = lambda: first_step
        summary = restore(str(footage.source), str(target), options, pool=pool, stop=stop)
    assert summary.interrupted
    assert 0 < summary.frames_out < 40
    assert not target.exists()
    resumed = restore(str(footage.source), str(target), replace(options, resume=True))
    assert (resumed.frames_out, resumed.interrupted) == (40, False)


def test_a_source_that_changes_while_a_run_continues_alone_ends_it(
    footage: Footage, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    source.write_bytes(footage.source.read_bytes())
    with one_worker(footage.options, target) as pool:
        worker: Any = pool._worker
        restore_shard = worker.restore_shard

        def after_a_change(task: Any) -> ShardResult:
            os.utime(source, (1, 1))
            result: ShardResult = restore_shard(task)
            return result

        worker.restore_shard = after_a_change
        with pytest.raises(NotVisible, match="or has changed since the run began"):
            restore(str(source), str(target), footage.options, pool=pool)


@pytest.mark.parametrize("address", ["nothing://bucket/folder", "s3://[bad"])
def test_a_storage_that_leads_nowhere_is_refused_before_the_first_pass(
    address: str, footage: Footage, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    options = replace(footage.options, storage=address)
    seen: list[Progress] = []
    with (
        one_worker(footage.options, target) as pool,
        pytest.raises(OpenError, match=r"cannot be written .*; give another --storage") as refused,
    ):
        restore(str(footage.source), str(target), options, pool=pool, on_progress=seen.append)
    assert not seen
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
