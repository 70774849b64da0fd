"""Media for the pipeline's tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media import Clip, write_clip


@pytest.fixture
def video() -> Callable[[Path], None]:
    """Writes a short video to a path."""

    def write(path: Path) -> None:
        write_clip(path, Clip(num_frames=6))

    return write
