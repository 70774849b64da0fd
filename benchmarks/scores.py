"""Cost of scoring beside a network: ``python -m benchmarks.scores``.

PSNR and SSIM of RGB and Y at 1280x720, and BasicVSR at full size making such frames, on the CPU in
one run: both in processor seconds, so that what else the machine does counts little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import click
import torch

from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.ops.optical_flow import estimate_flow
from vsr.quality.metrics import fidelity
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

HEIGHT, WIDTH = 720, 1280


@click.command()
@click.option("--frames", default=4, show_default=True)
@click.option("--precision", default="auto", show_default=True)
def main(frames: int, precision: str) -> None:
    """Print processor seconds per frame, and the share of scoring."""
    truth = torch.rand(frames, 3, HEIGHT, WIDTH)
    restored = (truth + 0.05 * torch.randn_like(truth)).clamp(0, 1)
    network = Restorer(BasicVSR(), chunk=frames, look_ahead=FULL, device="cpu", precision=precision)
    low = Chunk(
        frames=torch.rand(frames, 3, HEIGHT // 4, WIDTH // 4),
        pts=tuple(range(frames)),
        time_base=Fraction(1, 25),
    )
    restoring = seconds(lambda: (network.push(low), network.drain())) / frames
    scoring = seconds(lambda: fidelity(restored, truth)) / frames
    flow = seconds(lambda: estimate_flow(restored[:1], truth[:1]))
    print(f"BasicVSR, {WIDTH // 4}x{HEIGHT // 4} to {WIDTH}x{HEIGHT}  {restoring:.3f} s a frame")
    print(f"PSNR and SSIM of RGB and Y      {scoring:.3f} s a frame, {scoring / restoring:.1%}")
    print(f"one optical flow (tof 2, warp 2)  {flow:.3f} s, {flow / restoring:.1%}")


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a second call; the first one warms up."""
    work()
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
