"""A film on a cluster of three machines that fail: the same file, whatever happens.

The machines are Ray's nodes on this one. All tests share them, and most the workers: to start a
worker takes seconds.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cluster.footage import Footage, make_footage
from tests.command_line import Run
from vsr.cluster.ray_pool import RayPool
from vsr.cluster.restore import _make_worker, restore, setup_of
from vsr.errors import VSRError
from vsr.offline.options import RestoreOptions
from vsr.results import Progress, Summary
from vsr.streams.ffmpeg.process import find_ffmpeg

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
]

NUM_KILLS = 20
OTHER_BITS = {"ONEDNN_MAX_CPU_ISA": "SSE41"}
"""Of a machine whose convolutions round otherwise."""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return make_footage(tmp_path_factory.mktemp("footage"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(2):
        started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
    yield started
    ray.shutdown()
    started.shutdown()


def open_workers(options: RestoreOptions, **changes: Any) -> RayPool:
    make = partial(_make_worker, setup_of(options, "out.mp4"))
    settings: dict[str, Any] = {"on_cpu": True, "cores": 1, "pulse_s": 0.5}
    return RayPool("auto", make, **{**settings, **changes})


@pytest.fixture(scope="module")
def pool(cluster: Any, footage: Footage) -> Iterator[RayPool]:
    with open_workers(footage.options) as workers:
        yield workers


def run(footage: Footage, target: Path, pool: RayPool, **more: Any) -> Summary:
    return restore(str(footage.source), str(target), footage.options, pool=pool, **more)


def test_three_machines_make_the_file_of_one(
    footage: Footage, pool: RayPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out.mp4"
    seen: list[Progress] = []
    summary = run(footage, target, pool, on_progress=seen.append)
    assert target.read_bytes() == footage.content
    assert (summary.frames_out, summary.scenes) == (40, 4)
    # A third may still be loading torch when the film is done.
    assert len(summary.workers) in (2, 3)
    assert {progress.doing for progress in seen} == {"finding scenes", "restoring"}
    # Said with the workers that are there when the film is planned; others come later.
    said = r"4 scenes in 4 shards on [123] workers: about \d+ % of their time can be used"
    assert re.search(said, caplog.text)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_workers_that_see_no_files_are_sent_them(
    footage: Footage, pool: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_files(monkeypatch)
    target = tmp_path / "out.mp4"
    run(footage, target, pool)
    assert target.read_bytes() == footage.content


def test_a_shared_storage_takes_the_film_and_gives_the_segments(
    footage: Footage, pool: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec", reason="the extra 'ray' is not installed")
    hide_files(monkeypatch)
    target, storage = tmp_path / "out.mp4", tmp_path / "storage"
    there = replace(footage, options=replace(footage.options, storage=f"file://{storage}"))
    run(there, target, pool)
    assert target.read_bytes() == footage.content
    assert list(storage.rglob("*.nut")) == []


def hide_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe a film and its folder as another machine's: no worker recognises them."""
    from vsr.cluster import transfer

    monkeypatch.setattr(transfer, "fingerprint", lambda _: {"size": -1})
    monkeypatch.setattr(transfer, "token_of", lambda _: "0" * 64)


def test_a_film_too_short_for_shards_is_restored_by_a_worker(
    footage: Footage, pool: RayPool, tmp_path: Path
) -> None:
    options = replace(footage.options, segment=250)
    target = tmp_path / "out.mp4"
    summary = restore(str(footage.source), str(target), options, pool=pool)
    alone = tmp_path / "alone.mp4"
    restore(str(footage.source), str(alone), options)
    assert target.read_bytes() == alone.read_bytes()
    assert summary.output == str(target)


def test_a_film_of_one_scene_is_one_shard(footage: Footage, pool: RayPool, tmp_path: Path) -> None:
    options = replace(footage.options, scenes="off")
    target, alone = tmp_path / "out.mp4", tmp_path / "alone.mp4"
    assert restore(str(footage.source), str(target), options, pool=pool).scenes == 1
    restore(str(footage.source), str(alone), options)
    assert target.read_bytes() == alone.read_bytes()


def test_a_film_of_a_thousand_scenes(footage: Footage, pool: RayPool, tmp_path: Path) -> None:
    source, target, alone = (tmp_path / f"{name}.mp4" for name in ("in", "out", "alone"))
    lavfi = ("-f", "lavfi", "-i", "testsrc2=size=32x24:rate=25,trim=end_frame=1000")
    subprocess.run([find_ffmpeg(), "-v", "error", *lavfi, str(source)], check=True)
    options = replace(footage.options, scenes="every 1", segment=100)
    summary = restore(str(source), str(target), options, pool=pool)
    assert (summary.scenes, summary.frames_out) == (1000, 1000)
    restore(str(source), str(alone), options)
    assert target.read_bytes() == alone.read_bytes()


def test_a_full_disk_is_reported_and_what_is_done_is_kept(
    footage: Footage, pool: RayPool, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = len(footage.content) * 3 // 4
    words = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    if os.geteuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root makes small disks")
    target = disk / "out.mp4"
    try:
        with pytest.raises(VSRError, match="No space left on device"):
            run(footage, target, pool)
        assert not target.exists()
        subprocess.run(["mount", "-o", "remount,size=50M", str(disk)], check=True)
        options = replace(footage.options, resume=True)
        assert restore(str(footage.source), str(target), options, pool=pool).resumed > 0
        assert target.read_bytes() == footage.content
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.timeout(900)
def test_killed_at_any_moment(
    footage: Footage, cluster: Any, pool: RayPool, tmp_path: Path
) -> None:
    """Workers are killed, and machines taken away, until it was often enough."""
    killer = Killer(cluster, pool, random.Random(0))
    for number in range(4 * NUM_KILLS):
        target = tmp_path / f"out{number}.mp4"
        run(footage, target, pool, on_progress=killer)
        assert target.read_bytes() == footage.content
        if killer.kills == NUM_KILLS:
            return
    pytest.fail(f"only {killer.kills} kills")


class Killer:
    """Kills a worker, or a machine, in one of three reports of progress.

    Ray starts machines in the first thread only: they are replaced there, where reports come.
    """

    def __init__(self, cluster: Any, pool: RayPool, chance: random.Random) -> None:
        self._cluster, self._pool, self._chance, self.kills = cluster, pool, chance, 0

    def __call__(self, progress: Progress) -> None:
        busy = busy_workers(self._pool, most_tries=1)
        if self.kills == NUM_KILLS or not busy or self._chance.random() > 1 / 3:
            return
        self.kills += 1
        if self.kills % 7 == 0:
            nodes = [node for node in self._cluster.list_all_nodes() if not node.head]
            self._cluster.remove_node(self._chance.choice(nodes), allow_graceful=False)
            self._cluster.add_node(num_cpus=1)
        else:
            kill(self._chance.choice(busy))


def busy_workers(pool: RayPool, *, most_tries: int = 9) -> list[int]:
    """Processes that restore a shard which failed so often at most: three times are too many."""
    busy = [s.facts for s in pool._slots if s.job and s.facts and s.job.tries <= most_tries]
    return [int(facts.name.rpartition(":")[2]) for facts in busy]


def kill(process: int, with_signal: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, with_signal)


def test_a_shard_that_kills_three_workers_is_named_and_the_others_are_kept(
    footage: Footage, pool: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_out = pool._hand_out

    def hand_out_and_kill() -> None:
        hand_out()
        for slot in pool._slots:
            if slot.job and slot.facts and "shard 2 of 4" in slot.job.task.title:
                kill(int(slot.facts.name.rpartition(":")[2]))

    target = tmp_path / "out.mp4"
    with monkeypatch.context() as killing:
        killing.setattr(pool, "_hand_out", hand_out_and_kill)
        with pytest.raises(VSRError, match=r"shard 2 of 4 \(frames 10 to 19, .*\) failed 3 times"):
            run(footage, target, pool)
    assert not target.exists()
    options = replace(footage.options, resume=True)
    summary = restore(str(footage.source), str(target), options, pool=pool)
    assert summary.resumed == 30
    assert target.read_bytes() == footage.content


def test_a_worker_that_hangs_is_replaced(
    footage: Footage, pool: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_silence_s", 6.0)
    stopped: list[int] = []

    def hang(progress: Progress) -> None:
        for process in busy_workers(pool)[:1] if not stopped else []:
            stopped.append(process)
            kill(process, signal.SIGSTOP)

    target = tmp_path / "out.mp4"
    run(footage, target, pool, on_progress=hang)
    assert stopped
    assert target.read_bytes() == footage.content


class LostHead:
    """An actor, and Ray, as they answer once the head node is gone."""

    def __init__(self, ray: Any, lost: str) -> None:
        self._ray, self._lost = ray, lost

    def __getattr__(self, name: str) -> Any:
        if name == self._lost:
            raise ConnectionError("the head node is gone")
        return getattr(self._ray, name)


@pytest.mark.parametrize("moment", ["a task is handed out", "a result is fetched"])
def test_a_cluster_that_is_lost_while(
    footage: Footage, cluster: Any, pool: RayPool, moment: str
) -> None:
    """No task is forgotten, for which its sender would wait for ever."""
    with open_workers(footage.options, devices=("cpu",)) as workers:
        workers.choose(None)
        slot = workers._slots[0]
        with workers._lock:
            if moment == "a task is handed out":
                slot.actor = LostHead(slot.actor, "run")
            else:
                workers._ray = LostHead(workers._ray, "get")
        future = workers.submit(SimpleNamespace(title="a task"))
        with pytest.raises(VSRError, match=r"the cluster is lost \(the head node is gone\)"):
            future.result(timeout=60)


def test_a_lost_driver_leaves_what_one_machine_finishes(
    footage: Footage, cluster: Any, tmp_path: Path, pool: RayPool
) -> None:
    target = tmp_path / "out.mp4"
    journal = tmp_path / "out.mp4.resume" / "journal.jsonl"
    words = [
        *("--model", str(footage.options.model), "--chunk", "5", "--look-ahead", "2"),
        *("--segment", "10", "--scenes", "every 10", "--device", "cpu"),
    ]
    command = [
        *(sys.executable, "-m", "vsr", "restore", str(footage.source), str(target), *words),
        *("--devices", "cpu"),
    ]
    driver = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until(lambda: journal.exists() and journal.read_text().count("\n") >= 2, driver)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    summary = restore(
        str(footage.source), str(target), replace(footage.options, resume=True), pool=pool
    )
    assert summary.resumed >= 10
    assert target.read_bytes() == footage.content


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < give_up
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


def test_a_machine_that_makes_other_bits_is_left_out(
    footage: Footage, cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, pool: RayPool
) -> None:
    other = cluster.add_node(num_cpus=1, resources={"other": 1}, env_vars=OTHER_BITS)
    try:
        with pool._lock:
            pool._grow()
        target = tmp_path / "out.mp4"
        wait_for_facts(pool)
        run(footage, target, pool)
        assert "is left out, it computes other bits: network" in caplog.text
        assert target.read_bytes() == footage.content
    finally:
        cluster.remove_node(other)


def wait_for_facts(pool: RayPool) -> None:
    with pool._lock:
        assert pool._lock.wait_for(pool._all_known, 60)


def test_a_list_of_films_shares_the_workers(
    footage: Footage, cluster: Any, tmp_path: Path, vsr: Run
) -> None:
    films = [tmp_path / f"film{i}.mp4" for i in range(2)]
    for film in films:
        film.write_bytes(footage.source.read_bytes())
    (tmp_path / "list.txt").write_text("film0.mp4\nfilm1.mp4  # the same\nmissing.mp4\n")
    cluster.add_node(num_cpus=2)  # all others have workers
    done = vsr(
        *("restore", tmp_path / "list.txt", tmp_path / "out", "-m", str(footage.options.model)),
        *("--chunk", "5", "--look-ahead", "2", "--segment", "10", "--scenes", "every 10"),
        *("--device", "cpu", "--cluster", cluster.address, "--worker-cores", "1", "--json"),
    )
    states = {outcome["name"]: outcome["state"] for outcome in json.loads(done.out)}
    assert states == {"film0.mp4": "restored", "film1.mp4": "restored", "missing.mp4": "failed"}
    assert done.code == 1
    assert all(outcome["workers"] for outcome in json.loads(done.out)[:2])
    for film in films:
        assert (tmp_path / "out" / film.name).read_bytes() == footage.content
