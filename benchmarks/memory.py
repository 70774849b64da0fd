"""Estimated and measured memory: ``python -m benchmarks.memory``.

Every row is a whole run of ``vsr restore``'s engine in a process of its own, as the command sets it
up: decode, restore, encode. Networks have random weights, which cost the same. With ``--long`` one
run of many small frames is watched instead: resident memory early and late in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.files import render


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run.

    Attributes:
        network: Architecture of the network.
        size: WIDTHxHEIGHT of the input.
        precision: See ``Restorer``.
        chunk: Frames; 0 for the network's own.
        look_ahead: Frames; - for the network's own.
        tiles: ROWSxCOLUMNS.
        scenes: Restored in parallel.
        scene_length: Frames; 0 for one scene.
    """

    network: str
    size: str
    precision: str
    chunk: int = 4
    look_ahead: str = "2"
    tiles: str = "1x1"
    scenes: int = 1
    scene_length: int = 0

    @property
    def num_frames(self) -> int:
        """Enough for queues to be full."""
        return max(CHUNKS * (self.chunk or 16) + 8, (self.scenes + 1) * self.scene_length)

    @property
    def asked_scenes(self) -> str:
        """See ``restore``."""
        return f"every {self.scene_length}" if self.scene_length else "off"


SINGLE = (
    Case(network="compact", size="320x180", precision="bfloat16"),
    Case(network="compact", size="640x360", precision="bfloat16"),
    Case(network="compact", size="1280x720", precision="bfloat16"),
    Case(network="compact", size="320x180", precision="float32"),
    Case(network="compact-x4", size="320x180", precision="int8"),
    Case(network="compact-x4", size="1280x720", precision="int8"),
    Case(network="basicvsr", size="160x90", precision="bfloat16"),
    Case(network="basicvsr", size="320x180", precision="bfloat16"),
    Case(network="basicvsr", size="160x90", precision="float32"),
    Case(network="iconvsr", size="160x90", precision="bfloat16"),
    Case(network="edvr", size="160x90", precision="bfloat16"),
    Case(network="edvr", size="320x180", precision="float32"),
    Case(network="bicubic", size="640x360", precision="float32"),
    Case(network="identity", size="1280x720", precision="float32"),
)

OWN: Any = {"chunk": 16, "look_ahead": "4"}
"""Chunk and look-ahead of ``compact`` by default."""

PARALLEL = (
    Case(network="compact", size="192x144", precision="bfloat16", scenes=4, scene_length=25, **OWN),
    Case(network="compact", size="192x144", precision="float32", scenes=4, scene_length=25, **OWN),
    Case(network="compact", size="192x144", precision="bfloat16", scenes=4, scene_length=64, **OWN),
    Case(
        network="compact",
        size="192x144",
        precision="float32",
        tiles="2x2",
        scenes=2,
        scene_length=40,
        **OWN,
    ),
    Case(network="compact-x4", size="192x144", precision="int8", scenes=4, scene_length=40, **OWN),
    Case(network="compact", size="96x72", precision="float32", scenes=8, scene_length=40, **OWN),
    Case(network="basicvsr", size="96x72", precision="bfloat16", scenes=4, scene_length=10),
    Case(network="basicvsr", size="96x72", precision="float32", scenes=4, scene_length=10),
    Case(network="edvr", size="96x72", precision="bfloat16", scenes=2, scene_length=10),
    Case(network="bicubic", size="192x144", precision="float32", scenes=4, scene_length=20),
)

CHUNKS = 3
"""Chunks restored in a run, besides the look-ahead: queues are full by then."""

LONG_FRAMES = 20_000
EARLY, SPAN = 1000, 500
"""Frames after which memory is read first, and over how many it is averaged."""

PROGRAM = """
import json, sys
import vsr.cli.startup
vsr.cli.startup.prepare()
from vsr.engine.memory_plan import RequestedSettings
from vsr.engine.memory import peak_host_bytes
from vsr.models.architecture_table import ARCHITECTURES
from vsr.models.architecture_table import build_network
from vsr.models.loading import load_network
from vsr.offline.pipeline import run
from vsr.offline.restorer_factory import make_restorer
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader, open_writer
name, source, target, precision, chunk, look_ahead, tiles, scenes, every = sys.argv[1:]
# What int8 needs to know comes with weights alone.
network = build_network(name, {}) if name in ARCHITECTURES else load_network(name)
asked = RequestedSettings(
    chunk=int(chunk) or None,
    look_ahead=None if look_ahead == "-" else int(look_ahead),
    tiles=tuple(map(int, tiles.split("x"))),
)
with open_reader(source) as reader:
    info = reader.info
    restorer, plan = make_restorer(
        network, info, asked=asked, device="cpu", precision=precision, exact=True,
        parallel_scenes=int(scenes),
    )
    scale = network.facts.scale
    writer = open_writer(target, info, height=info.height * scale, width=info.width * scale)
    run(reader, restorer, writer, scenes=scene_marker(every, info))
print(json.dumps([str(plan.settings), plan.memory_bytes, peak_host_bytes()]))
"""

WATCHED = """
import json, resource, sys
import vsr.cli.startup
vsr.cli.startup.prepare()
from pathlib import Path
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
samples = []
def sample(progress):
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    samples.append((progress.frames, pages * resource.getpagesize()))
restore(sys.argv[1], "null", RestoreOptions(model=sys.argv[2]), on_progress=sample)
print(json.dumps(samples))
"""


@click.command()
@click.option("--only", help="Cases of this network only.")
@click.option("--single/--parallel", default=None, help="One scene at a time, or several only.")
@click.option("--chunk", type=int, help="0 for the network's own.  [default: the case's]")
@click.option("--look-ahead", help="- for the network's own.  [default: the case's]")
@click.option("--tiles", metavar="ROWSxCOLUMNS", help="[default: the case's]")
@click.option("--scenes", type=int, help="Restored in parallel.  [default: the case's]")
@click.option("--scene-length", type=int, help="Frames, 0 for one scene.  [default: the case's]")
@click.option("--size", help="WIDTHxHEIGHT.  [default: the case's]")
@click.option("--long", "watch", is_flag=True, help="Watch one long run instead.")
@click.option("--model", default="compact-x4", show_default=True, help="For the long run.")
def main(
    only: str | None, single: bool | None, watch: bool, model: str, **changes: str | int | None
) -> None:
    """Print the plan's memory next to the peak of the process."""
    cases = {None: (*SINGLE, *PARALLEL), True: SINGLE, False: PARALLEL}[single]
    changed: Any = {name: value for name, value in changes.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        if watch:
            watch_long_run(model, Path(folder))
            return
        for case in cases:
            if only in (None, case.network):
                compare(Path(folder), replace(case, **changed))


def compare(folder: Path, case: Case) -> None:
    """One run: a line with the estimated and the measured memory."""
    source = render(folder / f"{case.size}-{case.num_frames}.mp4", case.num_frames, case.size)
    options = (case.precision, case.chunk, case.look_ahead, case.tiles, case.scenes)
    words = (case.network, source, folder / "out.mp4", *options, case.asked_scenes)
    settings, planned, taken = json.loads(call(PROGRAM, *map(str, words)))
    (folder / "out.mp4").unlink()
    together = f"{case.scenes} scenes of {case.scene_length}" if case.scenes > 1 else ""
    print(
        f"{case.network:10} {case.size:8} {case.precision:8} {settings:36} {together:15} foretold "
        f"{planned / 2**20:5.0f} MiB, taken {taken / 2**20:5.0f} MiB, ratio {planned / taken:.2f}",
        flush=True,
    )


def watch_long_run(model: str, folder: Path) -> None:
    """Resident memory of one run of small frames, early and late."""
    source = render(folder / "long.mp4", LONG_FRAMES, "64x48")
    samples = json.loads(call(WATCHED, str(source), model))
    means = []
    for end in (EARLY, LONG_FRAMES):
        near = [size for frames, size in samples if end - SPAN <= frames <= end]
        means.append(sum(near) / len(near))
        print(f"at {end} frames: {means[-1] / 2**20:.1f} MiB resident, mean of {len(near)} samples")
    print(f"ratio {means[1] / means[0]:.4f}")


def call(program: str, *words: str) -> str:
    """What a program in a process of its own prints."""
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
