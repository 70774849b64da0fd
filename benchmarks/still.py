"""How much of footage stands still: ``python -m benchmarks.still VIDEO...``.

For each video the shares of what decodes to exactly the values of the frame before: whole frames;
blocks of 16x16 pixels of brightness; blocks with ``--reach`` pixels around them, which is what a
network sees of a block; and the last two over a whole window, chunk and look-ahead, in a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import click
import numpy as np
import numpy.typing as npt

from vsr.cli.tables import print_table

BLOCK = 16
HEADINGS = ("video", "frames", "blocks", "with reach", "windows", "blocks, window")

Mask = npt.NDArray[np.bool_]


@click.command()
@click.argument("videos", nargs=-1, required=True)
@click.option("--chunk", default=16, show_default=True)
@click.option("--look-ahead", default=4, show_default=True)
@click.option("--reach", default=48, show_default=True, help="Pixels around a block.")
def main(videos: tuple[str, ...], chunk: int, look_ahead: int, reach: int) -> None:
    """Print the shares of every video."""
    rows = []
    for video in videos:
        frames, blocks = unchanged(video)
        reached = with_surroundings(blocks, -(-reach // BLOCK))
        ends = range(chunk + look_ahead, len(frames) + 1, chunk)
        windows = [slice(end - chunk - look_ahead, end) for end in ends]
        shares = (
            frames.mean(),
            blocks.mean(),
            reached.mean(),
            np.mean([frames[window].all() for window in windows]),
            np.mean([reached[window].all(0).mean() for window in windows]),
        )
        rows.append((video, *(f"{share:.2f}" for share in shares)))
    print_table(HEADINGS, rows)


def unchanged(video: str) -> tuple[Mask, Mask]:
    """Frames (T,) and blocks of brightness (T, H, W) that equal those of the frame before."""
    frames, blocks, before = [], [], None
    for planes in decoded(video):
        if before is not None:
            same = [one == other for one, other in zip(planes, before, strict=True)]
            frames.append(all(plane.all() for plane in same))
            blocks.append(whole_blocks(same[0]))
        before = planes
    return np.array(frames), np.stack(blocks)


def decoded(video: str) -> Iterator[list[npt.NDArray[Any]]]:
    """The planes of each frame, 4:2:0 with 8 bits."""
    with av.open(video) as container:
        for frame in container.decode(video=0):
            height, width = frame.height // 2 * 2, frame.width // 2 * 2
            packed = frame.reformat(width, height, "yuv420p").to_ndarray()
            yield [packed[:height], packed[height:]]


def whole_blocks(same: Mask) -> Mask:
    """The blocks (H, W) all of whose pixels are."""
    rows, columns = (side // BLOCK for side in same.shape)
    cut = same[: rows * BLOCK, : columns * BLOCK]
    return np.asarray(cut.reshape(rows, BLOCK, columns, BLOCK).all((1, 3)))


def with_surroundings(blocks: Mask, reach: int) -> Mask:
    """The blocks (T, H, W) that are unchanged as far as so many blocks around them."""
    framed = np.pad(blocks, ((0, 0), (reach, reach), (reach, reach)), constant_values=True)
    size = (2 * reach + 1, 2 * reach + 1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(framed, size, (1, 2)).all((3, 4)))


if __name__ == "__main__":
    main()
