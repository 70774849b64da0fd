"""What is loaded before a run begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.media import Clip, write_clip

RUN = """
import gc
import sys
from vsr.cli.startup import main
sys.argv = ["vsr", "restore", sys.argv[1], "null", "--model", sys.argv[2], "--quiet"]
try:
    main()
finally:
    print(gc.get_freeze_count() > 100_000, sorted(sys.modules))
"""


@pytest.mark.parametrize("model", ["identity", "bicubic-x2", "compact-x4"])
def test_a_run_neither_loads_torchs_compiler_nor_looks_through_what_it_loads(
    model: str, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(num_frames=2))
    words = [sys.executable, "-c", RUN, str(source), model]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert said.startswith("True")
    assert "'torch'" in said
    assert "'torch._dynamo'" not in said
    assert "'sympy'" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_numpy_starts_no_threads() -> None:
    program = "import os, vsr.cli.startup; vsr.cli.startup.prepare(); import numpy; "
    program += "print(len(os.listdir('/proc/self/task')))"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert said.stdout.split() == [b"1"]
