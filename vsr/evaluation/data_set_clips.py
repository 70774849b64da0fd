"""Finding the clips of a published data set on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vsr.errors import ConfigurationError, OpenError
from vsr.evaluation.clips import Clip, FoundPair, known_degradation, make_clip
from vsr.evaluation.completeness import MissingFrames, require_frames
from vsr.evaluation.data_sets import DATA_SETS, DataSet, Layout
from vsr.evaluation.frames import Frames, find_source, holds_images, open_frames


def find_clips(
    name: str, root: Path, *, scale: int, degradation: str | None = None, partial: bool = False
) -> FoundPair:
    """Find a data set below a root folder.

    Args:
        name: A key of ``DATA_SETS``.
        root: The folder that holds one of its layouts.
        scale: Ground-truth size over low-resolution size.
        degradation: Key of ``vsr.quality.degradation.DEGRADATIONS``; None for the usual one.
        partial: Take the clips and frames that exist, and note missing ones.

    Raises:
        ConfigurationError: An unknown data set or degradation.
        OpenError: Nothing of the data set is there, or a clip or frame is missing, which it names.
    """
    if name not in DATA_SETS:
        known = ", ".join(DATA_SETS)
        raise ConfigurationError(
            f"data set {name!r} is unknown; known are {known}, and any pair with --gt and --lq"
        )
    data_set = DATA_SETS[name]
    degradation = known_degradation(degradation or data_set.degradation)
    gaps = MissingFrames(partial)
    layout, names = _choose_layout(data_set, root, gaps)
    inputs = _input_pattern(layout, root, names, degradation, scale)
    sources = _sources(data_set, layout, root, names, inputs, scale, gaps)
    found = (_find_clip(data_set, *source, degradation, gaps) for source in sources)
    clips = [clip for clip in found if clip is not None]
    if not clips:
        raise OpenError(f"no clip of {data_set.title} below '{root}' is complete enough to score")
    return FoundPair(
        title=data_set.title,
        channels=data_set.channels,
        degradation=degradation,
        made=inputs is None,
        clips=tuple(clips),
        notes=tuple(gaps.notes),
    )


def _choose_layout(
    data_set: DataSet, root: Path, gaps: MissingFrames
) -> tuple[Layout, Sequence[str]]:
    """The first layout of which anything is there, and the clips that belong to it."""
    if not root.is_dir():
        raise OpenError(f"'{root}' is not a folder; give the one that holds {data_set.title}")
    listed = data_set.clips or _listed(data_set, root, gaps)
    for layout in data_set.layouts:
        names = listed or _discovered(layout, root)
        if any(_truth_of(layout, root, clip) for clip in names):
            if data_set.num_clips and len(names) < data_set.num_clips:
                gaps.report(f"{data_set.title} has {data_set.num_clips} clips, {len(names)} here")
            return layout, names
    looked = ", ".join(f"'{layout.truth}'" for layout in data_set.layouts)
    raise OpenError(f"'{root}' does not hold {data_set.title}: looked for {looked} below it")


def _listed(data_set: DataSet, root: Path, gaps: MissingFrames) -> Sequence[str]:
    """The clips that a list beside the frames names."""
    for name in data_set.clip_list:
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8").split("\n")
            words = [line.split()[0] for line in lines if line.strip()]
            return [word.rpartition("/im")[0] or word for word in words]
    if data_set.clip_list:
        gaps.report(f"{data_set.title} needs its list of clips, '{root / data_set.clip_list[0]}'")
    return ()


def _discovered(layout: Layout, root: Path) -> Sequence[str]:
    """The existing clips, where no list names them."""
    before, _, after = layout.truth.partition("{clip}")
    names = {path.relative_to(root / before) for path in root.glob(f"{before}*{after}")}
    deeper = {path.relative_to(root / before) for path in root.glob(f"{before}*/*{after}")}
    return [
        path.as_posix().removesuffix(after)
        for path in sorted(names | deeper)
        if (root / before / path).is_dir() and holds_images(root / before / path)
    ]


def _truth_of(layout: Layout, root: Path, clip: str) -> Path | None:
    return find_source(root / layout.truth.format(clip=layout.name_of(clip)))


def _input_pattern(
    layout: Layout, root: Path, names: Sequence[str], degradation: str, scale: int
) -> str | None:
    """Pattern of the low-resolution files; None where there are none."""
    pattern = layout.inputs.get(degradation)
    if pattern is None:
        return None
    paths = (root / pattern.format(clip=layout.name_of(n), scale=scale) for n in names)
    return pattern if any(find_source(path) for path in paths) else None


def _sources(
    data_set: DataSet,
    layout: Layout,
    root: Path,
    names: Sequence[str],
    inputs: str | None,
    scale: int,
    gaps: MissingFrames,
) -> Iterator[tuple[str, Path, Path | None]]:
    """Clip, ground truth and low resolution of each existing clip."""
    for clip in names:
        patterns = [layout.truth] if inputs is None else [layout.truth, inputs]
        wanted = [root / p.format(clip=layout.name_of(clip), scale=scale) for p in patterns]
        found = [find_source(path) for path in wanted]
        missing = [path for path, source in zip(wanted, found, strict=True) if source is None]
        if missing:
            gaps.report(
                f"{data_set.title} lacks clip {clip!r}: '{missing[0]}' is not there or empty"
            )
            continue
        truth, *low = (source for source in found if source is not None)
        yield clip, truth, low[0] if low else None


def _find_clip(
    data_set: DataSet,
    name: str,
    truth: Path,
    low: Path | None,
    degradation: str,
    gaps: MissingFrames,
) -> Clip | None:
    """A clip with all frames its data set says it has; None if what is scored is missing."""
    expected = data_set.frames_of(name)
    lower = None if low is None else require_frames(data_set, name, low, expected, gaps)
    if data_set.only_centre:
        return _centre(data_set, name, truth, lower, degradation, gaps)
    frames = require_frames(data_set, name, truth, expected, gaps)
    return make_clip(name, frames, lower, degradation, gaps)


def _centre(
    data_set: DataSet,
    name: str,
    source: Path,
    low: Frames | None,
    degradation: str,
    gaps: MissingFrames,
) -> Clip | None:
    """A clip of which only the centre frame is scored; no more ground truth need be there."""
    truth = open_frames(source)
    expected = data_set.frames_of(name) or len(truth.names)
    centre = data_set.frame_name.format(data_set.first_frame + expected // 2)
    seen = low or require_frames(data_set, name, source, expected, gaps)
    if centre not in truth.names or centre not in seen.names:
        gaps.report(f"clip {name!r} lacks frame {centre!r} in '{source}', the one to be scored")
        return None
    return Clip(
        name=name,
        low=seen,
        make=None if low else degradation,
        truth=truth.only([truth.names.index(centre)]),
        scored=(seen.names.index(centre),),
        mirrored=True,
    )
