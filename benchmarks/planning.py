"""How long planning takes before the first frame: ``python -m benchmarks.planning``.

Every architecture, with random weights, at several frame sizes, for sizes that were asked for and
are far beyond any source, for short and endless sources and for a budget that nothing fits into.
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch

from vsr.engine.memory_plan import RequestedSettings, make_plan
from vsr.engine.settings import FULL
from vsr.models.architecture_table import ARCHITECTURES

SIZES = ((72, 96), (1080, 1920), (2160, 3840))
ASKED = {
    "defaults": RequestedSettings(),
    "--chunk 1000": RequestedSettings(chunk=1000),
    "--look-ahead 99999999": RequestedSettings(look_ahead=99_999_999),
    "--look-ahead full": RequestedSettings(look_ahead=FULL),
    "--chunk 1000 --look-ahead full": RequestedSettings(chunk=1000, look_ahead=FULL),
}
LENGTHS = (25, 200_000, None)
OPTIONS = {"cascade": {"first": {}, "second": {"hr_in": True, "num_frame": 3}}}
BUDGETS = (1 << 28, 1 << 34)


def main() -> None:
    """Print the slowest plan of each architecture."""
    parser = argparse.ArgumentParser(description="Time that planning takes before a run.")
    parser.add_argument("names", nargs="*", metavar="ARCHITECTURE")
    asked = parser.parse_args()
    print(f"{'architecture':16}{'plans':>6}{'median s':>10}{'worst s':>9}  worst of")
    for name in asked.names or ARCHITECTURES:
        times = dict(_times(name))
        slowest = max(times, key=lambda plan: times[plan])
        median = sorted(times.values())[len(times) // 2]
        print(f"{name:16}{len(times):>6}{median:>10.2f}{times[slowest]:>9.2f}  {slowest}")


def _times(name: str) -> list[tuple[str, float]]:
    network = ARCHITECTURES[name].build(**OPTIONS.get(name, {})).eval()
    found = []
    for (height, width), words, length, budget in itertools.product(SIZES, ASKED, LENGTHS, BUDGETS):
        started = time.process_time()
        make_plan(
            network,
            torch.device("cpu"),
            height,
            width,
            budget_bytes=budget,
            asked=ASKED[words],
            num_frames=length,
            exact=True,
        )
        seconds = time.process_time() - started
        frames = "endless" if length is None else f"{length} frames"
        found.append((f"{width}x{height}, {words}, {frames}, {budget >> 20} MiB", seconds))
    return found


if __name__ == "__main__":
    main()
