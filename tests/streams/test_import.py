"""The folder is a package under one name only."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_bare_name_is_refused() -> None:
    code = "import streams"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert "import vsr.streams instead" in said.stderr
