"""Loss by chunk and look-ahead of a network: ``python -m benchmarks.seams --root VID4``.

Each setting goes through ``Restorer``, but for BasicVSR there is a shorter way. Its forward branch
does not see the backward one, so that it is the same at every setting; and the backward features of
a frame depend on nothing but where its window ends. Hence each window end is swept once for all
settings that share it, and a whole table takes five times as long as restoring the clips once;
`--check` compares one setting with the ``Restorer``.

With ``--bfloat16`` the clips are restored whole in bfloat16, too. Where the CPU has no such
convolutions they are done in float32 on values rounded to bfloat16, and rounded again: the same
numbers but for the order of sums. With ``--int8 FILE`` they are restored whole in int8, too, from
that file of `vsr models measure`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks.look_ahead import Clips, restore
from vsr.evaluation.data_set_clips import find_clips
from vsr.models.architectures.basicvsr import SCALE, BasicVSR
from vsr.models.layers.propagation import PairFlows, pair_flows
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.quality.degradation import degrade
from vsr.quality.metrics import luma, psnr, ssim
from vsr.restorer import FULL

Score = tuple[float, float]
"""PSNR of Y in dB, and SSIM of Y."""


@dataclass(frozen=True, order=True)
class Setting:
    """How a stream is cut into windows."""

    chunk: int
    look_ahead: int

    def window_end(self, frame: int, num_frames: int) -> int:
        """The first frame that is not in the window in which a frame is restored."""
        return min(num_frames, (frame // self.chunk + 1) * self.chunk + self.look_ahead)


@click.command()
@click.option("--root", required=True, type=click.Path(path_type=Path, exists=True), help="Vid4.")
@click.option("--model", default="basicvsr_vimeo90k_bi_basicsr", show_default=True)
@click.option("--degradation", default="BI", show_default=True)
@click.option("--clips", default="", help="Names; all where none is given.")
@click.option("--frames", type=int, default=None, help="Of each clip; all where not given.")
@click.option("--crop", type=int, default=None, help="Side of the input's central part, in pixels.")
@click.option("--chunks", default="4,8,16", show_default=True)
@click.option("--look-aheads", default="0,1,2,4,8,14", show_default=True)
@click.option("--bfloat16", is_flag=True, help="Whole clips in bfloat16, against float32.")
@click.option("--int8", "known", default=None, help="A measured checkpoint, against float32.")
@click.option("--check", is_flag=True, help="Compare the first setting with the Restorer's frames.")
def main(
    root: Path,
    model: str,
    degradation: str,
    clips: str,
    frames: int | None,
    crop: int | None,
    chunks: str,
    look_aheads: str,
    bfloat16: bool,
    known: str | None,
    check: bool,
) -> None:
    """Print a table as Markdown: PSNR-Y and SSIM-Y, and what is lost against the whole clip."""
    network, _ = place(load_network(model), device="cpu", precision="float32")
    if check and not isinstance(network, BasicVSR):
        raise click.UsageError(f"{model} goes through the Restorer anyway; leave --check out")
    data = read_clips(root, degradation, clips.split(",") if clips else [], frames, crop)
    sizes, ahead = ([int(word) for word in words.split(",")] for words in (chunks, look_aheads))
    settings = [Setting(chunk, look_ahead) for look_ahead in ahead for chunk in sizes]
    with torch.inference_mode():
        if check and isinstance(network, BasicVSR):
            print(f"{settings[0]}: {difference(network, data, settings[0]):.1e} from the Restorer")
        if known is not None:
            print_int8(load_network(known), data)
        elif bfloat16:
            print_bfloat16(network, data)
        else:
            print_table(network, data, sizes, ahead)


def print_table(
    network: Network[Any], data: Clips, chunks: Sequence[int], look_aheads: Sequence[int]
) -> None:
    """The clips' mean of every setting, and what it loses."""
    settings = [Setting(chunk, look_ahead) for look_ahead in look_aheads for chunk in chunks]
    whole, scores = study(network, data, settings)
    print(f"whole: {whole[0]:.4f} dB, {whole[1]:.5f}; lost against it, dB / SSIM:")
    print("| look-ahead |" + "".join(f" chunk {chunk} |" for chunk in chunks))
    print("|---" * (len(chunks) + 1) + "|")
    for look_ahead in look_aheads:
        found = [scores[Setting(chunk, look_ahead)] for chunk in chunks]
        cells = (f"{whole[0] - score[0]:.4f} / {whole[1] - score[1]:.5f}" for score in found)
        print(f"| {look_ahead} | {' | '.join(cells)} |")


def print_bfloat16(network: Network[Any], data: Clips) -> None:
    """Each clip whole, in float32 and in bfloat16."""
    print("| clip | float32 | bfloat16 | lost, dB / SSIM |\n|---|---|---|---|")
    for name, frames in data.low.items():
        truth = data.truth[name]
        exact = score(network(frames[None])[0], truth)
        with RoundedConvolutions():
            rounded = restore(network, alone(data, name), len(frames), FULL, "bfloat16")[name]
        coarse = score_of_luma(rounded, luma(truth))
        cells = (f"{value[0]:.4f} / {value[1]:.5f}" for value in (exact, coarse))
        print(
            f"| {name} | {' | '.join(cells)} | {exact[0] - coarse[0]:.4f} / "
            f"{exact[1] - coarse[1]:.5f} |",
            flush=True,
        )


def print_int8(network: Network[Any], data: Clips) -> None:
    """Each clip whole, in float32 and in int8."""
    print("| clip | float32 | int8 | lost, dB / SSIM | CPU s |\n|---|---|---|---|---|")
    placed = [place(network, device="cpu", precision=name)[0] for name in ("float32", "int8")]
    for name, frames in data.low.items():
        scores, seconds = [], []
        for one in placed:
            began = time.process_time()
            restored = one(frames[None])[0]
            seconds.append(time.process_time() - began)
            scores.append(score(restored, data.truth[name]))
        (exact, exact_ssim), (coarse, coarse_ssim) = scores
        cells = [f"{value[0]:.4f} / {value[1]:.5f}" for value in scores]
        cells.append(f"{exact - coarse:.4f} / {exact_ssim - coarse_ssim:.5f}")
        print(f"| {name} | {' | '.join(cells)} | {seconds[0]:.2f} / {seconds[1]:.2f} |", flush=True)


def study(
    network: Network[Any], data: Clips, settings: Sequence[Setting]
) -> tuple[Score, Mapping[Setting, Score]]:
    """The score of whole clips, and those of every setting; means over frames, then over clips."""
    wholes: list[Score] = []
    by_setting: dict[Setting, list[Score]] = defaultdict(list)
    for name in data.low:
        if isinstance(network, BasicVSR):
            whole, scores = swept_scores(network, data.low[name], data.truth[name], settings)
        else:
            whole, scores = streamed_scores(network, alone(data, name), settings)
        wholes.append(whole)
        for setting in settings:
            by_setting[setting].append(scores[setting])
        print(f"{name}: whole {whole[0]:.3f} dB", flush=True)
    return mean(wholes), {setting: mean(of_clips) for setting, of_clips in by_setting.items()}


def streamed_scores(
    network: Network[Any], data: Clips, settings: Sequence[Setting]
) -> tuple[Score, dict[Setting, Score]]:
    """The scores of the only clip, whole and at every setting, each by a stream of its own."""
    ((name, truth),) = data.truth.items()
    grey = luma(truth)

    def scored(chunk: int, look_ahead: int | str) -> Score:
        restored = restore(network, data, chunk, look_ahead, "float32")
        return score_of_luma(restored[name], grey)

    by_setting = {setting: scored(setting.chunk, setting.look_ahead) for setting in settings}
    return scored(len(truth), FULL), by_setting


def swept_scores(
    network: BasicVSR, low: Tensor, truth: Tensor, settings: Sequence[Setting]
) -> tuple[Score, dict[Setting, Score]]:
    """The same of a BasicVSR, each window end swept once."""
    scores = frame_scores(network, low, truth, settings)
    frames = range(len(low))
    by_setting = {
        setting: mean([scores[i, setting.window_end(i, len(low))] for i in frames])
        for setting in settings
    }
    return mean([scores[i, len(low)] for i in frames]), by_setting


def frame_scores(
    network: BasicVSR, low: Tensor, truth: Tensor, settings: Sequence[Setting]
) -> dict[tuple[int, int], Score]:
    """The score of each frame at each window end that a setting, or the whole clip, gives it."""
    scores = {}
    for (frame, end), restored in windows(network, low, settings):
        scores[frame, end] = score(restored, truth[frame : frame + 1])
    return scores


def windows(
    network: BasicVSR, low: Tensor, settings: Sequence[Setting]
) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """Frame and window end, and the frame (1, 3, H, W) as restored in a window with that end."""
    clip = low[None]
    flows = pair_flows(network.spynet, clip, None)
    forward = forward_features(network, clip, flows)
    for end, wanted in frames_by_end(len(low), settings).items():
        first = min(wanted)
        part = PairFlows(
            forward_BT2HW=flows.forward_BT2HW[:, first:end],
            backward_BT2HW=flows.backward_BT2HW[:, first:end],
        )
        window = list(clip[:, first:end].unbind(1))
        backward = network._propagate_backward(window, part, len(window))
        for i in sorted(wanted):
            yield (i, end), network._reconstruct(backward[i - first], forward[i], clip[:, i])


def forward_features(network: BasicVSR, clip: Tensor, flows: PairFlows) -> list[Tensor]:
    """Features of the forward branch at every frame, which all settings share."""
    feat = network._no_feat(clip[:, 0])
    feats = []
    for i in range(clip.shape[1]):
        feat = network._advance(network.forward_trunk, clip[:, i], feat, flows.to_previous(i))
        feats.append(feat)
    return feats


def frames_by_end(num_frames: int, settings: Sequence[Setting]) -> dict[int, set[int]]:
    """The frames that are wanted of a window, by its end; those of the whole clip among them."""
    wanted = defaultdict(set, {num_frames: set(range(num_frames))})
    for setting in settings:
        for frame in range(num_frames):
            wanted[setting.window_end(frame, num_frames)].add(frame)
    return wanted


def difference(network: BasicVSR, data: Clips, setting: Setting) -> float:
    """The largest difference of luma from what a ``Restorer`` gives at that setting."""
    largest = 0.0
    name = next(iter(data.low))
    low = data.low[name]
    streamed = restore(network, alone(data, name), setting.chunk, setting.look_ahead, "float32")[
        name
    ]
    for (i, end), restored in windows(network, low, [setting]):
        if end == setting.window_end(i, len(low)):
            apart = luma(restored.clamp(0, 1)) - streamed[i]
            largest = max(largest, float(apart.abs().max()))
    return largest


def read_clips(
    root: Path, degradation: str, names: Sequence[str], num_frames: int | None, crop: int | None
) -> Clips:
    """Clips of Vid4, their low resolution made from the whole frames and then cut."""
    low, truth = {}, {}
    for clip in find_clips("vid4", root, scale=SCALE, degradation=degradation).clips:
        if not names or clip.name in names:
            high = clip.truth.read(0, num_frames or len(clip.truth.names))
            frames = degrade(high, SCALE, degradation)
            rows, columns = (central(size, crop) for size in frames.shape[-2:])
            low[clip.name] = cut(frames, rows, columns, 1)
            truth[clip.name] = cut(high, rows, columns, SCALE)
    return Clips(low=low, truth=truth)


def central(size: int, side: int | None) -> range:
    """The central pixels of an axis; all of them without a side."""
    return range(size) if side is None else range((size - side) // 2, (size + side) // 2)


def cut(frames: Tensor, rows: range, columns: range, scale: int) -> Tensor:
    """A rectangle of frames, in pixels of a frame that is ``scale`` times smaller."""
    high, wide = (slice(scale * axis.start, scale * axis.stop) for axis in (rows, columns))
    return frames[..., high, wide].contiguous()


def alone(data: Clips, name: str) -> Clips:
    """One of the clips."""
    return Clips(low={name: data.low[name]}, truth={name: data.truth[name]})


def score(restored: Tensor, truth: Tensor) -> Score:
    """Mean over frames (T, 3, H, W)."""
    return score_of_luma(luma(restored.clamp(0, 1)), luma(truth))


def score_of_luma(restored: Tensor, truth: Tensor) -> Score:
    """Mean over frames (T, 1, H, W)."""
    return float(psnr(restored, truth).mean()), float(ssim(restored, truth).mean())


def mean(scores: Sequence[Score]) -> Score:
    """Both means."""
    psnrs, ssims = zip(*scores, strict=True)
    return sum(psnrs) / len(psnrs), sum(ssims) / len(ssims)


class RoundedConvolutions(TorchFunctionMode):
    """Convolutions of bfloat16 in float32, the result rounded: fast where a CPU has none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.conv2d or args[0].dtype != torch.bfloat16:
            return func(*args, **kwargs)
        exact: list[Any] = [arg.float() if isinstance(arg, Tensor) else arg for arg in args]
        return func(*exact, **kwargs).bfloat16()


if __name__ == "__main__":
    main()
