"""The worked examples of CONTRIBUTING.md work."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import REPOSITORY
from vsr import Restorer, load_network
from vsr.errors import OpenError
from vsr.offline.comparison_video import InputRecorder
from vsr.offline.pipeline import run
from vsr.streams.encode.null_writer import NullWriter
from vsr.types import Chunk

EXAMPLES = re.findall(
    r"^ *```python\n(.*?)^ *```$",
    (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


def _run_example(name: str) -> dict[str, Any]:
    """Run the example that defines a class of this name, and give what it defines."""
    (source,) = (dedent(text) for text in EXAMPLES if f"class {name}" in text)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, "CONTRIBUTING.md", "exec"), names)
    return names


def test_the_network_restores_in_pieces_what_it_restores_at_once() -> None:
    names = _run_example("Drift")
    network = names["Drift"](num_feat=8)
    clip = torch.rand(1, 5, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = network(clip)
        first, state = network.step(clip, None, 2)
        second, _ = network.step(clip[:, 2:], state, 3)
    assert whole.shape == (1, 5, 3, 36, 28)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_the_network_is_known_by_its_weights() -> None:
    names = _run_example("Drift")
    network = names["Drift"](num_feat=8)
    assert names["options_from_weights"](network.state_dict()) == {"num_feat": 8}
    assert names["options_from_weights"]({"other.weight": torch.zeros(1)}) is None


def test_the_source_gives_every_frame_once_in_order(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    np.save(tmp_path / "clip.npy", frames)
    with _run_example("ArrayReader")["ArrayReader"](str(tmp_path / "clip.npy")) as reader:
        chunks: list[Chunk] = list(reader.chunks(2))
    assert [chunk.pts for chunk in chunks] == [(0, 1), (2, 3), (4,)]
    read = torch.cat([chunk.frames for chunk in chunks])
    assert torch.equal(read.mul(255).round().byte(), torch.from_numpy(frames).movedim(-1, 1))


def test_the_source_can_be_restored_from(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", np.zeros((5, 4, 6, 3), np.uint8))
    restorer = Restorer(load_network("identity"), device="cpu")
    with _run_example("ArrayReader")["ArrayReader"](str(tmp_path / "clip.npy")) as reader:
        summary = run(InputRecorder(reader), restorer, NullWriter())
    assert (summary.frames_out, summary.corrupt, summary.size_changes) == (5, 0, 0)


def test_the_source_refuses_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(OpenError, match=r"text\.npy"):
        _run_example("ArrayReader")["ArrayReader"](str(tmp_path / "text.npy"))
