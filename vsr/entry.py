"""Where the command ``vsr`` begins: what must be set before torch is loaded.

Threads of a convolution wait for each other by spinning. Where the same cores decode and encode,
that keeps the encoder off a core that only waits: on two cores, spinning briefly and then sleeping
restored 13.0 frames a second instead of 12.1. Set by the command only, never by importing the
package; what the environment says already is left alone.
"""

from __future__ import annotations

import os

SPIN_COUNT = "1000"
"""Turns a thread waits before it sleeps: some microseconds, instead of milliseconds."""


def main() -> None:
    """Run the command line."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from vsr.cli import main as run

    run()
