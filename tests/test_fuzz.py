"""A few of the damaged files that ``make fuzz`` tries by the thousand."""

import pytest

from tests.fuzz import KINDS, failures


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused_in_one_line(kind: str) -> None:
    assert list(failures(kind, 25, 0)) == []


@pytest.mark.parametrize(("kind", "seed"), [("checkpoints", 349), ("checkpoints", 825)])
def test_files_found_by_the_fuzz_are_refused(kind: str, seed: int) -> None:
    assert list(failures(kind, 1, seed)) == []
