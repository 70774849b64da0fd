"""A machine's numeric kind: with equal fingerprints, equal frames give equal bits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from vsr.models.network import Network
from vsr.restorer import Restorer
from vsr.streams import open_reader
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.encoder import SegmentEncoder
from vsr.streams.ffmpeg.process import query_ffmpeg
from vsr.types import Chunk, StreamInfo

Fingerprint = dict[str, str]
"""Digests and versions by what they are of."""

NUM_FRAMES, HEIGHT, WIDTH = 6, 48, 64
ENCODED = 192, 256
"""Rows and columns of encoded frames: encoders divide large ones among threads."""

TIME_BASE = Fraction(1, 25)


def take_fingerprint(
    network: Network[Any],
    device: torch.device,
    *,
    suffix: str = ".mkv",
    encoder: str | None = None,
    encode_args: Sequence[str] = (),
) -> Fingerprint:
    """The fingerprint of this machine.

    Args:
        network: On its device, in its precision.
        device: Device of the network.
        suffix: Suffix of the output.
        encoder: See ``open_writer``.
        encode_args: See ``open_writer``.

    Raises:
        ConfigurationError: The encoder does not work here.
    """
    encoded, decoded = _encode(suffix, encoder, encode_args)
    return {
        "vsr": version("vsr-stream"),
        "torch": torch.__version__.partition("+")[0],
        "ffmpeg": query_ffmpeg("-version").stdout.partition("Copyright")[0].strip(),
        "network": _digest(_restore(network, device)),
        "encoder": encoded,
        "decoder": decoded,
    }


def difference(one: Fingerprint, other: Fingerprint) -> str:
    """Differences of two fingerprints; empty where they agree."""
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)} in place of {other.get(name)}" for name in names)


def probe_frames(height: int, width: int) -> Tensor:
    """Frames (6, 3, height, width) that move, from integers alone: the same on every machine."""
    t = torch.arange(NUM_FRAMES).view(-1, 1, 1, 1)
    c = torch.arange(3).view(-1, 1, 1)
    y, x = torch.arange(height).view(-1, 1), torch.arange(width)
    waves = (x * (3 + c) + y * (5 - c) + 7 * t) % 97 + ((x + t) // 8 + y // 8) % 2 * 96
    return waves.float() / 255


def _restore(network: Network[Any], device: torch.device) -> Tensor:
    restorer = Restorer(
        network,
        chunk=2,
        look_ahead=1,
        device=str(device),
        precision=str(network.dtype).removeprefix("torch."),
    )
    pts = tuple(range(NUM_FRAMES))
    frames = probe_frames(HEIGHT, WIDTH)
    left = restorer.push(Chunk(frames=frames, pts=pts, time_base=TIME_BASE)) + restorer.drain()
    return torch.cat([chunk.frames.float().cpu() for chunk in left])


def _encode(suffix: str, encoder: str | None, encode_args: Sequence[str]) -> tuple[str, str]:
    """Digests of an encoded segment, and of its decoded frames."""
    height, width = ENCODED
    info = StreamInfo(height=height, width=width, time_base=TIME_BASE, frame_rate=1 / TIME_BASE)
    with TemporaryDirectory(prefix="vsr-") as folder:
        request = EncodeRequest(
            target=f"{folder}/probe{suffix}",
            info=info,
            height=height,
            width=width,
            encoder=encoder,
            encode_args=encode_args,
        )
        plan = plan_encoding(request, f"{folder}/trial{suffix}", Path(folder))
        segments = SegmentEncoder(plan, Path(folder), ENCODED)
        pts = tuple(range(NUM_FRAMES))
        segments.write(Chunk(frames=probe_frames(*ENCODED), pts=pts, time_base=TIME_BASE))
        paths: list[Path] = []
        segments.cut(paths.append)
        segments.wait()
        with open_reader(paths[0], deinterlace="off") as reader:
            frames = torch.cat([chunk.frames for chunk in reader.chunks(NUM_FRAMES)])
        return hashlib.sha256(paths[0].read_bytes()).hexdigest()[:16], _digest(frames)


def _digest(frames: Tensor) -> str:
    return hashlib.sha256(frames.contiguous().numpy().data).hexdigest()[:16]
