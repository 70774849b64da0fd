"""The options of a restoration: one frozen value for the command line and the library."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from vsr.cli.restore import restore as command
from vsr.offline.options import RestoreOptions

ONLY_SAID = {"source", "target", "as_json", "dry_run", "progress_folder", "preview", "quiet"}
"""What only the command line has: names, and how it reports."""


def test_the_command_line_has_every_option_and_no_other() -> None:
    # What --face-model names is the library's `faces`, and --faces names the usual one.
    own = {parameter.name for parameter in command.params} - ONLY_SAID - {"face_model"}
    times = {"start": "start_s", "end": "end_s"}
    # What --model auto has chosen is handed on to workers, and never given.
    library = {f.name for f in fields(RestoreOptions)} - {"scene_models"}
    assert {times.get(str(name), name) for name in own} == library


def test_defaults_of_the_command_line_are_those_of_the_library() -> None:
    given = command.make_context("restore", ["in.mp4", "out.mp4"]).params
    assert given["faces"] is False
    shared = ({f.name for f in fields(RestoreOptions)} & given.keys()) - {"faces"}
    assert RestoreOptions(**{name: given[name] for name in shared}) == RestoreOptions()


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(TypeError, match="look_ahed"):
        RestoreOptions(look_ahed=3)  # type: ignore[call-arg]


def test_options_are_a_value() -> None:
    options = RestoreOptions(model="identity", memory="4G")
    with pytest.raises(FrozenInstanceError):
        options.model = "compact-x4"  # type: ignore[misc]
    assert options.given() == {"model", "memory"}


def test_a_journal_holds_the_options_that_decide_the_output() -> None:
    recorded = RestoreOptions(device="cuda:1", memory="4G", encoder="libx265").recorded()
    assert recorded["encoder"] == "libx265"
    assert not {"device", "memory", "overwrite", "resume"} & recorded.keys()
