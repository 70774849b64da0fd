"""Which photographs ``scripts.footage`` keeps."""

from __future__ import annotations

from scripts.footage import photographs

COPYRIGHT = """\
Format: https://example.invalid/1.0/

Files: a/free.jpg
Copyright: 2018, Somebody
License: CC-BY-4.0

Files: a/unfree.jpg
Copyright: 2018, Another
License: CC-BY-NC-4.0

Files: debian/*
Copyright: 2018, Maintainer
License: CC-BY-4.0
"""


def test_photographs_of_accepted_licences_are_kept_with_their_author() -> None:
    (kept,) = photographs(COPYRIGHT, "package")
    assert (kept.name, kept.licence, kept.author) == ("free.jpg", "CC-BY-4.0", "2018, Somebody")
