"""Our networks against outputs of the published code."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.architectures.basicvsrpp import SecondOrderAlignment
from vsr.models.architectures.edvr import AlignedFeatures, alignment_options
from vsr.models.architectures.realbasicvsr import RealBasicVSR
from vsr.models.checkpoints.key_mapping import to_basicsr
from vsr.models.layers.spynet import SPyNet
from vsr.models.loading import load_network


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
    weights |= {key: torch.from_numpy(arrays[key]) for key in facts.get("stored", ())}
    return weights, torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])


CASES = [
    "basicvsr",
    "iconvsr_pad2",
    "edvr_tsa",
    "edvr_predeblur_hr",
    *(
        pytest.param(case, marks=pytest.mark.slow)
        for case in ("basicvsr_c64b3", "iconvsr_pad3", "edvr_wotsa", "edvr_7f", "edvr_predeblur")
    ),
]

SIZES = {
    "basicvsr": 6_291_311,
    "iconvsr_pad2": 8_694_991,
    "iconvsr_pad3": 8_711_375,
    "edvr_m": 3_300_131,
    "edvr_m_wotsa": 2_996_259,
    "edvr_l": 20_633_827,
}
"""Parameters of the official networks."""


def expected_part(case: str, restored: Tensor) -> Tensor:
    """EDVR's reference outputs are of the middle frame, the others' of all."""
    return restored[:, restored.shape[1] // 2] if case.startswith("edvr") else restored


def test_spynet_agrees_with_the_published_code(shared: Path) -> None:
    weights, pair, expected = reference(shared, "spynet")
    network = SPyNet()
    network.load_state_dict(weights)
    with torch.inference_mode():
        flow = network(pair[:, 0], pair[:, 1])
    torch.testing.assert_close(flow, expected, atol=1e-5, rtol=0)


def test_refill_features_agree_with_the_published_code(shared: Path) -> None:
    weights, window, expected = reference(shared, "edvr_extractor")
    network = AlignedFeatures(**alignment_options(weights))
    network.load_state_dict(weights)
    with torch.inference_mode():
        feat = network.fuse([network.features(frame) for frame in window.unbind(1)])
    torch.testing.assert_close(feat, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_a_basicsr_checkpoint_gives_the_published_output(
    case: str, shared: Path, tmp_path: Path
) -> None:
    weights, clip, expected = reference(shared, case)
    torch.save({"params": weights}, tmp_path / "checkpoint.pth")
    network = load_network(str(tmp_path / "checkpoint.pth"))
    with torch.inference_mode():
        restored = expected_part(case, network(clip))
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SIZES)
def test_an_official_network_is_built_from_its_keys(
    name: str, shared: Path, tmp_path: Path
) -> None:
    layout = json.loads((shared / "oracle" / "layouts.json").read_text())["basicsr"][name]
    torch.save({"params": random_weights(layout)}, tmp_path / "basicsr.pth")
    network = load_network(str(tmp_path / "basicsr.pth"))
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert own == layout
    assert sum(parameter.numel() for parameter in network.parameters()) == SIZES[name]


@pytest.mark.parametrize("name", ["basicvsr", "iconvsr_pad2", "iconvsr_pad3", "edvr_m", "edvr_l"])
def test_openmmlabs_names_mean_the_same_network(name: str, shared: Path, tmp_path: Path) -> None:
    layouts = json.loads((shared / "oracle" / "layouts.json").read_text())
    weights = random_weights(layouts["mmagic"][name])
    assert {k: list(v.shape) for k, v in to_basicsr(weights).items()} == layouts["basicsr"][name]
    content = {f"generator.{key}": value for key, value in weights.items()}
    content["step_counter"] = torch.zeros(1)
    torch.save({"meta": {}, "state_dict": content}, tmp_path / "mmagic.pth")
    loaded = load_network(str(tmp_path / "mmagic.pth")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in to_basicsr(weights).items())


@pytest.mark.parametrize(
    "case",
    [
        *("basicvsrpp", "realbasicvsr"),
        *(
            pytest.param(case, marks=pytest.mark.slow)
            for case in ("basicvsrpp_2f", "basicvsrpp_1f", "basicvsrpp_hr")
        ),
    ],
)
def test_successors_of_basicvsr_give_the_published_output(
    case: str, shared: Path, tmp_path: Path
) -> None:
    """Every fifth row and column is compared; values go up to 10, so that 1e-5 is relative, too."""
    weights, clip, expected = reference(shared, case)
    torch.save({"params": weights}, tmp_path / "checkpoint.pth")
    network = load_network(str(tmp_path / "checkpoint.pth"))
    with torch.inference_mode():
        restored = network(clip)
    torch.testing.assert_close(restored[..., ::5, ::5], expected, atol=1e-5, rtol=1e-5)


def test_second_order_alignment_agrees_with_the_published_code(shared: Path) -> None:
    weights, _, expected = reference(shared, "basicvsrpp_align")
    arrays = np.load(shared / "oracle" / "basicvsrpp_align.npz")
    feats, seen, near, far = (
        torch.from_numpy(arrays[name]) for name in ("input", "cond", "flow_1", "flow_2")
    )
    alignment = SecondOrderAlignment(16, 16)
    alignment.load_state_dict(weights)
    with torch.inference_mode():
        aligned = alignment(feats, seen, (near, far))
    torch.testing.assert_close(aligned, expected, atol=1e-5, rtol=0)


def test_realbasicvsrs_cleaning_agrees_with_the_published_code(shared: Path) -> None:
    weights, clip, expected = reference(shared, "realbasicvsr_cleaning")
    arrays = np.load(shared / "oracle" / "realbasicvsr_cleaning.npz")
    network = RealBasicVSR(num_feat=64, num_block=1, num_clean_block=3)
    network.load_state_dict(weights, strict=False)
    frames = clip[0]
    with torch.inference_mode():
        for name in ("clean_1", "clean_2", "output"):
            frames = frames + network.image_cleaning(frames)
            torch.testing.assert_close(frames, torch.from_numpy(arrays[name])[0], atol=5e-5, rtol=0)
    torch.testing.assert_close(frames, expected[0], atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("basicvsrpp", 7_322_927),
        ("basicvsrpp_c128n25_hr", 44_075_631),
        ("realbasicvsr", 6_294_834),
    ],
)
@pytest.mark.parametrize("base", ["basicsr", "mmagic"])
def test_an_official_successor_is_built_from_its_keys(
    name: str, count: int, base: str, shared: Path, tmp_path: Path
) -> None:
    layouts = json.loads((shared / "oracle" / "layouts_basicvsrpp.json").read_text())
    prefix = "generator." if base == "mmagic" else ""
    weights = random_weights({f"{prefix}{key}": v for key, v in layouts[base][name].items()})
    torch.save({"state_dict": weights}, tmp_path / "net.pth")
    network = load_network(str(tmp_path / "net.pth"))
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert own == layouts["basicsr"][name]
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def random_weights(layout: dict[str, list[int]]) -> dict[str, Tensor]:
    return {key: torch.rand(shape) for key, shape in layout.items()}


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    weights = BasicVSR(num_feat=8, num_block=1).state_dict()
    content = {f"generator.{key}": value for key, value in weights.items()}
    content |= {f"generator_ema.{key}": value + 1 for key, value in weights.items()}
    torch.save({"state_dict": content}, tmp_path / "mmagic.pth")
    loaded = load_network(str(tmp_path / "mmagic.pth")).state_dict()
    assert torch.equal(loaded["conv_hr.bias"], weights["conv_hr.bias"] + 1)
