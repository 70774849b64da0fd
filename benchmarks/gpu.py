"""Everything that a GPU has to show, by one command of nine minutes that can be repeated.

    python -m benchmarks.gpu --out gpu                   # all parts that are not there yet
    python -m benchmarks.gpu --out gpu --only graphs     # one of them, again
    python -m benchmarks.gpu --device cpu --size 64x64 --seconds 0  # whether this script works

Each part is a process of its own (``benchmarks.gpu_parts``), but for the first, which is the tests
that need a GPU. What a part prints lies in ``OUT/PART.txt``. A part that failed or ran out of time
leaves ``OUT/PART.failed.txt`` and is tried again by the next call.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.gpu_parts import PARTS

TESTS = "correctness"
LEAST_S = 20.0
"""A part is not begun with less time than this."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="gpu", show_default=True)
@click.option("--minutes", default=9.0, show_default=True, help="Of all parts together.")
@click.option("--only", type=click.Choice([TESTS, *PARTS]), help="A part, also if it is there.")
@click.option("--device", default="cuda", show_default=True)
@click.option("--seconds", default="1", show_default=True, help="Of each measurement.")
@click.option("--size", default="320x180", show_default=True, help="Of frames.")
def main(out: Path, minutes: float, only: str | None, device: str, seconds: str, size: str) -> None:
    """Run all parts that are missing, the most important first."""
    out.mkdir(parents=True, exist_ok=True)
    ends_at = time.monotonic() + 60 * minutes
    failed = False
    for part in [only] if only else [TESTS, *PARTS]:
        left_s = ends_at - time.monotonic()
        if (out / f"{part}.txt").exists() and not only:
            continue
        if left_s < LEAST_S:
            print(f"{part}: no time left; call again")
            continue
        words = [f"--device={device}", f"--seconds={seconds}", f"--size={size}"]
        failed |= not run_part(part, out, words, left_s)
    sys.exit(failed)


def run_part(part: str, out: Path, options: list[str], left_s: float) -> bool:
    """Run a part, keep and show what it prints; whether it ended well."""
    words, environment = ["benchmarks.gpu_parts", part, str(out), *options], dict(os.environ)
    if part == TESTS:
        words = ["pytest", "-q", "-m", "gpu", "tests"]
        environment |= {} if "--device=cpu" in options else {"VSR_REQUIRE_GPU": "1"}
    began = time.monotonic()
    said, code = text_of([sys.executable, "-m", *words], environment, left_s)
    took = f"{part}: exit code {code} after {time.monotonic() - began:.0f} s"
    for ending in (".txt", ".failed.txt"):
        (out / f"{part}{ending}").unlink(missing_ok=True)
    (out / f"{part}{'.failed' if code else ''}.txt").write_text(f"{said}{took}\n")
    print(f"== {took}\n{said}", flush=True)
    return code == 0


def text_of(words: list[str], environment: dict[str, str], left_s: float) -> tuple[str, int | None]:
    """What a command prints, and its exit code; None if it had to be ended."""
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=left_s)[0], process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
        return process.communicate()[0], None


if __name__ == "__main__":
    main()
