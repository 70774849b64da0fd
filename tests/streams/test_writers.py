"""The contract of all writers."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import HEIGHT, WIDTH, numbered_frames, read_numbers
from vsr.errors import OpenError
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, StreamInfo, Writer

IN_PROCESS = "in process: "
TARGETS = [f"{IN_PROCESS}out.{suffix}" for suffix in ("mp4", "mkv", "mov", "avi", "webm")]
TARGETS += [
    "out.mp4",
    "out.mkv",
    "out.mov",
    "out.ts",
    "out.avi",
    "out.webm",
    "folder",
    "f/%05d.png",
]
INFO = StreamInfo(height=HEIGHT, width=WIDTH, time_base=Fraction(1, 25), frame_rate=Fraction(25))


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "sink").mkdir()
    return str(tmp_path / "sink" / request.param)


def start(target: str, *, overwrite: bool = False) -> Writer:
    folder, kind, name = target.partition(IN_PROCESS)
    return open_writer(
        folder + name if kind else target,
        INFO,
        height=HEIGHT,
        width=WIDTH,
        overwrite=overwrite,
        in_process=bool(kind),
    )


def write(writer: Writer, numbers: range) -> None:
    chunk = Chunk(frames=numbered_frames(numbers), pts=tuple(numbers), time_base=INFO.time_base)
    writer.write(chunk)


def numbers_in(name: str) -> list[int]:
    with open_reader(name) as reader:
        return [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]


def left_behind(target: str) -> list[str]:
    folder = Path(target).parent if "%" not in target else Path(target).parent.parent
    return [path.name for path in folder.iterdir()]


def test_frames_arrive_complete_and_in_order(target: str) -> None:
    writer = start(target)
    write(writer, range(7))
    write(writer, range(7, 20))
    assert numbers_in(writer.finish()) == list(range(20))


def test_nothing_bears_the_targets_name_before_the_end(target: str) -> None:
    writer = start(target)
    write(writer, range(3))
    assert all(name.startswith(".") for name in left_behind(target))
    writer.finish()
    assert not any(name.startswith(".") for name in left_behind(target))


def test_abort_leaves_nothing_and_may_be_repeated(target: str) -> None:
    writer = start(target)
    write(writer, range(3))
    writer.abort()
    writer.abort()
    assert left_behind(target) == []


def test_a_partial_result_has_a_name_of_its_own(target: str) -> None:
    writer = start(target)
    write(writer, range(5))
    name = writer.finish(partial=True)
    assert ".partial" in name
    assert numbers_in(name) == list(range(5))
    assert left_behind(target) == [Path(name).name]


def test_an_existing_target_is_replaced_only_if_allowed(target: str) -> None:
    writer = start(target)
    write(writer, range(3))
    writer.finish()
    with pytest.raises(OpenError, match="overwriting"):
        start(target)
    writer = start(target, overwrite=True)
    write(writer, range(6))
    assert numbers_in(writer.finish()) == list(range(6))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for name in ("out.mp4", "frames/deeper"):
        with pytest.raises(OpenError, match=r"nowhere.*does not exist"):
            start(str(tmp_path / "nowhere" / name))


def test_the_null_writer_counts() -> None:
    writer = start("null")
    write(writer, range(3))
    assert writer.finish() == "null"
    assert getattr(writer, "frames") == 3  # noqa: B009 - not part of the protocol
