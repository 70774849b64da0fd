"""The steps of the demo: paint and degrade a clip, restore it, compare, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from examples.demo.clip import DemoClip
from examples.demo.rendering import finished, render_input
from vsr.errors import ConfigurationError, OpenError
from vsr.models.catalogue import DEFAULT_MODEL
from vsr.models.ops.imresize import imresize
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.pipeline import Progress, Summary
from vsr.quality.metrics import luma, psnr
from vsr.quality.montage import Panel, detail_sheet, panel_size, save_png, side_by_side
from vsr.streams import open_reader, open_writer
from vsr.types import StreamInfo, Writer


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of the demo in its folder.

    Attributes:
        source: The clip to restore: the painted one, or the user's own.
        restored: The result.
        comparison: The source enlarged, and the result, side by side.
        details: A picture of details of one frame.
    """

    source: str
    restored: Path
    comparison: Path
    details: Path


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Mean PSNR of Y over the frames, in dB, against the ground truth."""

    frames: int
    upscaled: float
    restored: float


def name_files(folder: Path, video: str | None) -> Files:
    """Make the folder and choose the names in it.

    Raises:
        OpenError: The folder cannot be made.
        ConfigurationError: The user's video is one of the files that would be written.
    """
    files = Files(
        source=video or str(folder / "input.mp4"),
        restored=folder / "restored.mp4",
        comparison=folder / "comparison.mp4",
        details=folder / "frame.png",
    )
    if Path(files.source).resolve() in {files.restored.resolve(), files.comparison.resolve()}:
        raise ConfigurationError(f"'{video}' would be overwritten; copy it to another name first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OpenError(f"folder '{folder}' cannot be made ({error}); give another") from error
    return files


def paint(files: Files, clip: DemoClip, num_frames: int) -> None:
    """Write the source of a demo without the user's own video."""
    with one_thread():
        render_input(clip, Path(files.source), num_frames)


def restore_source(
    files: Files,
    *,
    end_s: float,
    model: str = DEFAULT_MODEL,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Do what ``vsr restore`` does, up to ``end_s`` seconds."""
    return restore(
        files.source,
        str(files.restored),
        RestoreOptions(model=model, end_s=end_s, overwrite=True),
        on_progress=on_progress,
    )


def compare(files: Files, *, end_s: float, clip: DemoClip | None) -> Scores | None:
    """Write the comparison video, and the picture of details of its middle frame.

    Args:
        files: Source and result exist.
        end_s: End of the result in the source, in seconds.
        clip: The ground truth, where there is one.

    Returns:
        Scores of the frames decoded from the files; None without a ground truth.
    """
    scores = []
    with (
        one_thread(),
        open_reader(files.source, end_s=end_s) as before,
        open_reader(str(files.restored)) as after,
        finished(_open_comparison(files, after.info)) as writer,
    ):
        shown = (after.info.num_frames or 0) // 2
        pairs = zip(before.chunks(1), after.chunks(1), strict=True)
        for index, (low, high) in enumerate(pairs):
            panels = _panels(low.frames[0], high.frames[0])
            writer.write(replace(high, frames=side_by_side(panels)[None]))
            writer.write_packets(after.take_packets())
            if clip is not None:
                panels.append(("ground truth", clip.frame(index)))
                scores.append(_score(panels))
            if index == shown:
                save_png(detail_sheet(panels), files.details)
    return _mean(scores) if scores else None


@contextmanager
def one_thread() -> Iterator[None]:
    """Work on one thread of PyTorch.

    On small tensors more threads gain little, and where other programs use the cores each of the
    many short operations waits for the slowest thread: ten times slower beside a training run.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _open_comparison(files: Files, info: StreamInfo) -> Writer:
    height, width = panel_size(info.height, info.width)
    return open_writer(
        str(files.comparison),
        info,
        height=height,
        width=2 * width,
        source=str(files.restored),
        overwrite=True,
    )


def _panels(low: Tensor, high: Tensor) -> list[Panel]:
    scale = high.shape[-1] // low.shape[-1]
    upscaled = imresize(low, scale).clamp(0, 1)
    return [(f"input, bicubic x{scale}", upscaled), ("restored", high)]


def _score(panels: list[Panel]) -> tuple[float, float]:
    upscaled, restored, truth = (luma(frame) for _, frame in panels)
    return float(psnr(upscaled, truth)), float(psnr(restored, truth))


def _mean(scores: list[tuple[float, float]]) -> Scores:
    upscaled, restored = torch.tensor(scores, dtype=torch.float64).mean(dim=0).tolist()
    return Scores(frames=len(scores), upscaled=upscaled, restored=restored)
