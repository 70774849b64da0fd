"""Damaged files, by the thousand: ``make fuzz``. Each is restored from or refused in one line.

    python -m tests.fuzz --number 2000 --seed 0 [--kinds checkpoints images journals containers]

Files are made here, and taken from the reference data where that is beside the checkout. Each is
cut short, or has bytes changed, removed or repeated, by a seed that is printed with a failure.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from av.error import FFmpegError
from PIL import Image
from safetensors.torch import save

from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip
from tests.networks import compact
from vsr.errors import VSRError
from vsr.models.checkpoints.checkpoint import read_checkpoint
from vsr.resume.journal import Journal, ResumePoint, header_line, point_line
from vsr.streams import open_reader
from vsr.streams.decode.image_codec import decode_image
from vsr.streams.names.container import open_container

TIMEOUT_S = 60
"""A file that takes longer hangs."""

MOST_PIXELS = 1 << 28
"""A file that gives so many is a long one, not one that hangs: 130 frames of 1080p."""

LONGEST = 1 << 20
"""Bytes of a file that is mutated, at most."""

Try = Callable[[Path], None]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to four changes of a file."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64, 512))
        match rng.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at : at + length] = rng.randbytes(length)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + length] = rng.choice((b"\xff", b"\x00", b"\x7f")) * length
    return bytes(data)


def checkpoints(folder: Path) -> list[tuple[str, bytes]]:
    """The containers that checkpoints come in."""
    weights = {name: value.clone() for name, value in compact().state_dict().items()}
    zipped, legacy = io.BytesIO(), io.BytesIO()
    torch.save({"params": weights}, zipped)
    torch.save({"state_dict": weights}, legacy, _use_new_zipfile_serialization=False)
    return [
        ("a.pth", zipped.getvalue()),
        ("b.pth", legacy.getvalue()),
        ("c.safetensors", save(weights)),
        ("junk.pth", b"junk"),
    ]


def images(folder: Path) -> list[tuple[str, bytes]]:
    """One picture of each format."""
    found = []
    for suffix, mode in (("png", "RGB"), ("jpeg", "RGB"), ("webp", "RGBA"), ("tiff", "I;16")):
        file = io.BytesIO()
        Image.effect_mandelbrot((64, 48), (-2, -1, 1, 1), 30).convert(mode).save(file, suffix)
        found.append((f"a.{suffix}", file.getvalue()))
    return found


def journals(folder: Path) -> list[tuple[str, bytes]]:
    """A journal of two borders."""
    lines = [header_line({"version": "0.1.0", "source": {}, "options": {}})]
    lines += [point_line(ResumePoint(number=n, frames=10 * n, segment=f"s{n}.nut")) for n in (1, 2)]
    return [("journal.jsonl", b"".join(lines))]


def containers(folder: Path) -> list[tuple[str, bytes]]:
    """Small videos of several kinds, and those of the reference data."""
    made = [write_clip(folder / f"a.{s}", Clip(num_frames=8)) for s in ("mp4", "mkv", "avi", "ts")]
    shared = REPOSITORY.parent / "shared"
    known = [*shared.glob("data/torture/*.*"), *shared.glob("field/in/*.*")]
    small = [path for path in known if path.is_file() and path.stat().st_size <= LONGEST]
    return [(path.name, path.read_bytes()) for path in [*made, *sorted(small)]]


def try_checkpoint(path: Path) -> None:
    read_checkpoint(path)


def try_image(path: Path) -> None:
    decode_image(path)


def try_journal(path: Path) -> None:
    folder = path.parent / "out.resume"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "journal.jsonl")
    Journal.open(folder).close()


def try_container(path: Path) -> None:
    count, pixels = 0, 0
    with open_reader(str(path)) as reader:
        for chunk in reader.chunks(4):
            assert len(chunk) > 0
            count += len(chunk)
            pixels += chunk.frames.numel() // 3
            if pixels > MOST_PIXELS:
                return
    decoded = count_decoded(path)
    assert count >= decoded, f"{decoded} frames decode, {count} were read"


def count_decoded(path: Path) -> int:
    """Frames that a plain loop over the file gives, up to its first error."""
    count = 0
    container, video = open_container(str(path))
    with container, suppress(FFmpegError, OSError, IndexError):
        for _ in container.decode(video):
            count += 1
    return count


KINDS: dict[str, tuple[Callable[[Path], list[tuple[str, bytes]]], Try]] = {
    "checkpoints": (checkpoints, try_checkpoint),
    "images": (images, try_image),
    "journals": (journals, try_journal),
    "containers": (containers, try_container),
}


def failures(kind: str, number: int, seed: int) -> Iterator[str]:
    """What ended otherwise than well or in one line, each with the seed that repeats it."""
    make, attempt = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="vsr-fuzz-") as name:
        folder = Path(name)
        originals = make(folder)
        for trial in range(seed, seed + number):
            rng = random.Random(trial)
            original, content = originals[trial % len(originals)]
            path = folder / original
            path.write_bytes(content if trial < len(originals) else mutated(content, rng))
            faulthandler.dump_traceback_later(TIMEOUT_S, exit=True)
            try:
                attempt(path)
            except VSRError as error:
                if "\n" in str(error):
                    yield f"{kind} {original} --seed {trial}: several lines: {error}"
            except Exception as error:
                yield f"{kind} {original} --seed {trial}: {type(error).__name__}: {error}"
            finally:
                faulthandler.cancel_dump_traceback_later()


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code says whether anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    asked = parser.parse_args(words)
    failed = 0
    for kind in asked.kinds:
        for line in failures(kind, asked.number, asked.seed):
            failed += 1
            sys.stdout.write(line + "\n")
        sys.stdout.write(f"{kind}: {asked.number} files\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
