"""``vsr restore --faces``: from the command line to the file, with the official detector."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from vsr.errors import ConfigurationError
from vsr.faces.detector import detect
from vsr.faces.loading import find
from vsr.models.architectures.mtcnn import MTCNN
from vsr.offline.options import RestoreOptions
from vsr.offline.preview import unused
from vsr.streams import open_reader

CLIP = "data/train/clips/plaza.mp4"
"""A man who speaks, 41 pixels a face."""

PUBLISHED_BOX = (322.36795, 104.45358, 365.18769, 161.77618)
PUBLISHED_POINTS = (
    (333.68207, 125.73338),
    (351.83667, 125.86652),
    (341.59250, 135.68529),
    (334.09421, 146.83200),
    (350.05902, 147.13626),
)
"""What facenet-pytorch 2.6.0 printed for frame 20 of the clip, converted to RGB by PyAV."""


def frames_of(path: Path, count: int, start_s: float = 0.0) -> Tensor:
    with open_reader(str(path), start_s=start_s) as reader:
        return next(reader.chunks(count)).frames


def words(shared: Path, target: Path | str, *more: str | Path) -> tuple[str | Path, ...]:
    part = ("--start", "0.4", "--end", "0.6", "-m", "identity", "--encoder", "ffv1")
    return ("restore", shared / CLIP, target, *part, *more)


def test_faces_of_a_film_are_restored_and_the_rest_is_kept(
    faces_home: Path, shared: Path, face_file: Path, tmp_path: Path, vsr: Run
) -> None:
    plain, faces = tmp_path / "plain.mkv", tmp_path / "faces.mkv"
    assert vsr(*words(shared, plain)).code == 0
    done = vsr(*words(shared, faces, "--face-model", face_file, "--fidelity", "0", "--json"))
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["faces"] == summary["frames_out"] >= 5
    difference = (frames_of(faces, 5) - frames_of(plain, 5)).abs()
    assert float(difference[..., 115:150, 330:360].mean()) > 0.05
    assert float(difference[..., 230:, :].max()) == 0
    assert float(difference[..., :240].max()) == 0


def test_full_fidelity_leaves_all_as_it_is(
    faces_home: Path, shared: Path, face_file: Path, tmp_path: Path, vsr: Run
) -> None:
    plain, faces = tmp_path / "plain.mkv", tmp_path / "faces.mkv"
    vsr(*words(shared, plain))
    done = vsr(*words(shared, faces, "--faces", "--face-model", face_file, "--fidelity", "1"))
    assert done.code == 0, done.err
    assert torch.equal(frames_of(plain, 5), frames_of(faces, 5))


def test_a_dry_run_says_what_faces_cost(
    faces_home: Path, shared: Path, face_file: Path, vsr: Run
) -> None:
    done = vsr(*words(shared, "out.mkv", "--face-model", face_file, "--dry-run"))
    assert done.code == 0, done.err
    (line,) = (line for line in done.out.splitlines() if line.startswith("faces"))
    assert f"{face_file}, fidelity 0.5" in line
    assert "for each face" in line


@pytest.mark.slow
def test_a_resumed_run_gives_the_same_faces(
    faces_home: Path, shared: Path, face_file: Path, tmp_path: Path
) -> None:
    """A run that stops behind its first segment, and one that does not."""
    import threading

    from vsr import restore
    from vsr.results import Progress

    options = RestoreOptions(
        model="identity", chunk=2, end_s=0.4, encoder="ffv1", segment=4, faces=face_file
    )
    source, whole, parts = str(shared / CLIP), tmp_path / "whole.mkv", tmp_path / "parts.mkv"
    restore(source, str(whole), options)
    stop = threading.Event()

    def stop_behind(progress: Progress) -> None:
        if progress.frames > 4:
            stop.set()

    stopped = restore(source, str(parts), options, on_progress=stop_behind, stop=stop)
    assert stopped.interrupted
    summary = restore(source, str(parts), RestoreOptions(**{**vars(options), "resume": True}))
    assert summary.resumed
    assert torch.equal(frames_of(whole, 99), frames_of(parts, 99))


def test_without_its_files_one_line_says_what_to_pull(
    cache: Path, shared: Path, tmp_path: Path, vsr: Run
) -> None:
    done = vsr(*words(shared, tmp_path / "out.mkv", "--faces"))
    assert done.code == 1
    assert done.err.splitlines() == [
        "vsr: gfpgan-v1.4 is not here; `vsr models pull gfpgan-v1.4` brings it"
    ]
    assert list(tmp_path.iterdir()) == []


def test_several_workers_are_refused(shared: Path, tmp_path: Path, vsr: Run) -> None:
    done = vsr(*words(shared, tmp_path / "out.mkv", "--faces", "--devices", "cpu"))
    assert done.code == ConfigurationError.exit_code
    assert "--faces follows faces from frame to frame" in done.err.splitlines()[-1]


def test_a_preview_shows_faces() -> None:
    assert unused(RestoreOptions(faces="gfpgan-v1.4")) == set()


def test_the_detector_finds_what_the_published_one_finds(detector: MTCNN, shared: Path) -> None:
    with av.open(str(shared / CLIP)) as container:
        decoded = next(islice(container.decode(video=0), 20, None)).to_ndarray(format="rgb24")
    frame = torch.from_numpy(decoded).permute(2, 0, 1).float() / 255
    faces = detect(detector, frame)
    assert len(faces) == 1
    assert abs(faces.boxes[0] - PUBLISHED_BOX).max() < 0.01
    assert abs(faces.points[0] - PUBLISHED_POINTS).max() < 0.01
    large = torch.nn.functional.interpolate(frame[None], scale_factor=4, mode="bicubic")[0]
    reduced = find(detector, large, smallest=128)
    assert abs(reduced.points[0] / 4 - faces.points[0]).max() < 3
