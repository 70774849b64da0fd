"""Two EDVR, one refining what the other restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import SMALL_EDVR, awakened, basicvsr, moving_clip
from tests.networks import cascade as small_cascade
from vsr.errors import CheckpointError, ConfigurationError
from vsr.models.architectures.cascade import Cascade, CascadeState
from vsr.models.architectures.edvr import EDVR
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.loading import load_network


def small_edvr(**options: Any) -> EDVR:
    network = EDVR(**{**SMALL_EDVR, **options})
    awakened(network)
    return network


@pytest.fixture
def stages(tmp_path: Path) -> tuple[Path, Path]:
    """Checkpoints of a network that enlarges and of one that refines."""
    paths = tmp_path / "first.pth", tmp_path / "second.safetensors"
    torch.save({"params": small_edvr().state_dict()}, paths[0])
    save_network(small_edvr(hr_in=True, with_predeblur=True), paths[1], dtype=torch.float32)
    return paths


@pytest.mark.parametrize("num_frames", [1, 3, 9])
def test_the_second_network_sees_what_the_first_restored(num_frames: int) -> None:
    network = small_cascade()
    assert isinstance(network, Cascade)
    clip = moving_clip(num_frames, 10, 13)[None]
    with torch.inference_mode():
        expected = network.second(network.first(clip).clamp(0, 1))
        torch.testing.assert_close(network(clip), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("look_ahead", [0, 3, 20])
def test_the_first_network_restores_each_frame_once(look_ahead: int) -> None:
    network: Any = small_cascade()
    restored: list[int] = []
    step = network.first.step

    def counted(window: Tensor, state: Any, num_keep: int, **options: Any) -> Any:
        restored.append(num_keep)
        return step(window, state, num_keep, **options)

    network.first.step = counted
    clip, state = moving_clip(17, 10, 13)[None], None
    with torch.inference_mode():
        for start in range(0, 17, 2):
            window = clip[:, start : start + 2 + look_ahead]
            ends = start + 2 + look_ahead >= 17
            _, state = network.step(window, state, min(2, 17 - start), ends_scene=ends)
            assert isinstance(state, CascadeState)
            assert state.ahead_BTCHW.shape[1] <= 2
    assert sum(restored) == 17


def test_the_look_ahead_of_both_stages_together_loses_nothing() -> None:
    network, clip = small_cascade(), moving_clip(12, 10, 13)[None]
    state, restored = None, []
    look_ahead = network.facts.look_ahead
    assert look_ahead == 2 + 1
    with torch.inference_mode():
        for start in range(0, 12, 2):
            end = min(start + 2 + look_ahead, 12)
            out, state = network.step(clip[:, start:end], state, 2, ends_scene=end == 12)
            restored.append(out)
        torch.testing.assert_close(torch.cat(restored, 1), network(clip), atol=1e-5, rtol=0)


def test_two_checkpoints_are_named_with_a_plus(stages: tuple[Path, Path]) -> None:
    first, second = stages
    network = load_network(f"{first}+{second}")
    assert (network.facts.name, network.facts.scale) == ("cascade", 4)
    clip = moving_clip(3, 10, 13)[None]
    with torch.inference_mode():
        between = load_network(str(first))(clip).clamp(0, 1)
        expected = load_network(str(second))(between)
        torch.testing.assert_close(network(clip), expected, atol=1e-5, rtol=0)
        again = load_network("cascade", f"{first}+{second}")(clip)
        torch.testing.assert_close(again, expected, atol=1e-5, rtol=0)


def test_a_cascade_can_be_one_file(stages: tuple[Path, Path], tmp_path: Path) -> None:
    network = load_network("+".join(map(str, stages)))
    save_network(network, tmp_path / "both.safetensors", dtype=torch.float32)
    again = load_network(str(tmp_path / "both.safetensors"))
    clip = moving_clip(2, 10, 13)[None]
    with torch.inference_mode():
        assert torch.equal(again(clip), network(clip))


def test_networks_that_make_no_cascade_are_refused_in_one_line(
    stages: tuple[Path, Path], cache: Path, tmp_path: Path
) -> None:
    first, second = stages
    torch.save(basicvsr().state_dict(), tmp_path / "basicvsr.pth")
    for model, error, said in [
        (f"{first}+{first}", ConfigurationError, r"enlarges x4; give an EDVR that keeps the size"),
        (f"{first}+{tmp_path}/basicvsr.pth", CheckpointError, r"not of an EDVR; .*FIRST\+SECOND"),
        (f"{first}+{tmp_path}/nothing.pth", CheckpointError, r"nothing\.pth' is not there"),
        (f"edvrl_reds4+{second}", CheckpointError, "`vsr models pull edvrl_reds4`"),
        (f"bicubic-x4+{second}", ConfigurationError, r"no file of weights; .*FIRST\+SECOND"),
    ]:
        with pytest.raises(error, match=said) as caught:
            load_network(model)
        assert "\n" not in str(caught.value)


def test_a_file_with_a_plus_in_its_name_is_a_file(tmp_path: Path) -> None:
    torch.save(small_edvr().state_dict(), tmp_path / "a+b.pth")
    assert load_network(str(tmp_path / "a+b.pth")).facts.name == "edvr"
