"""Files that have broken other tools: each is read to its end, or refused in one line."""

from pathlib import Path

import pytest

from vsr.errors import VSRError
from vsr.streams import open_reader

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "torture"
FILES = sorted(FOLDER.glob("*")) if FOLDER.is_dir() else []
LARGE = {"edit_list_positive_shift.mp4"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_difficult_file_is_read_or_refused(path: Path) -> None:
    try:
        pts = read_to_the_end(path)
    except VSRError as error:
        message = str(error)
    else:
        message = ""
        assert pts
        assert pts == sorted(set(pts))
    assert "\n" not in message


def read_to_the_end(path: Path) -> list[int]:
    pts: list[int] = []
    with open_reader(str(path), end_s=1.0 if path.name in LARGE else None) as reader:
        for chunk in reader.chunks(8):
            assert chunk.frames.shape[1:] == (3, reader.info.height, reader.info.width)
            pts += chunk.pts
            reader.take_packets()
    return pts


def test_the_difficult_files_are_there() -> None:
    if not FILES:
        pytest.skip("shared/data/torture is not beside the checkout")
    assert {path.name for path in FILES} >= LARGE
