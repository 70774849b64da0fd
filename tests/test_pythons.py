"""Interpreters of other versions are found wherever they are kept."""

from __future__ import annotations

from pathlib import Path

from scripts.pythons import find_python

VERSION = "3.99"


def write_program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def write_python(path: Path) -> Path:
    """A program that says it is this version, whatever it is asked."""
    return write_program(path, f"echo {VERSION}")


def test_one_on_the_path(tmp_path: Path) -> None:
    python = write_python(tmp_path / "bin/python3.99")
    assert find_python(VERSION, {"PATH": str(tmp_path / "bin")}) == python


def test_pyenvs_newest_release_below_its_root_or_home(tmp_path: Path) -> None:
    for release in ("3.99.2", "3.99.10", "3.99.11rc1", "3.9.9"):
        python = write_python(tmp_path / ".pyenv/versions" / release / "bin/python")
    newest = python.parents[2] / "3.99.10/bin/python"
    assert find_python(VERSION, {"HOME": str(tmp_path)}) == newest
    assert find_python(VERSION, {"PYENV_ROOT": str(tmp_path / ".pyenv")}) == newest


def test_where_pyenv_says_its_versions_are(tmp_path: Path) -> None:
    python = write_python(tmp_path / "elsewhere/versions/3.99.1/bin/python")
    write_program(tmp_path / "bin/pyenv", f"echo {tmp_path}/elsewhere")
    assert find_python(VERSION, {"PATH": str(tmp_path / "bin")}) == python


def test_a_command_of_pyenv_for_a_version_that_is_switched_off_is_passed_over(
    tmp_path: Path,
) -> None:
    write_program(tmp_path / "bin/python3.99", "echo not switched on >&2", "exit 127")
    python = write_python(tmp_path / ".pyenv/versions/3.99.1/bin/python")
    assert find_python(VERSION, {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}) == python


def test_one_that_says_another_version_is_passed_over(tmp_path: Path) -> None:
    write_program(tmp_path / "bin/python3.99", "echo 3.98")
    assert find_python(VERSION, {"PATH": str(tmp_path / "bin")}) is None


def test_none(tmp_path: Path) -> None:
    assert find_python(VERSION, {"HOME": str(tmp_path)}) is None
