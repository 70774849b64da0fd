"""Training clips from folders of photographs and of videos.

N clips, T frames, C colour, H, W ground-truth size.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.errors import ConfigurationError, OpenError
from vsr.quality.draw import chance, index
from vsr.streams import open_random_access, open_reader
from vsr.streams.decode.image_reader import read_image
from vsr.streams.decode.random_access import RandomAccess
from vsr.streams.names.formats import VIDEO_SUFFIXES
from vsr.training.moving_scene import SceneMotion, has_layer, take
from vsr.training.sample_order import BEGINNING, Place, generators
from vsr.training.virtual_camera import CameraMotion, detail, plan

PHOTOGRAPH_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
STILL = SceneMotion()
HELD_BYTES = 8 << 30
"""Videos up to this size in all are held in memory; frames of further ones are read when drawn."""


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """Shape of a training clip.

    Attributes:
        frames: T.
        size: Side of the square, in ground-truth pixels.
    """

    frames: int
    size: int


class StoredVideo:
    """A video whose frames stay in its file until some are wanted: (T, 3, H, W), uint8."""

    def __init__(self, reader: RandomAccess) -> None:
        self._reader = reader
        self.shape = torch.Size((len(reader), 3, reader.info.height, reader.info.width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice) -> Tensor:
        frames = self._reader.frames(range(*wanted.indices(len(self))))
        return frames.mul(255).round().byte()

    def __copy__(self) -> StoredVideo:
        return StoredVideo(copy.copy(self._reader))


class StoredImages:
    """A folder of images, one for each frame: (T, 3, H, W), uint8.

    Args:
        folder: Folder of images of one size.

    Raises:
        OpenError: It holds no images.
        DecodeError: The first cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = _images(folder)
        if not self._paths:
            raise OpenError(f"'{folder}' holds no images; give a folder of the frames of one video")
        self.shape = torch.Size((len(self._paths), *load_photograph(self._paths[0]).shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice) -> Tensor:
        return torch.stack([self._load(path) for path in self._paths[wanted]])

    def _load(self, path: Path) -> Tensor:
        image = load_photograph(path)
        if image.shape != self.shape[1:]:
            height, width = self.shape[2:]
            raise OpenError(
                f"'{path}' is {image.shape[2]}x{image.shape[1]}, the first image beside it "
                f"{width}x{height}; the frames of one video have one size"
            )
        return image


Video = Tensor | StoredVideo | StoredImages
"""Frames of a video, (T, 3, H, W), uint8, by slices of T."""


class TrainingClips(IterableDataset[Tensor]):
    """An endless, seeded sequence of clips (T, 3, size, size), uint8.

    Args:
        photographs: Each (3, H, W), uint8.
        videos: Each (T, 3, H, W), uint8, in memory or in its files.
        shape: Shape of a clip.
        motion: The camera that is moved over photographs.
        scene: Layers that move in front of it.
        photograph_share: Share of the clips that come from photographs, 0 to 1.
        candidates: Clips drawn for each one kept, the one with most detail: flat ones teach little.
        skip_share: Share of the clips from videos that have every other frame only, 0 to 1, so that
            motion doubles.
        mirrored: Whether the second half of a clip is its first half backwards.
        upright: Whether clips are only mirrored, left and right, and not turned.
        seed: Seed of the sequence; clip number n is the same however many workers draw.
        place: Where in the sequence to begin, and how workers share it.
    """

    def __init__(
        self,
        photographs: Sequence[Tensor],
        videos: Sequence[Video],
        shape: ClipShape,
        *,
        motion: CameraMotion,
        scene: SceneMotion = STILL,
        photograph_share: float,
        candidates: int = 1,
        skip_share: float = 0.25,
        mirrored: bool = False,
        upright: bool = False,
        seed: int,
        place: Place = BEGINNING,
    ) -> None:
        super().__init__()
        self.place = place
        self.photographs = [p for p in photographs if min(p.shape[-2:]) >= 1.5 * shape.size]
        self.mirrored, self.upright, self.skip_share = mirrored, upright, skip_share
        self.taken = math.ceil(shape.frames / 2) if mirrored else shape.frames
        self.videos = [v for v in videos if _holds(v, self.taken, shape.size)]
        self.shape, self.motion, self.scene, self.seed = shape, motion, scene, seed
        self.candidates = candidates
        self.photograph_share = _share(photograph_share, self.photographs, self.videos, shape)

    def __iter__(self) -> Iterator[Tensor]:
        worker = torch.utils.data.get_worker_info()
        if worker is not None:  # a file that is open belongs to one process
            self.videos = [copy.copy(v) if isinstance(v, StoredVideo) else v for v in self.videos]
        for rng in generators(self.seed, self.place):
            yield self.draw(rng)

    def draw(self, rng: torch.Generator) -> Tensor:
        """One clip, with its flips and its direction in time drawn too."""
        if float(torch.rand((), generator=rng)) < self.photograph_share:
            return _flip(self._film(rng), rng, upright=self.upright)
        cut = max((self._cut(rng) for _ in range(self.candidates)), key=_detail)
        if self.mirrored:
            cut = torch.cat([cut, cut.flip(0)])[: self.shape.frames]
        return _flip(cut.clone(), rng, upright=self.upright)

    def _film(self, rng: torch.Generator) -> Tensor:
        """A clip from a photograph, or from two, one before the other."""
        shots = [max((self._shot(rng) for _ in range(self.candidates)), key=lambda s: detail(*s))]
        if has_layer(self.scene, rng):
            shots.append(self._shot(rng))
        return take(shots, self.scene, rng).mul(255).round().byte()

    def _shot(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """A photograph and a way over it."""
        photograph = self.photographs[index(len(self.photographs), rng)]
        sides = (photograph.shape[1], photograph.shape[2])
        return photograph, plan(sides, self.shape.frames, self.shape.size, self.motion, rng)

    def _cut(self, rng: torch.Generator) -> Tensor:
        """A part of a video, at times every other frame only."""
        video, size = self.videos[index(len(self.videos), rng)], self.shape.size
        step = 2 if len(video) >= 2 * self.taken and chance(self.skip_share, rng) else 1
        start = index(len(video) - step * (self.taken - 1), rng)
        top, left = (index(side - size + 1, rng) for side in video.shape[-2:])
        frames = video[start : start + step * (self.taken - 1) + 1 : step]
        return frames[..., top : top + size, left : left + size]


def load_photographs(folder: Path, *, exclude: Sequence[str] = ()) -> list[Tensor]:
    """Every photograph of a folder but those excluded, (3, H, W), uint8, in order of name."""
    return [load_photograph(path) for path in _listed(folder, PHOTOGRAPH_SUFFIXES, exclude)]


def load_photograph(path: Path) -> Tensor:
    """A photograph, (3, H, W), uint8.

    Raises:
        DecodeError: It cannot be read.
    """
    return read_image(path).mul(255).round().byte()


def load_videos(folder: Path, names: Sequence[str]) -> list[Tensor]:
    """Videos of a folder as (T, 3, H, W), uint8, held in memory.

    Args:
        folder: Folder of the videos.
        names: Names of the videos in it: files, or folders of images like ``00001/0001``.

    Raises:
        OpenError: One is not there.
    """
    return [load_video(path) for path in _named(folder, names)]


def open_videos(
    folder: Path,
    *,
    names: Sequence[str] = (),
    exclude: Sequence[str] = (),
    held_bytes: int = HELD_BYTES,
) -> list[Video]:
    """Videos of a folder, in order of name.

    Args:
        folder: Folder of video files or of folders of images, at any depth.
        names: Names of the wanted videos; empty for all.
        exclude: Names of excluded videos.
        held_bytes: Video files up to this size in all are held in memory; others, and images, are
            read when they are drawn.

    Raises:
        OpenError: The folder is not there, or one that is named is not in it.
    """
    videos: list[Video] = []
    for path in _named(folder, names) if names else list_videos(folder):
        if path.relative_to(folder).as_posix() in exclude:
            continue
        if path.is_dir():
            videos.append(StoredImages(path))
            continue
        with open_reader(str(path)) as reader:
            info = reader.info
        size = 3 * info.height * info.width * (info.num_frames or 0)
        is_held = 0 < size <= held_bytes
        held_bytes -= size if is_held else 0
        videos.append(load_video(path) if is_held else StoredVideo(open_random_access(str(path))))
    return videos


def list_videos(folder: Path) -> list[Path]:
    """Video files of a folder, and folders of images in it at any depth, in order of name."""
    files = _listed(folder, VIDEO_SUFFIXES, ())
    inner = [path for path in folder.rglob("*") if path.is_dir() and _images(path)]
    return sorted([*files, *inner])


def load_video(path: Path) -> Tensor:
    """All frames of a video file or a folder of images, (T, 3, H, W), uint8."""
    if path.is_dir():
        return StoredImages(path)[:]
    with open_reader(str(path)) as reader:
        parts = [chunk.frames.mul(255).round().byte() for chunk in reader.chunks(16)]
    return torch.cat(parts)


def _listed(folder: Path, suffixes: Set[str], exclude: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise OpenError(f"'{folder}' is not a folder; give the folder that holds the training data")
    found = (p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    return sorted(p for p in found if p.name not in exclude)


def _named(folder: Path, names: Sequence[str]) -> list[Path]:
    """Paths of videos, each of which has to be there."""
    paths = [folder / name for name in names]
    if missing := [path for path in paths if not path.exists()]:
        name = missing[0].relative_to(folder).as_posix()
        raise OpenError(f"'{folder}' has no {name!r}; name videos of that folder")
    return paths


def _images(folder: Path) -> list[Path]:
    return _listed(folder, PHOTOGRAPH_SUFFIXES, ())


def _holds(video: Video, frames: int, size: int) -> bool:
    return len(video) >= frames and min(video.shape[-2:]) >= size


def _share(
    asked: float,
    photographs: Sequence[Tensor],
    videos: Sequence[Video],
    shape: ClipShape,
) -> float:
    """The share of photographs that the sources allow."""
    if not photographs and not videos:
        raise ConfigurationError(
            f"no photograph or video holds a clip of {shape.frames} frames of {shape.size} px; "
            "add larger ones or train on smaller clips"
        )
    if not photographs:
        return 0.0
    return asked if videos else 1.0


def _detail(clip: Tensor) -> float:
    """Mean difference of neighbouring pixels in the first frame."""
    rows = clip[0, :, ::4].short()
    return float(rows.diff(dim=-1).abs().float().mean())


def _flip(clip: Tensor, rng: torch.Generator, *, upright: bool) -> Tensor:
    """Any of the eight orientations of a square, or two, and either direction in time."""
    if not upright and index(2, rng):
        clip = clip.mT
    axes = [axis for axis in ((0, 3) if upright else (0, 2, 3)) if index(2, rng)]
    return clip.flip(axes).contiguous()
