"""A stream that is saved and loaded continues without a difference."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.conftest import REPOSITORY
from tests.networks import RECURRENT, basicvsr, compact, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream
from vsr.engine.stream_checkpoint import DIGEST, KEY, digest_of
from vsr.errors import CheckpointError, ConfigurationError, OpenError
from vsr.restorer import FULL, Restorer


@pytest.mark.parametrize(
    ("make", "look_ahead"),
    [*((make, 2) for make in RECURRENT.values()), (compact, 0), (compact, FULL)],
    ids=[*RECURRENT, "compact, none", "compact, full"],
)
def test_stopping_and_continuing_equals_never_having_stopped(
    make: Maker, look_ahead: int | str, tmp_path: Path
) -> None:
    network, chunks = make(), pieces(moving_clip(11, 10, 14), 2, cuts=[7])
    expected = stream(restorer_of(network, 3, look_ahead), chunks)
    left, state = [], tmp_path / "state.safetensors"
    for chunk in chunks:  # a new restorer for every chunk
        restorer = restorer_of(network, 1, 0)
        if state.exists():
            restorer.load(state)
        else:
            restorer = restorer_of(network, 3, look_ahead)
        left += restorer.push(chunk)
        restorer.save(state)
    left += restorer.drain()
    assert torch.equal(frames_of(left), frames_of(expected))
    assert pts_of(left) == pts_of(expected)
    assert restorer.counts.scenes == 2


def test_bfloat16_and_tiles_survive(tmp_path: Path) -> None:
    clip = moving_clip(8, 130, 140)

    def restorer() -> Restorer:
        options = {"tiles": (2, 1), "device": "cpu", "precision": "bfloat16"}
        return Restorer(compact(), chunk=2, look_ahead=1, **options)  # type: ignore[arg-type]

    expected = frames_of(stream(restorer(), pieces(clip, 4)))
    first, second = restorer(), restorer()
    left = first.push(pieces(clip, 4)[0])
    first.save(tmp_path / "state")
    second.load(tmp_path / "state")
    left += second.push(pieces(clip, 4)[1]) + second.drain()
    assert torch.equal(frames_of(left), expected)


PROGRAM = """
import sys, torch
from tests.networks import RECURRENT, moving_clip
from tests.streaming import frames_of, pieces, restorer_of
torch.set_num_threads(int(sys.argv[3]))
restorer = restorer_of(RECURRENT["iconvsr"](), 1, 1)
restorer.load(sys.argv[1])
left = restorer.push(pieces(moving_clip(12, 10, 14), 6)[1]) + restorer.drain()
torch.save(frames_of(left), sys.argv[2])
"""


@pytest.mark.slow
def test_another_process_continues(tmp_path: Path) -> None:
    network, (first, second) = RECURRENT["iconvsr"](), pieces(moving_clip(12, 10, 14), 6)
    restorer = restorer_of(network, 3, 2)
    restorer.push(first)
    restorer.save(tmp_path / "state")
    expected = frames_of(restorer.push(second) + restorer.drain())
    words = [str(tmp_path / "state"), str(tmp_path / "out.pt"), str(torch.get_num_threads())]
    subprocess.run([sys.executable, "-c", PROGRAM, *words], cwd=REPOSITORY, check=True)
    assert torch.equal(torch.load(tmp_path / "out.pt"), expected)


def test_a_fresh_and_a_saved_stream_leave_one_file(tmp_path: Path) -> None:
    restorer = restorer_of(compact(), 2, 1)
    restorer.save(tmp_path / "state")
    restorer.push(pieces(moving_clip(5, 10, 14), 5)[0])
    restorer.save(tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_state_of_another_network_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    theirs, ours = restorer_of(basicvsr(), 2, 1), restorer_of(compact(), 2, 1)
    theirs.save(tmp_path / "state")
    ours.push(pieces(moving_clip(2, 10, 14), 2)[0])
    with pytest.raises(CheckpointError, match="resume with the network it was saved with"):
        ours.load(tmp_path / "state")
    assert ours.num_waiting == 2
    retrained = compact()
    next(iter(retrained.parameters())).data += 1
    restorer_of(compact(), 2, 1).save(tmp_path / "state")
    with pytest.raises(CheckpointError, match="state of compact float32"):
        restorer_of(retrained, 2, 1).load(tmp_path / "state")


def test_a_state_that_cannot_be_written_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="give a name in a folder that exists"):
        restorer_of(compact(), 2, 1).save(tmp_path / "nowhere" / "state")
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_a_stream_is_kept(tmp_path: Path) -> None:
    restorer = restorer_of(compact(), 2, 0)
    restorer.push(pieces(moving_clip(2, 10, 14), 2)[0])
    restorer.save(tmp_path / "state")
    loaded = restorer_of(compact(), 2, 0)
    loaded.load(tmp_path / "state")
    with pytest.raises(ConfigurationError, match="in a stream of 14x10"):
        loaded.push(pieces(moving_clip(2, 12, 14), 2)[0])


@pytest.mark.parametrize("content", [None, b"", b"these are notes" * 50])
def test_a_file_that_is_no_state_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "state").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"give a file that Restorer\.save wrote"):
        restorer_of(compact(), 2, 1).load(tmp_path / "state")


def test_a_file_that_was_changed_anywhere_is_refused(tmp_path: Path) -> None:
    restorer, chance = restorer_of(compact(), 2, 1), random.Random(0)
    restorer.push(pieces(moving_clip(5, 10, 14), 5)[0])
    restorer.save(tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"'.*damaged' "):
            restorer.load(tmp_path / "damaged")
    assert restorer.num_waiting == 1


NO_FACT: tuple[Any, ...] = (
    None,
    "x",
    -1,
    1.5,
    True,
    [],
    {},
    "1/0",
    [[1]],
    [None],
    {"tensor": "nope"},
)
"""What a damaged description may hold where something else belongs."""

POSSIBLE = {("at_scene_start", "True"), ("sizes", "[]")}
"""What of it is none there."""

FACTS = "format network settings counts time_base size at_scene_start pts starts_scene sizes state"


def rewritten(source: Path, target: Path, **changed: Any) -> None:
    """A state with other facts in its description."""
    with safe_open(source, "pt") as file:
        facts = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    sign(tensors, json.dumps({**facts, **changed}), target)


def sign(tensors: dict[str, torch.Tensor], text: str, target: Path) -> None:
    """As if nothing had been changed since."""
    save_file(tensors, target, metadata={KEY: text, DIGEST: digest_of(text, tensors)})


@pytest.mark.parametrize("name", FACTS.split())
def test_a_damaged_description_is_refused_and_changes_nothing(name: str, tmp_path: Path) -> None:
    first, second = pieces(moving_clip(8, 10, 14), 5)
    saved, ours = restorer_of(compact(), 2, 1), restorer_of(compact(), 3, 1)
    saved.push(first)
    saved.save(tmp_path / "state")
    left = ours.push(first)
    for value in (value for value in NO_FACT if (name, str(value)) not in POSSIBLE):
        rewritten(tmp_path / "state", tmp_path / "damaged", **{name: value})
        with pytest.raises(CheckpointError, match=r"'.*damaged' "):
            ours.load(tmp_path / "damaged")
    left += ours.push(second) + ours.drain()
    expected = stream(restorer_of(compact(), 3, 1), [first, second])
    assert torch.equal(frames_of(left), frames_of(expected))


@pytest.mark.parametrize(
    "tree",
    [
        {"tensor": "state.1", "order": [0, 1]},
        {"tensor": "state.1", "order": [0, 1, 2, 2]},
        {"tensor": "nowhere", "order": [0, 1, 2, 3]},
        {"class": "compact.v1", "fields": {}},
        {"class": ["compact.v1"], "fields": {}},
        {"map": [1, 2]},
        {"set": []},
    ],
)
def test_a_damaged_state_is_refused(tree: Any, tmp_path: Path) -> None:
    restorer = restorer_of(compact(), 2, 1)
    restorer.push(pieces(moving_clip(5, 10, 14), 5)[0])
    restorer.save(tmp_path / "state")
    rewritten(tmp_path / "state", tmp_path / "damaged", state=tree)
    with pytest.raises(CheckpointError, match=r"give a file that Restorer\.save wrote"):
        restorer.load(tmp_path / "damaged")
    assert restorer.num_waiting == 1


def test_a_file_cannot_bring_in_code(tmp_path: Path) -> None:
    restorer = restorer_of(basicvsr(), 2, 0)
    restorer.push(pieces(moving_clip(4, 10, 14), 4)[0])
    restorer.save(tmp_path / "state")
    with safe_open(tmp_path / "state", "pt") as file:
        text = file.metadata()[KEY].replace("propagation.v1", "os.system")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    sign(tensors, text, tmp_path / "state")
    with pytest.raises(CheckpointError, match="not known here"):
        restorer_of(basicvsr(), 2, 0).load(tmp_path / "state")


def test_a_state_names_its_classes_by_tags_that_outlive_modules(tmp_path: Path) -> None:
    restorer = restorer_of(compact(), 2, 1)
    restorer.push(pieces(moving_clip(5, 10, 14), 5)[0])
    restorer.save(tmp_path / "state")
    with safe_open(tmp_path / "state", "pt") as file:
        text = file.metadata()[KEY]
    assert '"class": "compact.v1"' in text
    assert "vsr.models" not in text
