"""Figures of ``vsr restore --cluster``: speed of two workers, the driver's cost, and scaling.

    python -m benchmarks.cluster speed       # 40 scenes, two workers of one core against one
    python -m benchmarks.cluster driver      # 2,000 scenes with workers that do nothing
    python -m benchmarks.cluster scaling --plot docs/cluster_scaling.svg    # to 64 GPUs, simulated

``speed`` needs two idle cores and the extra ``ray``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from benchmarks.cluster_scaling import scaling
from vsr.cluster.film import Film, restore_film
from vsr.cluster.fingerprint import Fingerprint
from vsr.cluster.tasks import SettingsTask, ShardResult, ShardTask, WorkerFacts
from vsr.engine.memory import resident_bytes
from vsr.engine.settings import Settings
from vsr.files import sha256_of
from vsr.offline.options import RestoreOptions
from vsr.resume.journal import FinishedShard, KeptSegment
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.ffmpeg.process import find_ffmpeg

MANY_SCENES, SCENE_FRAMES = 2000, 10


@click.group()
def main() -> None:
    """Measure a cluster, or simulate one."""


@main.command()
@click.option("--scenes", default=40, show_default=True)
@click.option("--frames", default=100, show_default=True, help="Of a scene.")
@click.option("--size", default="320x180", show_default=True)
@click.option("--model", default="compact-x4", show_default=True)
@click.option("--beside", is_flag=True, help="Also two processes side by side, a film each.")
def speed(scenes: int, frames: int, size: str, model: str, beside: bool) -> None:
    """Two workers of one core against one process on one core, from start to end."""
    with tempfile.TemporaryDirectory() as folder:
        source, one, two = (Path(folder) / f"{name}.mp4" for name in ("source", "one", "two"))
        write_film(source, scenes, frames, size)
        words = [sys.executable, "-m", "vsr", "restore", str(source)]
        print(f"load before: {os.getloadavg()[0]:.2f}")
        command = [*words, str(one), "-m", model]
        alone = seconds_of(["taskset", "-c", "0", *command])
        shared = ["--cluster", "local", "--worker-cores", "1"]
        together = seconds_of([*words, str(two), "-m", model, *shared])
        print(f"load after:  {os.getloadavg()[0]:.2f}")
        same = "equal" if one.read_bytes() == two.read_bytes() else "DIFFERENT"
        print(f"one core {alone:.1f} s, two workers {together:.1f} s: {alone / together:.2f} times")
        if beside:
            limit = 2 * alone / side_by_side(words, Path(folder), model)
            print(
                f"two processes side by side, a film each: {limit:.2f} times, the machine's limit"
            )
        print(f"bytes: {same}")


def side_by_side(words: Sequence[str], folder: Path, model: str) -> float:
    """Seconds that two processes take for a film each, on a core each, which share caches."""
    started = time.perf_counter()
    targets = [str(folder / f"beside-{core}.mp4") for core in range(2)]
    commands = [
        ["taskset", "-c", str(core), *words, target, "-m", model]
        for core, target in enumerate(targets)
    ]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("a process failed")
    return time.perf_counter() - started


def write_film(path: Path, scenes: int, frames: int, size: str) -> None:
    """Write a film of scenes that differ, each of which moves."""
    kinds = ("testsrc2", "mandelbrot", "life=ratio=0.3:mold=10", "testsrc", "cellauto=rule=110")
    inputs: list[str] = []
    for number, kind in enumerate(islice(cycle(kinds), scenes)):
        sign = ":" if "=" in kind else "="
        inputs += ["-f", "lavfi", "-i"]
        inputs.append(
            f"{kind}{sign}size={size}:rate=25,hue=h={number * 37},trim=end_frame={frames}"
        )
    joined = "".join(f"[{i}]format=yuv420p,setsar=1[v{i}];" for i in range(scenes))
    joined += "".join(f"[v{i}]" for i in range(scenes)) + f"concat=n={scenes}"
    command = [find_ffmpeg(), "-v", "error", *inputs, "-filter_complex", joined]
    subprocess.run([*command, "-crf", "23", "-threads", "2", str(path)], check=True)


def seconds_of(command: Sequence[str]) -> float:
    """Seconds of a command, from its start to its end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@main.command()
def driver() -> None:
    """Measure the driver's cost for each of 2,000 scenes, all of them shards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.mp4"
        frames = MANY_SCENES * SCENE_FRAMES
        lavfi = ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate=25,trim=end_frame={frames}")
        subprocess.run([find_ffmpeg(), "-v", "error", *lavfi, str(source)], check=True)
        options = RestoreOptions(
            model="bicubic-x2", scenes=f"every {SCENE_FRAMES}", segment=SCENE_FRAMES, chunk=5
        )
        pool = Idle(folder / "out.mp4.resume")
        film = Film(source=str(source), target=str(folder / "out.mp4"), options=options, pool=pool)
        SegmentedTarget.join = joined_at_once  # type: ignore[method-assign, assignment]
        started = time.perf_counter()
        restore_film(film, on_progress=lambda _: None, stop=threading.Event())
        whole = time.perf_counter() - started
    cost = (pool.last - pool.first) / MANY_SCENES * 1000
    print(f"{pool.shards} shards of {MANY_SCENES} scenes: {cost:.2f} ms a scene")
    print(f"first pass over {frames} frames: {pool.first - started:.1f} s, all {whole:.1f} s")
    first, last = pool.memory[len(pool.memory) // 10], pool.memory[-1]
    print(f"memory: {first / 2**20:.1f} MiB after a tenth, {last / 2**20:.1f} MiB in the end")


def joined_at_once(_: SegmentedTarget, __: Sequence[Path], **options: Any) -> str:
    """In place of ffmpeg, whose time is no part of the driver's."""
    options["seal"]()
    return ""


class Idle:
    """Workers that hand in a segment of nothing for every shard.

    Args:
        folder: Folder of the journal.
    """

    is_remote = False

    def __init__(self, folder: Path) -> None:
        self._folder, self.shards = folder, 0
        self._thread = ThreadPoolExecutor(1)
        self.first = self.last = 0.0
        self.memory: list[int] = []

    def choose(self, wanted: Fingerprint | None) -> list[WorkerFacts]:
        """So many workers that each scene becomes a shard."""
        facts = WorkerFacts(
            name="idle",
            host="idle",
            fingerprint={},
            network={"name": "", "precision": "float32", "weights": ""},
            budget_bytes=1 << 30,
            device="cpu",
        )
        return [facts] * 250

    def submit(self, task: Any, *, size: int = 0) -> Future[Any]:
        """Do nothing, one after the other."""
        if isinstance(task, SettingsTask):
            return self._thread.submit(Settings, chunk=5, look_ahead=0)
        assert isinstance(task, ShardTask)
        self.first = self.first or time.perf_counter()
        return self._thread.submit(self._result, task)

    def end(self, future: Future[Any]) -> None:
        """Do nothing."""

    def restored(self, future: Future[Any]) -> int:
        """Whole shards only."""
        self.last = time.perf_counter()
        return 0

    def rates(self) -> Mapping[str, float]:
        """None."""
        self.last = time.perf_counter()
        self.memory.append(resident_bytes())
        return {}

    def share(self, data: bytes) -> Any:
        """Not used."""
        return data

    def _result(self, task: ShardTask) -> ShardResult:
        self.shards += 1
        path = self._folder / f"segment-{task.shard.number}.nut"
        path.write_bytes(bytes(1000))
        segment = KeptSegment(name=path.name, size=1000, sha256=sha256_of(path))
        shard = task.shard
        done = FinishedShard(
            shard=shard.number,
            frames=shard.frames,
            first_pts=shard.first_pts,
            last_pts=shard.last_pts,
            segments=(segment,),
            counts={},
        )
        return ShardResult(done=done, seconds=0)


main.add_command(scaling)


if __name__ == "__main__":
    main()
