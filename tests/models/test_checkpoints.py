"""Files of weights: what is taken, and what is refused in one line."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import (
    basicvsr,
    basicvsrpp,
    cascade,
    compact,
    edvr,
    iconvsr,
    moving_clip,
    realbasicvsr,
)
from tests.streaming import Maker
from vsr.errors import CheckpointError, ConfigurationError, VSRError
from vsr.models.architecture_table import ARCHITECTURES, network_of, options_of
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.checkpoint import Checkpoint, load_into, read_checkpoint, save_network
from vsr.models.loading import load_network


def test_a_saved_network_is_known_again_from_its_shapes(tmp_path: Path) -> None:
    network = compact()
    save_network(network, tmp_path / "weights.safetensors")
    again = load_network(str(tmp_path / "weights.safetensors"))
    clip = moving_clip(3, 16, 16)[None]
    with torch.inference_mode():
        torch.testing.assert_close(again(clip), network(clip), atol=2e-2, rtol=0)


@pytest.mark.parametrize("wrapper", ["params", "params_ema", None])
def test_basicsr_containers_and_bare_ones_load(wrapper: str | None, tmp_path: Path) -> None:
    weights = basicvsr().state_dict()
    torch.save({wrapper: weights} if wrapper else weights, tmp_path / "basicvsr.pth")
    network = load_network("basicvsr", tmp_path / "basicvsr.pth")
    assert torch.equal(network.state_dict()["conv_hr.weight"], weights["conv_hr.weight"])


def text(path: Path) -> None:
    path.write_text("not weights")


def cut_off(path: Path) -> None:
    torch.save(basicvsr().state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])


def stranger(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, path)


def lacking(path: Path) -> None:
    weights = basicvsr().state_dict()
    del weights["conv_hr.bias"]
    torch.save(weights, path)


def dangerous(path: Path) -> None:
    path.write_bytes(pickle.dumps(print))


def damaged(path: Path) -> None:
    """Bytes that send the unpickler to what is not there."""
    path.write_bytes(b"\x80\x05K\x01h\x65.")


def numbered(path: Path) -> None:
    torch.save({0: torch.zeros(1)}, path)


def empty(path: Path) -> None:
    torch.save({}, path)


def sparse(path: Path) -> None:
    torch.save({"conv.weight": torch.eye(3).to_sparse()}, path)


def without_values(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3, device="meta")}, path)


@pytest.mark.parametrize(
    "make",
    [
        text,
        cut_off,
        stranger,
        lacking,
        dangerous,
        damaged,
        numbered,
        empty,
        sparse,
        without_values,
    ],
)
def test_a_file_that_is_no_network_is_refused_in_one_line(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    make(path)
    with pytest.raises(CheckpointError) as caught:
        load_network(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_that_do_not_fit_are_named_with_their_likely_layout(tmp_path: Path) -> None:
    weights = {
        key.replace("_trunk.", "_resblocks."): value
        for key, value in basicvsr().state_dict().items()
        if "conv_hr" not in key and "upconv" not in key
    }
    weights["extra.weight"] = torch.zeros(1)
    weights["conv_last.bias"] = torch.zeros(7)
    torch.save({"state_dict": weights}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError) as caught:
        load_network(str(tmp_path / "weights.pth"))
    for said in (
        "(names as in mmagic)",
        "lacks upconv1.weight, upconv1.bias, upconv2.weight and 3 more",
        "has unknown extra.weight",
        "has conv_last.bias [7] instead of [3]",
        "for basicvsr; give",
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "said"), [("spynet.", "only SPyNet"), ("edvr.", "only the alignment of an EDVR")]
)
def test_the_file_of_a_part_is_called_that(prefix: str, said: str, tmp_path: Path) -> None:
    weights = iconvsr().state_dict()
    part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    torch.save(part, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match=said):
        load_network(str(tmp_path / "part.pth"))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "make", [compact, basicvsr, realbasicvsr, basicvsrpp, iconvsr, edvr, cascade]
)
def test_any_weight_that_is_missing_or_of_another_shape_is_reported(make: Maker) -> None:
    """One key of each kind: those that differ in numbers alone are of one list of modules.

    SPyNet, the network behind a cleaning and the second of a cascade are once what they are alone.
    """
    network = make()
    whole = network.state_dict()
    name, options = options_by(whole)

    def load(damaged: Checkpoint) -> None:
        """As ``network_of``, without building the network once more where its options agree."""
        if options_of(name, damaged) == options:
            load_into(network, damaged, name)
        else:
            network_of(damaged)

    parts = () if make is basicvsr else ("spynet.", "basicvsr.", "second.")
    kinds = {re.sub(r"\d+", "N", key): key for key in whole if not key.startswith(parts)}
    for key, weight in ((key, whole[key]) for key in kinds.values()):
        for wrong in ({}, {key: weight.flatten()[:0]}):
            weights = {k: v for k, v in whole.items() if k != key} | wrong
            damaged = Checkpoint(source="weights.pth", layout=None, weights=weights)
            with pytest.raises(VSRError, match=r"; (give|known)"):
                load(damaged)


def options_by(weights: dict[str, Tensor]) -> tuple[str, dict[str, Any]]:
    """The architecture that weights belong to, and its options."""
    whole = Checkpoint(source="weights.pth", layout=None, weights=weights)
    found = ((name, options_of(name, whole)) for name in ARCHITECTURES)
    return next((name, options) for name, options in found if options is not None)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(basicvsr().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"checkpoint of basicvsr; give one of compact"):
        load_network("compact-x4", tmp_path / "weights.pth")


def test_a_missing_file_and_an_unknown_name_say_what_to_give() -> None:
    with pytest.raises(CheckpointError, match=r"'nowhere\.pth' is not there"):
        load_network("nowhere.pth")
    with pytest.raises(ConfigurationError, match="did you mean compact-x4"):
        load_network("compactx4")


@pytest.mark.parametrize(
    "name", [name for name, model in MODELS.items() if not model.needs_weights]
)
def test_every_model_that_comes_with_the_package_loads_and_runs(name: str) -> None:
    network = load_network(name)
    with torch.inference_mode():
        restored = network(torch.rand(1, 2, 3, 12, 16))
    assert restored.shape[-2:] == (12 * network.facts.scale, 16 * network.facts.scale)


def test_a_loaded_network_keeps_nothing_for_gradients_until_it_is_asked_to() -> None:
    network, clip = load_network("compact-x4"), torch.rand(1, 2, 3, 8, 8)
    assert network(clip).grad_fn is None
    network.requires_grad_()
    assert network(clip).grad_fn is not None


def test_a_model_without_weights_asks_for_them() -> None:
    with pytest.raises(ConfigurationError, match="--weights"):
        load_network("basicvsr")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda weight: weight.fill_(float("nan")), "has a value of nan in"),
        (lambda weight: weight.fill_(1e30), r"has a value of 1e\+30 in"),
        (lambda weight: weight.to(torch.int8), "as int8; give weights in float32"),
        (lambda weight: weight.flatten()[:1].expand(1 << 33), "which [0-9]+ bytes cannot hold"),
    ],
)
def test_weights_that_no_training_leaves_are_refused(
    spoil: Callable[[Tensor], Tensor], said: str, tmp_path: Path
) -> None:
    weights = {k: v.detach().clone() for k, v in compact().state_dict().items()}
    name = next(name for name, value in weights.items() if value.ndim == 4)
    weights[name] = spoil(weights[name])
    torch.save(weights, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(tmp_path / "bad.pth")
