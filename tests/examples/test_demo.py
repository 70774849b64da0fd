"""``make demo`` end to end, with bicubic in place of the network; the steps are the same."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from examples.demo.__main__ import demo
from examples.demo.clip import HEIGHT, WIDTH, DemoClip
from examples.demo.run import Files, compare, name_files, paint, restore_source
from vsr.errors import ConfigurationError, OpenError
from vsr.streams import open_reader

NUM_FRAMES = 10
MODEL = "bicubic-x4"


@pytest.fixture(scope="module")
def clip() -> DemoClip:
    return DemoClip()


@pytest.fixture(scope="module")
def painted(clip: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Files:
    files = name_files(tmp_path_factory.mktemp("demo") / "new" / "folder", None)
    paint(files, clip, NUM_FRAMES)
    return files


def test_the_input_is_small_and_has_sound(painted: Files) -> None:
    with open_reader(painted.source) as reader:
        assert (reader.info.height, reader.info.width) == (HEIGHT // 4, WIDTH // 4)
        assert [stream.codec for stream in reader.info.others] == ["aac"]
        assert sum(len(chunk) for chunk in reader.chunks(4)) == NUM_FRAMES
        assert reader.take_packets()


def test_the_clip_is_restored_compared_and_measured(painted: Files, clip: DemoClip) -> None:
    summary = restore_source(painted, end_s=NUM_FRAMES / 25, model=MODEL)
    assert summary.frames_in == summary.frames_out == NUM_FRAMES
    scores = compare(painted, end_s=NUM_FRAMES / 25, clip=clip)
    assert scores is not None
    assert scores.frames == NUM_FRAMES
    assert 18 < scores.upscaled < 30
    assert scores.restored == pytest.approx(scores.upscaled, abs=0.2)
    with open_reader(str(painted.comparison)) as reader:
        assert (reader.info.height, reader.info.width) == (HEIGHT, 2 * WIDTH)
        assert [stream.kind for stream in reader.info.others] == ["audio"]
        assert sum(len(chunk) for chunk in reader.chunks(4)) == NUM_FRAMES
    with Image.open(painted.details) as picture:
        assert picture.width > 3 * 600


def test_a_users_video_is_read_up_to_the_end_asked_for_and_left_alone(
    painted: Files, tmp_path: Path
) -> None:
    before = Path(painted.source).read_bytes()
    files = name_files(tmp_path, painted.source)
    assert restore_source(files, end_s=0.2, model=MODEL).frames_out == 5
    assert compare(files, end_s=0.2, clip=None) is None
    assert Path(painted.source).read_bytes() == before
    with Image.open(files.details) as picture:
        assert 2 * 600 < picture.width < 3 * 600


@pytest.mark.parametrize("name", ["restored.mp4", "comparison.mp4"])
def test_a_video_that_would_be_overwritten_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="copy it"):
        name_files(tmp_path, str(tmp_path / "." / name))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OpenError, match="cannot be made"):
        name_files(tmp_path / "file" / "demo", None)


def test_a_missing_video_ends_with_one_line_and_no_files(tmp_path: Path) -> None:
    arguments = ["--video", str(tmp_path / "missing.mp4"), "--folder", str(tmp_path / "demo")]
    result = CliRunner().invoke(demo, arguments)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "missing.mp4" in result.stderr
    assert not list((tmp_path / "demo").iterdir())
