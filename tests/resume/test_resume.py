"""A killed run resumes, with the result of an uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.resume.killing import (
    Result,
    finish,
    kill_at,
    look,
    write_footage,
    write_weights,
)

NUM_KILLS = 12


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "in.mp4")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights") / "small.safetensors"))


@pytest.fixture(scope="module")
def uninterrupted(
    footage: Path, weights: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Result]:
    """What a run to a file of a suffix gives."""

    @cache
    def result(suffix: str) -> Result:
        target = tmp_path_factory.mktemp("whole") / f"whole{suffix}"
        done = finish(footage, target, "--model", weights)
        assert done.returncode == 0, done.stderr
        return look(target)

    return result


def go_on_to_the_end(source: Path, target: Path, *words: str) -> None:
    """As a user does: --resume; a run may have ended just before it was killed."""
    done = finish(source, target, *words, "--resume")
    if done.returncode:
        assert "already exists" in done.stderr, done.stderr


def journal_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.resume")


def assert_whole(target: Path, expected: Result) -> None:
    result = look(target)
    assert [time for time, _ in result.frames] == [time for time, _ in expected.frames]
    assert result == expected
    left = {path.name for path in target.parent.iterdir()}
    assert left == {target.name}


def test_the_uninterrupted_run_is_right(
    footage: Path, uninterrupted: Callable[[str], Result]
) -> None:
    source, result = look(footage), uninterrupted(".mp4")
    assert [time for time, _ in result.frames] == [time for time, _ in source.frames]
    assert result.sound == source.sound


@pytest.mark.parametrize(
    ("share", "encoder_too"), [pytest.param(0.3, False, marks=pytest.mark.slow), (0.7, True)]
)
def test_a_killed_run_continues(
    share: float,
    encoder_too: bool,
    footage: Path,
    weights: str,
    uninterrupted: Callable[[str], Result],
    tmp_path: Path,
) -> None:
    target, words = tmp_path / "out.mp4", ("--model", weights)
    size = round(share * uninterrupted(".mp4").size)
    assert kill_at(size, footage, target, *words, encoder_too=encoder_too)
    go_on_to_the_end(footage, target, *words)
    assert_whole(target, uninterrupted(".mp4"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(NUM_KILLS))
def test_killed_at_any_moment(
    seed: int,
    footage: Path,
    weights: str,
    uninterrupted: Callable[[str], Result],
    tmp_path: Path,
) -> None:
    """Every third run is killed again once it is resumed; with every other one its ffmpeg, too.

    The seed, in the test's name, draws how much is written by then; some draw more than there is.
    """
    chance = random.Random(seed)
    target = tmp_path / f"out{chance.choice(['.mp4', '.mkv'])}"
    whole = uninterrupted(target.suffix)
    sizes = [round(chance.uniform(0, 1.2) * whole.size) for _ in range(1 + (seed % 3 == 0))]
    words: tuple[str, ...] = ("--model", weights)
    for size in sizes:
        if target.exists() and not journal_of(target).exists():
            break
        kill_at(size, footage, target, *words, encoder_too=bool(seed % 2))
        words = ("--model", weights, "--resume")
    go_on_to_the_end(footage, target, "--model", weights)
    assert_whole(target, whole)
