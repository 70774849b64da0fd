"""Restores files with ``identity`` in a process of its own, which may crash or hang, and reports.

``python -m tests.streams.restoring FOLDER FILE …`` prints a line of JSON for each file.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

HANG_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a file.

    Attributes:
        name: The file's.
        error: In words; empty where it was restored.
        frames: Frames that were written.
        corrupt: Frames that were said to be damaged.
        notes: What was said beside.
        crashed: How the process ended, if it did.
    """

    name: str
    error: str = ""
    frames: int = 0
    corrupt: int = 0
    notes: str = ""
    crashed: str = ""


class Notes(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.notes.append(record.getMessage())


def restore_apart(files: Sequence[Path], folder: Path) -> list[Report]:
    """Restore each file into a folder, as ``NAME.mkv``; a crash is followed by the next one."""
    reports: list[Report] = []
    while len(reports) < len(files):
        rest = files[len(reports) :]
        words = [sys.executable, "-m", "tests.streams.restoring", str(folder), *map(str, rest)]
        done = subprocess.run(words, check=False, capture_output=True, errors="replace")
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        reports += [Report(**line) for line in lines]
        if len(lines) < len(rest):
            reports.append(
                Report(
                    name=rest[len(lines)].name, crashed=f"{done.returncode}: {done.stderr[-400:]}"
                )
            )
    return reports


def restore_one(file: Path, folder: Path) -> Report:
    """Restore a file here."""
    from vsr.errors import VSRError
    from vsr.offline.job import restore
    from vsr.offline.options import RestoreOptions

    target = folder / f"{file.name}.mkv"
    words = ("-preset", "ultrafast")
    said = Notes()
    try:
        logging.getLogger("vsr").addHandler(said)
        summary = restore(
            str(file),
            str(target),
            RestoreOptions(model="identity", device="cpu", encode_args=words),
        )
    except VSRError as error:
        return Report(name=file.name, error=str(error))
    finally:
        logging.getLogger("vsr").removeHandler(said)
    return Report(
        name=file.name,
        frames=summary.frames_out,
        corrupt=summary.corrupt,
        notes="; ".join(said.notes),
    )


def main() -> None:
    """Restore the files named on the command line."""
    torch.set_num_threads(1)
    folder, *files = map(Path, sys.argv[1:])
    for file in files:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        sys.stdout.write(json.dumps(asdict(restore_one(file, folder))) + "\n")
        sys.stdout.flush()
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
