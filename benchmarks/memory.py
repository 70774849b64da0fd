"""Memory foretold and memory taken: ``python -m benchmarks.memory``.

Every row is a whole run of ``vsr restore``'s engine in a process of its own, as the command sets it
up: decode, restore, encode. Networks have random weights, which cost the same. With ``--long`` one
run of many small frames is watched instead: resident memory early and late in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.files import render

CASES = (
    ("compact", "320x180", "bfloat16"),
    ("compact", "640x360", "bfloat16"),
    ("compact", "1280x720", "bfloat16"),
    ("compact", "320x180", "float32"),
    ("basicvsr", "160x90", "bfloat16"),
    ("basicvsr", "320x180", "bfloat16"),
    ("basicvsr", "160x90", "float32"),
    ("iconvsr", "160x90", "bfloat16"),
    ("edvr", "160x90", "bfloat16"),
    ("edvr", "320x180", "float32"),
    ("bicubic", "640x360", "float32"),
    ("identity", "1280x720", "float32"),
)
CHUNKS = 3
"""Chunks restored in a run, besides the look-ahead: queues are full by then."""

LONG_FRAMES = 20_000
EARLY, SPAN = 1000, 500
"""Frames after which memory is read first, and over how many it is averaged."""

PROGRAM = """
import json, sys
import vsr.entry
vsr.entry.prepare()
from vsr.engine.plan import Asked
from vsr.memory import peak_host_bytes
from vsr.models.catalogue import build_network
from vsr.pipeline import run
from vsr.planning import make_restorer
from vsr.scenes import scene_marker
from vsr.streams import open_reader, open_writer
name, source, target, precision, chunk, look_ahead, tiles, scenes, every = sys.argv[1:]
network = build_network(name, {})
asked = Asked(
    chunk=int(chunk) or None,
    look_ahead=None if look_ahead == "-" else int(look_ahead),
    tiles=tuple(map(int, tiles.split("x"))),
)
with open_reader(source) as reader:
    info = reader.info
    restorer, plan = make_restorer(
        network, info, asked=asked, device="cpu", precision=precision, exact=True,
        scenes=every, parallel_scenes=int(scenes),
    )
    scale = network.facts.scale
    writer = open_writer(target, info, height=info.height * scale, width=info.width * scale)
    run(reader, restorer, writer, scenes=scene_marker(every, info))
print(json.dumps([str(plan.settings), plan.memory_bytes, peak_host_bytes()]))
"""

WATCHED = """
import json, resource, sys
import vsr.entry
vsr.entry.prepare()
from pathlib import Path
from vsr.restore import restore
samples = []
def sample(progress):
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    samples.append((progress.frames, pages * resource.getpagesize()))
restore(sys.argv[1], "null", model=sys.argv[2], on_progress=sample)
print(json.dumps(samples))
"""


@click.command()
@click.option("--only", help="Cases of this network only.")
@click.option("--chunk", default=4, show_default=True, help="0 for the network's own.")
@click.option("--look-ahead", default="2", show_default=True, help="- for the network's own.")
@click.option("--tiles", default="1x1", show_default=True, metavar="ROWSxCOLUMNS")
@click.option("--parallel-scenes", "scenes", default=1, show_default=True)
@click.option("--scene-length", default=0, metavar="FRAMES", help="0 for one scene.")
@click.option("--size", help="WIDTHxHEIGHT of all cases instead of theirs.")
@click.option("--long", "watch", is_flag=True, help="Watch one long run instead.")
@click.option("--model", default="compact-x4", show_default=True, help="For the long run.")
def main(
    only: str | None,
    chunk: int,
    look_ahead: str,
    tiles: str,
    scenes: int,
    scene_length: int,
    size: str | None,
    watch: bool,
    model: str,
) -> None:
    """Print the plan's memory next to the peak of the process."""
    every = f"every {scene_length}" if scene_length else "off"
    frames = max(CHUNKS * (chunk or 16) + 8, (scenes + 1) * scene_length)
    asked = (str(chunk), look_ahead, tiles, str(scenes), every)
    with tempfile.TemporaryDirectory() as folder:
        if watch:
            watch_long_run(model, Path(folder))
            return
        for name, usual, precision in CASES:
            if only in (None, name):
                compare(Path(folder), name, size or usual, precision, asked, frames)


def compare(
    folder: Path, name: str, size: str, precision: str, asked: tuple[str, ...], frames: int
) -> None:
    """One run: a line with what was foretold and what was taken."""
    source = render(folder / f"{size}-{frames}.mp4", frames, size)
    words = (name, str(source), str(folder / "out.mp4"), precision, *asked)
    settings, planned, taken = json.loads(call(PROGRAM, *words))
    (folder / "out.mp4").unlink()
    print(
        f"{name:9} {size:8} {precision:8} {settings:32} foretold {planned / 2**20:6.0f} MiB, "
        f"taken {taken / 2**20:6.0f} MiB, ratio {planned / taken:.2f}",
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
