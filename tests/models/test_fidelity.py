"""Two sets of weights mixed into one: from vivid to faithful."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.networks import awakened, basicvsr, srvgg
from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architectures.srvgg import SRVGGNetCompact
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.model import Model, OfficialFile
from vsr.models.loading import load_network
from vsr.streams import open_reader


@pytest.fixture
def ends(tmp_path: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of ``vivid.pth`` and ``faithful.pth``."""
    vivid = srvgg().state_dict()
    faithful = {key: value.flip(0) for key, value in vivid.items()}
    torch.save({"params": vivid}, tmp_path / "vivid.pth")
    torch.save({"params": faithful}, tmp_path / "faithful.pth")
    return {"vivid": vivid, "faithful": faithful}


def both(folder: Path) -> str:
    return f"{folder}/vivid.pth+{folder}/faithful.pth"


@pytest.mark.parametrize("fidelity", [0.0, 0.25, 1.0])
def test_weights_lie_between_the_two(
    fidelity: float, ends: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    loaded = load_network(both(tmp_path), fidelity=fidelity).state_dict()
    for key, vivid in ends["vivid"].items():
        expected = (1 - fidelity) * vivid + fidelity * ends["faithful"][key]
        torch.testing.assert_close(loaded[key], expected, atol=1e-7, rtol=1e-6)


def test_at_either_end_the_other_file_is_not_needed(
    ends: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    (tmp_path / "vivid.pth").unlink()
    loaded = load_network(both(tmp_path), fidelity=1).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in ends["faithful"].items())
    with pytest.raises(CheckpointError, match=r"vivid\.pth' is not there"):
        load_network(both(tmp_path), fidelity=0.9)


def test_two_of_different_sizes_are_refused(
    ends: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    other = awakened(SRVGGNetCompact(num_feat=8, num_conv=3))
    torch.save(other.state_dict(), tmp_path / "faithful.pth")
    with pytest.raises(CheckpointError, match="of different networks"):
        load_network(both(tmp_path), fidelity=0.5)


@pytest.mark.parametrize(
    ("model", "fidelity", "said"),
    [
        (
            "compact-x4",
            0.5,
            "one set of weights; give compact-x4-video, compact-x2-video, realesr-general-x4v3",
        ),
        ("compact-x4", 1.5, "give 0 .vivid. to 1 .faithful."),
        ("realesr-general-x4v3", float("nan"), "give 0"),
    ],
)
def test_networks_that_cannot_be_mixed_are_reported(model: str, fidelity: float, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_network(model, fidelity=fidelity)


def of_file(path: Path, **facts: object) -> Model:
    """A model whose file is in the cache under the name it has here."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = OfficialFile(name=path.name, sha256=sha256, base="http://127.0.0.1:1/", path=path.name)
    return Model(architecture="srvgg", summary="", releases=((file,),), **facts)  # type: ignore[arg-type]


def test_a_model_is_mixed_as_it_was_published_unless_told_otherwise(
    ends: dict[str, dict[str, Tensor]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_HOME", str(tmp_path))
    monkeypatch.setitem(
        MODELS, "vivid", of_file(tmp_path / "vivid.pth", faithful="faithful", fidelity=0.5)
    )
    monkeypatch.setitem(MODELS, "faithful", of_file(tmp_path / "faithful.pth"))
    for asked, meant in ((None, 0.5), (0.25, 0.25), (0, 0.0), (1, 1.0)):
        loaded = load_network("vivid", fidelity=asked).state_dict()["body.0.weight"]
        vivid, faithful = (ends[end]["body.0.weight"] for end in ("vivid", "faithful"))
        torch.testing.assert_close(loaded, vivid.lerp(faithful, meant))
    (tmp_path / "faithful.pth").unlink()
    with pytest.raises(NotPulled, match="`vsr models pull faithful`"):
        load_network("vivid")
    load_network("vivid", fidelity=0)


def test_the_default_model_lies_between_its_ends() -> None:
    vivid, mixed, faithful = (
        load_network("compact-x4-video", fidelity=fidelity).state_dict()
        for fidelity in (0, None, 1)
    )
    alone = load_network("compact-x4-faithful").state_dict()
    for key, value in mixed.items():
        torch.testing.assert_close(faithful[key], alone[key])
        if value.is_floating_point():
            torch.testing.assert_close(value, vivid[key].lerp(faithful[key], 0.7))


def test_every_command_that_takes_a_model_takes_a_fidelity(
    ends: dict[str, dict[str, Tensor]], vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    words = ("-m", both(tmp_path), "--fidelity", "0.5", "--device", "cpu")
    assert vsr("restore", source, tmp_path / "out.mp4", *words).code == 0
    assert vsr("restore", source, tmp_path / "out.mp4", "-y", "--dry-run", *words).code == 0
    assert vsr("restore", source, tmp_path / "a.mp4", "--preview", "0", *words).code == 0
    target = tmp_path / "mixed.safetensors"
    done = vsr("models", "convert", both(tmp_path), target, "--fidelity", "0.5")
    assert (done.code, "srvgg, x4" in done.out) == (0, True)
    mixed = load_network(target).state_dict()
    expected = load_network(both(tmp_path), fidelity=0.5).state_dict()
    assert all(torch.equal(mixed[key], value) for key, value in expected.items())
    refused = vsr("restore", source, tmp_path / "b.mp4", "-m", "compact-x4", "--fidelity", "0.5")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


@pytest.fixture
def pair(tmp_path: Path) -> str:
    """A vivid network that lays a pattern over frames, and the same without it, as two files."""
    weights = srvgg().state_dict()
    torch.save({"params": weights}, tmp_path / "faithful.pth")
    last = weights["body.6.bias"]
    weights["body.6.bias"] = last + 0.4 * torch.tensor([1, -1]).repeat(len(last) // 2)
    torch.save({"params": weights}, tmp_path / "vivid.pth")
    return both(tmp_path)


def test_a_guard_is_on_under_half_of_the_fidelity_and_its_map_is_written(
    pair: str, vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5))
    words = ("-m", pair, "--device", "cpu", "--json", "-y")
    target, shown = tmp_path / "out.mkv", tmp_path / "map.mkv"
    counts = [
        json.loads(vsr("restore", source, target, *words, *more).out)["guarded"]
        for more in (
            ("--fidelity", "0", "--show-map", shown),
            ("--fidelity", "0.5", "--guard-artifacts"),
            ("--fidelity", "0", "--no-guard-artifacts"),
        )
    ]
    assert counts[0] == 5
    assert counts[2] == 0
    with open_reader(str(shown)) as reader:
        maps = torch.cat([chunk.frames for chunk in reader.chunks(8)])
    assert maps.shape[0] == 5
    assert (maps > 0.5).any()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--guard-artifacts",), "itself what a guard shows"),
        (("--show-map", "map.mkv"), "give --guard-artifacts or --strength-map, too"),
        (("--show-map", "map.mkv", "--resume"), "exclude each other"),
    ],
)
def test_options_that_exclude_a_guard_are_reported(
    more: tuple[str, ...], said: str, vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=2))
    refused = vsr("restore", source, tmp_path / "out.mp4", "-m", "compact-x4-faithful", *more)
    assert (refused.code, refused.err.count("\n")) == (1, 1) or refused.code == 2
    assert said in refused.err
    assert not (tmp_path / "out.mp4").exists()


def test_two_that_are_no_cascade_need_a_fidelity(tmp_path: Path) -> None:
    for name in ("vivid.pth", "faithful.pth"):
        torch.save(basicvsr().state_dict(), tmp_path / name)
    with pytest.raises(CheckpointError, match="is not of an EDVR"):
        load_network(both(tmp_path))
