"""How large an output will be, from short parts of it that are restored and encoded.

A part is the middle of a few consecutive frames, so that it takes seconds whatever the size and the
network. Its pictures are told apart by whether others are needed to decode them: the ones that need
none are large and rare, and how rare a short part cannot show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from vsr.engine.parallel_scenes import ParallelScenes
from vsr.offline.output_size import OutputSize, fit_writer
from vsr.restorer import Restorer
from vsr.streams import open_reader, open_writer
from vsr.streams.encode.packet_sizes import PictureSizes, picture_sizes, sound_rate
from vsr.streams.names.container import PIPE, is_address
from vsr.streams.names.image_sequence import names_images
from vsr.streams.open import NULL
from vsr.types import Chunk, StreamInfo

MOMENTS = (Fraction(1, 6), Fraction(1, 2), Fraction(5, 6))
"""Where parts are taken, as shares of the source."""

FRAMES = 24
"""Of a part: encoders look at about as many before they decide."""

SIDE = 128
"""Rows and columns of the source that a part shows at most; even, as chroma wants it."""

KEY_EVERY = 250
"""Frames from one picture that needs no other to the next: what x264 and x265 do by themselves."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How the output is encoded; as for ``open_writer``."""

    encoder: str | None = None
    encode_args: Sequence[str] = ()
    in_process: bool = False


def expected_bytes(
    source: str,
    target: str,
    info: StreamInfo,
    restorer: Restorer | ParallelScenes,
    output: OutputSize,
    encoding: Encoding,
    *,
    start_s: float | None = None,
    frame_rate: Fraction | None = None,
) -> int | None:
    """Bytes of the file, or of all images, that a run will leave.

    Args:
        source: What is restored.
        target: Where to; nothing is written there.
        info: Of the part of the source that is restored.
        restorer: Its network restores the parts; its stream is left alone.
        output: Size of the output.
        encoding: As the run will encode.
        start_s: Where the part of the source begins, in seconds after the first frame.
        frame_rate: As for ``restore``.

    Returns:
        None where nothing is left behind, or the length is not known.

    Raises:
        VSRError: The source cannot be read, or the encoder does not work.
    """
    endless = target in (NULL, PIPE) or is_address(target)
    if endless or source == PIPE or is_address(source) or not (info.num_frames and info.frame_rate):
        return None
    seconds = info.num_frames / info.frame_rate
    begins = Fraction(start_s or 0)
    crop = _crop(info, output)
    with TemporaryDirectory(prefix="vsr-") as folder:
        found = [
            _sizes(target, Path(folder) / str(i), _restored(part, restorer), info, crop, encoding)
            for i, part in enumerate(_parts(source, info, begins, seconds, frame_rate))
        ]
    if not found:
        return None
    enlarged = output.height * output.width / (crop.height * crop.width)
    sound = 0.0 if names_images(source) or names_images(target) else sound_rate(source)
    return round(_extrapolated(found, info.num_frames) * enlarged + sound * seconds)


def _crop(info: StreamInfo, output: OutputSize) -> OutputSize:
    """The output's size for the middle of the frames."""
    height, width = (min(side, SIDE) for side in (info.height, info.width))
    return replace(
        output,
        height=max(2, 2 * round(height * output.height / info.height / 2)),
        width=max(2, 2 * round(width * output.width / info.width / 2)),
        # Rounding may resize even where the whole output is not.
        resampled=True,
    )


def _parts(
    source: str,
    info: StreamInfo,
    begins: Fraction,
    seconds: Fraction,
    frame_rate: Fraction | None,
) -> Iterator[Chunk]:
    """The middle of a few frames at each of the moments; fewer where the source is short."""
    moments = MOMENTS if (info.num_frames or 0) > len(MOMENTS) * FRAMES else (Fraction(0),)
    top, left = (max(0, (side - SIDE) // 4 * 2) for side in (info.height, info.width))
    for moment in moments:
        start_s = begins + moment * seconds
        with open_reader(source, start_s=start_s, frame_rate=frame_rate, headroom=True) as reader:
            chunk = next(reader.chunks(min(FRAMES, info.num_frames or FRAMES)), None)
        if chunk is not None:
            middle = chunk.frames[..., top : top + SIDE, left : left + SIDE]
            yield replace(chunk, frames=middle.contiguous(), scene_starts=frozenset())


def _restored(part: Chunk, restorer: Restorer | ParallelScenes) -> list[Chunk]:
    settings = restorer.settings
    once = Restorer(
        restorer.network,
        chunk=settings.chunk,
        look_ahead=settings.look_ahead or 0,
        device=str(restorer.device),
        precision=str(restorer.network.dtype).removeprefix("torch."),
    )
    return once.push(part) + once.drain()


def _sizes(
    target: str,
    folder: Path,
    chunks: Sequence[Chunk],
    info: StreamInfo,
    crop: OutputSize,
    encoding: Encoding,
) -> PictureSizes:
    """Encode a part as the run would, and look at its pictures."""
    folder.mkdir()
    images = names_images(target)
    name = str(
        folder / (Path(target).name if not images else f"%06d{Path(target).suffix or '.png'}")
    )
    writer = fit_writer(
        open_writer(
            name,
            replace(info, start_pts=chunks[0].pts[0], others=()),
            height=crop.height,
            width=crop.width,
            encoder=encoding.encoder,
            encode_args=encoding.encode_args,
            in_process=encoding.in_process,
        ),
        crop,
    )
    for chunk in chunks:
        writer.write(chunk)
    written = writer.finish()
    if images:
        return PictureSizes(keys=tuple(p.stat().st_size for p in folder.iterdir()), others=())
    return picture_sizes(written)


def _extrapolated(found: Sequence[PictureSizes], num_frames: int) -> float:
    """Bytes of as many frames; pictures that need no other come as rarely as they usually do."""
    keys = [size for sizes in found for size in sizes.keys]
    others = [size for sizes in found for size in sizes.others]
    key = sum(keys) / len(keys) if keys else 0.0
    if not others:
        return key * num_frames
    num_keys = -(-num_frames // KEY_EVERY) if keys else 0
    return key * num_keys + sum(others) / len(others) * (num_frames - num_keys)
