"""What is loaded before a run begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.media import Clip, write_clip

RUN = """
import gc
import sys
from vsr.entry import main
sys.argv = ["vsr", "restore", sys.argv[1], "null", "--model", "identity", "--quiet"]
try:
    main()
finally:
    print(gc.get_freeze_count() > 100_000, sorted(sys.modules))
"""


def test_a_run_does_not_load_torchs_compiler_or_look_through_what_it_loads(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(num_frames=2))
    words = [sys.executable, "-c", RUN, str(source)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert said.startswith("True")
    assert "'torch'" in said
    assert "'torch._dynamo'" not in said
    assert "'sympy'" not in said
