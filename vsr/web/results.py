"""Names of the results, which the queue and the streams share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from vsr.streams.names.formats import JOURNAL_SUFFIX


class Results:
    """The folder of the results.

    Args:
        folder: Its path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: list[Callable[[], Iterable[str]]] = []

    def hold(self, taken: Callable[[], Iterable[str]]) -> None:
        """Keep the paths free that a function returns."""
        self._taken.append(taken)

    def free(self, name: Path) -> Path:
        """A path that neither a file, nor a run that can be resumed, nor a holder has.

        Args:
            name: Its name, with a number appended where that is taken.
        """
        taken = {Path(path).name for paths in self._taken for path in paths()}
        taken |= {path.name.removesuffix(JOURNAL_SUFFIX) for path in self.folder.iterdir()}
        number = 1
        while True:
            numbered = name if number == 1 else name.with_name(f"{name.stem}-{number}{name.suffix}")
            if numbered.name not in taken:
                return self.folder / numbered
            number += 1
