"""Features of frames that no copy will have, reported when the source is opened."""

from pathlib import Path

import pytest

from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader

TORTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "torture"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("in.mkv", "-c:v ffv1 -pix_fmt bgra -frames:v 2"),
        ("in.mov", "-c:v prores_ks -pix_fmt yuva444p10le -frames:v 2"),
        ("in.png", "-pix_fmt rgba -frames:v 1"),
        ("in/1.png", "-pix_fmt rgba -frames:v 1"),
    ],
)
def test_transparency_is_left_out_and_reported(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "in").mkdir()
    run_ffmpeg(tmp_path, f"-f lavfi -i testsrc2=size=96x72 {words} {name}")
    source = tmp_path / name
    with open_reader(str(source if source.parent == tmp_path else source.parent)) as reader:
        assert "the source's transparency is left out" in reader.notes


def test_half_a_mastering_display_is_reported(tmp_path: Path) -> None:
    path = TORTURE / "hdr10-video-with-sdr-container.mp4"
    if not path.is_file():
        pytest.skip("shared/data/torture is not beside the checkout")
    with open_reader(str(path), end_s=0.1) as reader:
        assert reader.info.frame_data == {"DYNAMIC_HDR_PLUS"}
        said = "the source gives its mastering display's primaries without its luminance: left out"
        assert said in reader.notes
