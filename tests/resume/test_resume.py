"""A run that was killed goes on, and ends as if it had not been."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.resume.killing import (
    Result,
    finish,
    kill_after,
    look,
    write_footage,
    write_weights,
)

NUM_KILLS = 30
LONGEST_S = 2.5
"""Somewhat more than a run takes from its journal on, so that some moments come too late."""


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


@pytest.mark.parametrize(("wait_s", "encoder_too"), [(0.6, False), (1.2, True)])
def test_a_killed_run_goes_on(
    wait_s: float,
    encoder_too: bool,
    footage: Path,
    weights: str,
    uninterrupted: Callable[[str], Result],
    tmp_path: Path,
) -> None:
    target, words = tmp_path / "out.mp4", ("--model", weights)
    kill_after(wait_s, footage, target, *words, encoder_too=encoder_too)
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
    """Every third run is killed again while it goes on; of every other one ffmpeg is killed, too.

    The seed, in the test's name, draws the moments; the machine adds its own chance to them.
    """
    chance = random.Random(seed)
    target = tmp_path / f"out{chance.choice(['.mp4', '.mkv'])}"
    moments = [chance.uniform(0, LONGEST_S) for _ in range(1 + (seed % 3 == 0))]
    words: tuple[str, ...] = ("--model", weights)
    for moment in moments:
        if target.exists() and not journal_of(target).exists():
            break
        kill_after(moment, footage, target, *words, encoder_too=bool(seed % 2))
        words = ("--model", weights, "--resume")
    go_on_to_the_end(footage, target, "--model", weights)
    assert_whole(target, uninterrupted(target.suffix))
