"""Artefact guard: planted artefacts that it finds, clean results that it spares, and its time.

    python -m benchmarks.guard --data FOLDER [--model realesrgan-x4plus] [--every 2]

Of every film of the folder two frames are reduced to 216 rows, cropped, coded by H.264 and restored
by a vivid model and by faithful ones. Checkerboards, worms (band-passed noise with hard edges) and
blobs of colour are planted in the vivid result, one at a time, at random places, with amplitudes of
10 to 25 % of the range and radii of 24 to 64 pixels. One is found if more than half of its area is
shown as the faithful model has it. The false area is that of results in which nothing is planted.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.guard.detection import CELL, found_share
from vsr.models.guard.local_variance import texture_similarity
from vsr.models.guard.published import artifact_mask
from vsr.models.loading import load_network
from vsr.quality.coding import Coding, code
from vsr.streams import open_reader

FRAMES, AHEAD = 2, 4
ROWS, CROP = 216, (108, 192)
CODING = Coding(codec="libx264", options={"crf": "24"})
AMPLITUDE, RADIUS = (0.1, 0.25), (24.0, 64.0)


def main() -> None:
    """Measure the time, and with a folder what is found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of films")
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--faithful", default="compact-x4-faithful,bicubic-x4")
    parser.add_argument("--every", type=int, default=1, help="take every n-th film")
    parser.add_argument("--first", type=int, default=0, help="number of the first film")
    given = parser.parse_args()
    measure_time()
    if given.data is not None:
        films = sorted(given.data.iterdir())[given.first :: given.every]
        judge(films, given.model, given.faithful.split(","))


def measure_time() -> None:
    """Print the time of a 1280x720 frame, the best of ten."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 3, 720, 1280, generator=generator)
    vivid, faithful = F.avg_pool2d(noise, 5, 1, 2)
    steps: dict[str, Callable[[], object]] = {
        "similarity": lambda: texture_similarity(vivid, faithful),
        "published mask": lambda: artifact_mask(vivid, faithful),
        "share of a stream": lambda: found_share(vivid[None], faithful[None], None),
    }
    for name, step in steps.items():
        print(f"{name:20}{1000 * min(_seconds(step) for _ in range(10)):6.1f} ms")


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


@torch.inference_mode()
def judge(films: list[Path], model: str, faithful: list[str]) -> None:
    """Print what is found, and what falsely, beside each faithful model."""
    networks = {name: load_network(name) for name in (model, *faithful)}
    false: dict[str, list[float]] = {name: [] for name in faithful}
    shown = {name: {kind: list[float]() for kind in PATTERNS} for name in faithful}
    generator = torch.Generator().manual_seed(7)
    for low in (frames for film in films if (frames := frames_of(film)) is not None):
        results = {n: net.step(low[None], None, FRAMES)[0][0] for n, net in networks.items()}
        vivid = results.pop(model).clamp(0, 1)
        for frame, *others in zip(vivid, *results.values(), strict=True):
            planted = {kind: plant(frame, kind, generator) for kind in PATTERNS}
            for name, other in zip(results, others, strict=True):
                false[name].append(float(_share(frame, other).mean()))
                for kind, (changed, inside) in planted.items():
                    shown[name][kind].append(float(_share(changed, other)[inside].mean()))
    for name in faithful:
        found = {
            kind: sum(share > 0.5 for share in shares) / len(shares)
            for kind, shares in shown[name].items()
        }
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in found.items())
        everything = sum(found.values()) / len(found)
        area = sum(false[name]) / len(false[name])
        print(
            f"{model} beside {name}, {len(false[name])} frames: found {everything:.1%} ({kinds}), "
            f"false area {area:.2%}",
            flush=True,
        )


def frames_of(film: Path) -> Tensor | None:
    """Coded frames (T, 3, H, W) of the middle of a film; None if it is too short."""
    with open_reader(str(film)) as reader:
        chunks = itertools.islice(reader.chunks(8), 5)
        frames = [frame for chunk in chunks for frame in chunk.frames][-FRAMES - AHEAD :]
    if len(frames) < FRAMES + AHEAD:
        return None
    height, width = frames[0].shape[1:]
    size = (ROWS, round(ROWS * width / height))
    small = F.interpolate(torch.stack(frames), size, mode="bicubic", antialias=True)
    rows, columns = CROP[0], min(CROP[1], size[1] // 2 * 2)
    top, left = (ROWS - rows) // 2, (size[1] - columns) // 2
    cropped = small[..., top : top + rows, left : left + columns].clamp(0, 1)
    return code(cropped.mul(255).round().byte(), CODING).float() / 255


def _share(vivid: Tensor, faithful: Tensor) -> Tensor:
    """(H, W): the share of the faithful result in one frame by itself."""
    share = found_share(vivid[None], faithful[None], None)[:, None]
    enlarged = F.interpolate(share, scale_factor=CELL, mode="bilinear")[0, 0]
    return enlarged[: vivid.shape[1], : vivid.shape[2]]


Pattern = Callable[[tuple[int, int], torch.Generator], Tensor]
"""Makes a pattern of -1 to 1, (H, W) or (3, H, W)."""


def plant(frame: Tensor, kind: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A frame (3, H, W) with an artefact, and the pixels (H, W) that it covers."""
    height, width = frame.shape[1:]
    radius, amplitude = _drawn(RADIUS, generator), _drawn(AMPLITUDE, generator)
    row = _drawn((radius, height - radius), generator)
    column = _drawn((radius, width - radius), generator)
    far = torch.hypot(torch.arange(height)[:, None] - row, torch.arange(width) - column)
    disc = ((radius - far) / (0.25 * radius) + 0.5).clamp(0, 1)
    weight = torch.exp(-2 * (far / radius).square()) if kind == "blob" else disc
    pattern = PATTERNS[kind]((height, width), generator)
    return (frame + amplitude * weight * pattern).clamp(0, 1), weight > 0.5


def _checkerboard(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Squares of one to three pixels."""
    side = int(torch.randint(1, 4, (), generator=generator))
    rows, columns = (torch.arange(n) // side for n in size)
    return ((rows[:, None] + columns) % 2 * 2 - 1).float()


def _worms(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Noise of one scale with hard edges: bent lines of one width."""
    noise, sigma = torch.randn(size, generator=generator), _drawn((1.2, 2.5), generator)
    lines = _blurred(noise, sigma) - _blurred(noise, 1.6 * sigma)
    return torch.tanh(1.5 * lines / lines.std())


def _blob(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """One colour."""
    colour = torch.randn(3, generator=generator)
    colour = colour - 0.7 * colour.mean()
    return (colour / colour.abs().max()).view(3, 1, 1).expand(3, *size)


PATTERNS: dict[str, Pattern] = {"checkerboard": _checkerboard, "worms": _worms, "blob": _blob}


def _drawn(bounds: tuple[float, float], generator: torch.Generator) -> float:
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=generator))


def _blurred(plane: Tensor, sigma: float) -> Tensor:
    offset = torch.arange(-12, 13)
    taps = torch.exp(-offset.square() / (2 * sigma**2))
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    along = F.conv2d(plane[None, None], taps, padding=(0, 12))
    return F.conv2d(along, taps.mT, padding=(12, 0))[0, 0]


if __name__ == "__main__":
    main()
