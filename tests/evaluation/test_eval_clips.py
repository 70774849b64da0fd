"""Finding clips and frames, and reporting missing ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.evaluation.eval_trees import (
    HEIGHT,
    WIDTH,
    eight_digits,
    write_frames,
    write_reds4_of_basicsr,
    write_reds4_of_mmagic,
    write_vid4,
    write_vimeo,
)
from tests.media import Clip as Video
from tests.media import read_number, read_numbers, write_clip
from vsr.errors import ConfigurationError, OpenError
from vsr.evaluation.clips import FoundPair, find_pair
from vsr.evaluation.data_set_clips import find_clips
from vsr.evaluation.data_sets import DATA_SETS


def names(found: FoundPair) -> list[str]:
    return [clip.name for clip in found.clips]


@pytest.mark.parametrize("write", [write_reds4_of_mmagic, write_reds4_of_basicsr])
def test_both_layouts_of_reds4_give_its_clips_with_all_frames_in_order(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    found = find_clips("reds4", write(tmp_path), scale=4)
    assert names(found) == ["000", "011", "015", "020"]
    assert (found.channels, found.degradation, found.made) == ("RGB", "BI", False)
    for clip in found.clips:
        assert len(clip.low.names) == len(clip.truth.names) == len(clip.scored) == 100
        assert clip.make is None
        assert clip.low.read(7, 8).shape == (1, 3, HEIGHT // 4, WIDTH // 4)
        assert read_numbers(clip.truth.read(96, 100)) == [96, 97, 98, 99]


def test_the_folder_above_or_the_folder_itself_can_be_given(tmp_path: Path) -> None:
    write_reds4_of_basicsr(tmp_path, frames=100)
    inside = find_clips("reds4", tmp_path / "REDS4", scale=4)
    assert (
        inside.clips[0].truth.files == find_clips("reds4", tmp_path, scale=4).clips[0].truth.files
    )


def test_validation_clips_merged_into_the_training_set_keep_their_own_names(
    tmp_path: Path,
) -> None:
    for number in range(30):
        write_frames(tmp_path / "train_sharp" / f"{240 + number}", eight_digits(100, 0))
    write_frames(tmp_path / "train_sharp" / "000", eight_digits(100))
    found = find_clips("reds-val", tmp_path, scale=4)
    assert names(found) == [f"{number:03}" for number in range(30)]
    assert found.clips[3].truth.files[0].parent.name == "243"
    assert found.made


def test_input_that_is_not_there_is_made_and_other_degradations_are_not_mistaken_for_it(
    tmp_path: Path,
) -> None:
    write_vid4(tmp_path)
    for clip in DATA_SETS["vid4"].clips or ():
        shutil.copytree(tmp_path / "GT" / clip, tmp_path / "BIx4" / clip)
    read, made = (find_clips("vid4", tmp_path, scale=4, degradation=name) for name in ("BI", "BD"))
    assert (read.made, made.made) == (False, True)
    assert [clip.make for clip in made.clips] == ["BD"] * 4
    assert [len(clip.scored) for clip in made.clips] == [41, 34, 49, 47]


@pytest.mark.parametrize("removed", ["GT/city", "BIx4/city"])
def test_a_missing_clip_is_named_or_left_out(removed: str, tmp_path: Path) -> None:
    write_vid4(tmp_path)
    shutil.copytree(tmp_path / "GT", tmp_path / "BIx4")
    shutil.rmtree(tmp_path / removed)
    with pytest.raises(OpenError, match=rf"Vid4 lacks clip 'city'.*{removed}.*--partial"):
        find_clips("vid4", tmp_path, scale=4)
    (tmp_path / removed).mkdir()
    found = find_clips("vid4", tmp_path, scale=4, partial=True)
    assert names(found) == ["calendar", "foliage", "walk"]
    assert "city" in found.notes[0]


@pytest.mark.parametrize("side", ["GT", "BIx4"])
def test_a_missing_frame_is_named_or_left_out(side: str, tmp_path: Path) -> None:
    write_vid4(tmp_path)
    shutil.copytree(tmp_path / "GT", tmp_path / "BIx4")
    (tmp_path / side / "walk" / "00000013.png").unlink()
    with pytest.raises(OpenError, match=r"clip 'walk' lacks frame '00000013'.*46 of 47"):
        find_clips("vid4", tmp_path, scale=4)
    walk = find_clips("vid4", tmp_path, scale=4, partial=True).clips[-1]
    assert len(walk.scored) == 46
    assert walk.truth.names == walk.low.names
    assert read_numbers(walk.truth.read(12, 14)) == [12, 14]


def test_missing_frames_at_the_end_and_in_other_numberings_are_named_too(tmp_path: Path) -> None:
    write_vid4(tmp_path)
    for number in range(45, 47):
        (tmp_path / "GT" / "walk" / f"{number:08}.png").unlink()
    with pytest.raises(OpenError, match="frames '00000045', '00000046'"):
        find_clips("vid4", tmp_path, scale=4)
    shutil.rmtree(tmp_path / "GT" / "walk")
    renamed = {f"Frame {i + 1:03}": i for i in range(47)}
    write_frames(tmp_path / "GT" / "walk", renamed)
    assert len(find_clips("vid4", tmp_path, scale=4).clips[-1].scored) == 47
    (tmp_path / "GT" / "walk" / "Frame 004.png").unlink()
    with pytest.raises(OpenError, match="'Frame 004'"):
        find_clips("vid4", tmp_path, scale=4)


def test_a_gap_is_noticed_where_the_number_of_frames_is_not_known(tmp_path: Path) -> None:
    for clip in DATA_SETS["udm10"].clips or ():
        write_frames(tmp_path / "UDM10" / "GT" / clip, {f"{i:04}": i for i in range(5)})
    assert len(find_clips("udm10", tmp_path, scale=4).clips) == 10
    (tmp_path / "UDM10" / "GT" / "lake" / "0002.png").unlink()
    with pytest.raises(OpenError, match="clip 'lake' lacks frame '0002'"):
        find_clips("udm10", tmp_path, scale=4)


def test_vimeo_is_scored_at_the_centre_of_the_clips_its_list_names(tmp_path: Path) -> None:
    write_vimeo(tmp_path)
    write_frames(tmp_path / "sequences" / "00009" / "0001", {"im4": 4})
    with pytest.raises(OpenError, match="has 7824 clips, 2 here"):
        find_clips("vimeo90k-t", tmp_path, scale=4)
    found = find_clips("vimeo90k-t", tmp_path, scale=4, partial=True)
    assert names(found) == ["00001/0266", "00002/0005"]
    for clip in found.clips:
        assert clip.mirrored
        assert (clip.scored, clip.truth.names, len(clip.low.names)) == ((3,), ("im4",), 7)
        assert read_number(clip.truth.read(0, 1)[0]) == 33


def test_vimeo_needs_no_more_ground_truth_than_the_centre_where_input_is_there(
    tmp_path: Path,
) -> None:
    root = write_vimeo(tmp_path)
    shutil.copytree(root / "sequences", root / "BIx4")
    for frame in root.glob("sequences/*/*/im[!4].png"):
        frame.unlink()
    found = find_clips("vimeo90k-t", root, scale=4, partial=True)
    assert [clip.truth.names for clip in found.clips] == [("im4",), ("im4",)]
    assert not found.made
    (root / "sequences" / "00001" / "0266" / "im4.png").unlink()
    (root / "sequences" / "00001" / "0266" / "im1.png").touch()
    rest = find_clips("vimeo90k-t", root, scale=4, partial=True)
    assert names(rest) == ["00002/0005"]
    assert "'im4'" in rest.notes[-1]
    (root / "sep_testlist.txt").unlink()
    with pytest.raises(OpenError, match=r"list of clips, '.*sep_testlist\.txt'"):
        find_clips("vimeo90k-t", root, scale=4)


def test_spmcs_is_found_clip_by_clip_and_counted(tmp_path: Path) -> None:
    for i in range(30):
        write_frames(tmp_path / f"scene{i:02}" / "truth", {f"{t:04}": t for t in range(31)})
    found = find_clips("spmcs", tmp_path, scale=4)
    assert len(found.clips) == 30
    assert {len(clip.scored) for clip in found.clips} == {31}
    shutil.rmtree(tmp_path / "scene07")
    with pytest.raises(OpenError, match="SPMCS has 30 clips, 29 here"):
        find_clips("spmcs", tmp_path, scale=4)


def test_clips_may_be_video_files(tmp_path: Path) -> None:
    for clip in DATA_SETS["reds4"].clips or ():
        (tmp_path / "GT").mkdir(exist_ok=True)
        video = Video(num_frames=100, height=HEIGHT, width=WIDTH, options={"preset": "ultrafast"})
        write_clip(tmp_path / "GT" / f"{clip}.mp4", video)
    found = find_clips("reds4", tmp_path, scale=4)
    frames = found.clips[1].truth
    assert read_numbers(frames.read(60, 63)) == [60, 61, 62]
    assert read_numbers(frames.read(63, 65)) == [63, 64]
    assert read_numbers(frames.read(0, 2)) == [0, 1]
    write_clip(tmp_path / "GT" / "015.mp4", Video(num_frames=98, height=HEIGHT, width=WIDTH))
    with pytest.raises(OpenError, match="clip '015' lacks frames '00000098', '00000099'"):
        find_clips("reds4", tmp_path, scale=4)
    (partial,) = [
        clip
        for clip in find_clips("reds4", tmp_path, scale=4, partial=True).clips
        if clip.name == "015"
    ]
    assert len(partial.scored) == 98


def test_missing_and_unknown_names_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'reds5' is unknown; known are reds4"):
        find_clips("reds5", tmp_path, scale=4)
    with pytest.raises(ConfigurationError, match="'BX' is unknown; known are BI"):
        find_clips("vid4", tmp_path, scale=4, degradation="BX")
    with pytest.raises(OpenError, match="does not hold Vid4: looked for 'GT/"):
        find_clips("vid4", tmp_path, scale=4)
    with pytest.raises(OpenError, match="not a folder"):
        find_clips("vid4", tmp_path / "nowhere", scale=4)


def test_a_pair_is_two_folders_two_videos_or_folders_of_them(tmp_path: Path) -> None:
    write_frames(tmp_path / "gt" / "b.1", eight_digits(4))
    write_frames(tmp_path / "lq" / "b.1", eight_digits(4), scale=4)
    for side, scale in (("gt", 1), ("lq", 4)):
        video = Video(num_frames=3, height=96 // scale, width=128 // scale)
        name = "a.mp4" if side == "gt" else "a.MP4"
        (tmp_path / side).mkdir(exist_ok=True)
        write_clip(tmp_path / "made.mp4", video).rename(tmp_path / side / name)
    many = find_pair(tmp_path / "gt", tmp_path / "lq")
    assert [(clip.name, len(clip.scored)) for clip in many.clips] == [("a", 3), ("b.1", 4)]
    one = find_pair(tmp_path / "gt" / "b.1", tmp_path / "lq" / "b.1")
    assert (names(one), one.degradation) == (["b.1"], "given")
    alone = find_pair(tmp_path / "gt" / "a.mp4", None, degradation="BD")
    assert (alone.clips[0].make, alone.made) == ("BD", True)


def test_frames_of_a_pair_belong_together_by_name_or_else_by_order(tmp_path: Path) -> None:
    write_frames(tmp_path / "gt", eight_digits(5))
    write_frames(tmp_path / "by_order", {f"out{i}": i for i in range(5)})
    assert len(find_pair(tmp_path / "gt", tmp_path / "by_order").clips[0].scored) == 5
    write_frames(tmp_path / "shifted", eight_digits(5, first=1))
    with pytest.raises(OpenError, match="frames '00000000', '00000005'"):
        find_pair(tmp_path / "gt", tmp_path / "shifted")
    (clip,) = find_pair(tmp_path / "gt", tmp_path / "shifted", partial=True).clips
    assert clip.truth.names == clip.low.names == ("00000001", "00000002", "00000003", "00000004")
    with pytest.raises(OpenError, match=r"'.*nothing' is not there"):
        find_pair(tmp_path / "gt", tmp_path / "nothing")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_frames_may_be_of_any_usual_format(suffix: str, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "gt", eight_digits(3))
    for file in sorted(folder.iterdir()):
        with Image.open(file) as image:
            image.save(tmp_path / f"{file.stem}{suffix}", quality=95)
    shutil.rmtree(folder)
    (clip,) = find_pair(tmp_path, None).clips
    assert read_numbers(clip.truth.read(0, 3)) == [0, 1, 2]
