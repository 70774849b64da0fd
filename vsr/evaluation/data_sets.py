"""The published test sets: clips, conventions and folder layouts.

Layouts are those of the code bases that the published tables come from, OpenMMLab's mmagic and
BasicSR, and those of the archives themselves. ``{clip}`` is a folder of images, or a video file of
that name without its suffix; ``{scale}`` is the network's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Folder layout of a data set.

    Attributes:
        truth: Pattern of the ground truth.
        inputs: Pattern of the low resolution, by degradation.
        clip_offset: Added to the number that a clip is named by.
    """

    truth: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    clip_offset: int = 0

    def name_of(self, clip: str) -> str:
        """Name of a clip on disk."""
        return f"{int(clip) + self.clip_offset:03}" if self.clip_offset else clip


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A published test set.

    Attributes:
        title: Title in tables.
        channels: Channels that published figures compare: ``RGB`` or ``Y``.
        degradation: Default degradation of the low resolution.
        layouts: The first one of which anything is there is taken.
        clips: Names of its clips; None for all that are listed or found.
        num_clips: Number of its clips, where their names are not known here.
        clip_list: Files below the root that list the clips, one a line; the first found is read.
        num_frames: Number of frames of each clip; None for as many as there are.
        frame_name: Pattern of an image's name without suffix, from 0; ``first_frame`` is added.
        first_frame: Number of the first image.
        only_centre: The centre frame alone is scored, and recurrent networks see the clip and then
            its mirror image in time, as in the published tables.
    """

    title: str
    channels: str
    degradation: str
    layouts: tuple[Layout, ...]
    clips: tuple[str, ...] | None = None
    num_clips: int | None = None
    clip_list: tuple[str, ...] = ()
    num_frames: int | Mapping[str, int] | None = None
    frame_name: str = "{:08}"
    first_frame: int = 0
    only_centre: bool = False

    def frames_of(self, clip: str) -> int | None:
        """Number of frames of a clip; None where that is not known."""
        if isinstance(self.num_frames, Mapping):
            return self.num_frames.get(clip)
        return self.num_frames


def _reds(truth: str, inputs: str, clip_offset: int = 0) -> Layout:
    return Layout(truth=truth, inputs={"BI": inputs}, clip_offset=clip_offset)


def _by_degradation(base: str = "") -> Layout:
    inputs = {name: f"{base}{name}x{{scale}}/{{clip}}" for name in ("BI", "BD")}
    return Layout(truth=f"{base}GT/{{clip}}", inputs=inputs)


def _by_clip(base: str = "") -> Layout:
    inputs = {"BI": f"{base}{{clip}}/input{{scale}}", "BD": f"{base}{{clip}}/blur{{scale}}"}
    return Layout(truth=f"{base}{{clip}}/truth", inputs=inputs)


_SPMCS_LAYOUTS = (_by_clip(), _by_clip("SPMCS/"), _by_degradation(), _by_degradation("SPMCS/"))

DATA_SETS: dict[str, DataSet] = {
    "reds4": DataSet(
        title="REDS4",
        channels="RGB",
        degradation="BI",
        clips=("000", "011", "015", "020"),
        num_frames=100,
        layouts=(
            _reds("train_sharp/{clip}", "train_sharp_bicubic/X{scale}/{clip}"),
            _reds("train/train_sharp/{clip}", "train/train_sharp_bicubic/X{scale}/{clip}"),
            _reds("REDS4/GT/{clip}", "REDS4/sharp_bicubic/{clip}"),
            _reds("GT/{clip}", "sharp_bicubic/{clip}"),
        ),
    ),
    "reds-val": DataSet(
        title="REDS validation",
        channels="RGB",
        degradation="BI",
        clips=tuple(f"{number:03}" for number in range(30)),
        num_frames=100,
        layouts=(
            _reds("val_sharp/{clip}", "val_sharp_bicubic/X{scale}/{clip}"),
            _reds("val/val_sharp/{clip}", "val/val_sharp_bicubic/X{scale}/{clip}"),
            # Where the validation split was merged into the training one, it follows behind it.
            _reds("train_sharp/{clip}", "train_sharp_bicubic/X{scale}/{clip}", clip_offset=240),
        ),
    ),
    "vid4": DataSet(
        title="Vid4",
        channels="Y",
        degradation="BI",
        clips=("calendar", "city", "foliage", "walk"),
        num_frames={"calendar": 41, "city": 34, "foliage": 49, "walk": 47},
        layouts=(_by_degradation(), _by_degradation("Vid4/")),
    ),
    "udm10": DataSet(
        title="UDM10",
        channels="Y",
        degradation="BD",
        clips=(
            "archpeople",
            "archwall",
            "auditorium",
            "band",
            "caffe",
            "camera",
            "clap",
            "lake",
            "photography",
            "polyflow",
        ),
        frame_name="{:04}",
        layouts=(_by_degradation(), _by_degradation("UDM10/"), _by_clip(), _by_clip("udm10/")),
    ),
    "vimeo90k-t": DataSet(
        title="Vimeo-90K-T",
        channels="Y",
        degradation="BI",
        num_clips=7824,
        clip_list=(
            "sep_testlist.txt",
            "vimeo_septuplet/sep_testlist.txt",
            "meta_info_Vimeo90K_test_GT.txt",
        ),
        num_frames=7,
        frame_name="im{}",
        first_frame=1,
        only_centre=True,
        layouts=(
            _by_degradation(),
            Layout(
                truth="sequences/{clip}",
                inputs={"BI": "BIx{scale}/{clip}", "BD": "BDx{scale}/{clip}"},
            ),
            Layout(
                truth="vimeo_septuplet/sequences/{clip}",
                inputs={
                    "BI": "vimeo_septuplet_matlabLRx{scale}/sequences/{clip}",
                    "BD": "vimeo_septuplet_BDLRx{scale}/sequences/{clip}",
                },
            ),
        ),
    ),
    "spmcs": DataSet(
        title="SPMCS",
        channels="Y",
        degradation="BI",
        num_clips=30,
        num_frames=31,
        frame_name="{:04}",
        layouts=_SPMCS_LAYOUTS,
    ),
    "spmcs11": DataSet(
        title="SPMCS-11",
        channels="Y",
        degradation="BI",
        clips=(
            "car05_001",
            "hdclub_003_001",
            "hitachi_isee5_001",
            "hk004_001",
            "HKVTG_004",
            "jvc_009_001",
            "NYVTG_006",
            "PRVTG_012",
            "RMVTG_011",
            "veni3_011",
            "veni5_015",
        ),
        num_frames=31,
        frame_name="{:04}",
        layouts=_SPMCS_LAYOUTS,
    ),
}
"""Data sets by the names that users type. SPMCS has 30 clips; most tables use the eleven of
``spmcs11``."""
