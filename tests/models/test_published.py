"""Our networks against outputs of the published code."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vsr.models.basicvsr import BasicVSR
from vsr.models.catalogue import load_network
from vsr.models.spynet import SPyNet


def formula_weight(key: str, shape: list[int], seed: int) -> Tensor:
    """The weights that the reference outputs were made with; see the README beside them."""
    if key.endswith(("mean", "std")):
        values = [0.485, 0.456, 0.406] if key.endswith("mean") else [0.229, 0.224, 0.225]
        return torch.tensor(values).reshape(shape)
    drawn = np.random.default_rng([seed, zlib.crc32(key.encode())]).standard_normal(shape)
    if key.endswith("bias"):
        return torch.from_numpy((0.02 * drawn).astype(np.float32))
    trunks = ("trunk", "resblock", "extraction", "reconstruction")
    gain = 0.25 if "conv2.weight" in key and any(name in key for name in trunks) else 1.0
    gain = 2.0 if "basic_module.8" in key else gain
    gain = 1.0 if "conv_last" in key else gain
    return torch.from_numpy((gain / np.sqrt(np.prod(shape[1:])) * drawn).astype(np.float32))


def reference(shared: Path, case: str) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Weights, input and output of one case."""
    facts = json.loads((shared / "oracle" / "index.json").read_text())[case]
    keys = facts["keys"].items() if isinstance(facts["keys"], dict) else facts["keys"]
    weights = {key: formula_weight(key, shape, facts["seed"]) for key, shape in keys}
    arrays = np.load(shared / "oracle" / f"{case}.npz")
    return weights, torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])


def test_spynet_agrees_with_the_published_code(shared: Path) -> None:
    weights, pair, expected = reference(shared, "spynet")
    network = SPyNet()
    network.load_state_dict(weights)
    with torch.inference_mode():
        flow = network(pair[:, 0], pair[:, 1])
    torch.testing.assert_close(flow, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("case", ["basicvsr", "basicvsr_c64b3"])
def test_a_basicsr_checkpoint_gives_the_published_output(
    case: str, shared: Path, tmp_path: Path
) -> None:
    weights, clip, expected = reference(shared, case)
    torch.save({"params": weights}, tmp_path / "checkpoint.pth")
    network = load_network(str(tmp_path / "checkpoint.pth"))
    with torch.inference_mode():
        restored = network(clip)
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_basicvsr_has_the_keys_shapes_and_size_of_the_official_one(shared: Path) -> None:
    layout = json.loads((shared / "oracle" / "layouts.json").read_text())["basicsr"]["basicvsr"]
    network = BasicVSR()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == layout
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_291_311
