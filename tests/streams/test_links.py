"""Links that another user of a folder has laid where files are written at first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import Run
from tests.media import Clip, write_clip


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--in-process"],
        ["--segment", "4"],
        ["--preview", "0"],
        ["--encode-args", "-vf setpts=PTS"],
    ],
)
def test_a_link_in_the_place_of_what_is_written_first_is_not_followed(
    words: list[str], tmp_path: Path, vsr: Run
) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(num_frames=8))
    precious, folder = tmp_path / "precious", tmp_path / "shared"
    precious.write_text("precious")
    folder.mkdir()
    for name in ("out", "out.preview"):
        for kind in ("part", "trial"):
            for suffix in ("mkv", "png"):
                (folder / f".{name}.{kind}.{suffix}").symlink_to(precious)
    done = vsr("restore", source, folder / "out.mkv", "--model", "identity", *words)
    assert done.code == 0, done.err
    assert precious.read_text() == "precious"
    written = [path for path in folder.iterdir() if not path.name.startswith(".")]
    assert len(written) == 1
    assert not written[0].is_symlink()


def test_a_link_in_the_place_of_a_folder_of_images_is_not_followed(
    tmp_path: Path, vsr: Run
) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(num_frames=3))
    precious, shared = tmp_path / "precious", tmp_path / "shared"
    precious.mkdir()
    shared.mkdir()
    (shared / ".out.part").symlink_to(precious)
    done = vsr("restore", source, f"{shared / 'out'}/", "--model", "identity")
    assert done.code == 0, done.err
    assert list(precious.iterdir()) == []
    assert [path.name for path in shared.iterdir()] == ["out"]
    assert len(list((shared / "out").iterdir())) == 3
