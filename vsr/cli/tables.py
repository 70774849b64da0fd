"""Tables on stdout, for people; programs have ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns, each row on one line whatever the width of the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=1000).print(table)
