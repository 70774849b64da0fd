"""Names of weights in the layouts of other code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.networks import SMALL_EDVR, awakened, basicvsr
from vsr.models.architectures.edvr import EDVR
from vsr.models.checkpoints.key_mapping import (
    likely_layout,
    to_basicsr,
    to_esrgan,
    to_openmmlab,
)
from vsr.models.loading import load_network

FIRST_CODE = {
    "predeblur.conv_first": "pre_deblur.conv_first",
    "predeblur.stride_conv_l2": "pre_deblur.deblur_L2_conv",
    "predeblur.stride_conv_l3": "pre_deblur.deblur_L3_conv",
    "predeblur.resblock_l3": "pre_deblur.RB_L3_1",
    "predeblur.resblock_l2_1": "pre_deblur.RB_L2_1",
    "predeblur.resblock_l2_2": "pre_deblur.RB_L2_2",
    "predeblur.resblock_l1.0": "pre_deblur.RB_L1_1",
    "predeblur.resblock_l1.1": "pre_deblur.RB_L1_2",
    "predeblur.resblock_l1.2": "pre_deblur.RB_L1_3",
    "predeblur.resblock_l1.3": "pre_deblur.RB_L1_4",
    "predeblur.resblock_l1.4": "pre_deblur.RB_L1_5",
    "conv_l2_1": "fea_L2_conv1",
    "conv_l2_2": "fea_L2_conv2",
    "conv_l3_1": "fea_L3_conv1",
    "conv_l3_2": "fea_L3_conv2",
    "pcd_align.offset_conv1.l1": "pcd_align.L1_offset_conv1",
    "pcd_align.offset_conv1.l2": "pcd_align.L2_offset_conv1",
    "pcd_align.offset_conv1.l3": "pcd_align.L3_offset_conv1",
    "pcd_align.offset_conv2.l1": "pcd_align.L1_offset_conv2",
    "pcd_align.offset_conv2.l2": "pcd_align.L2_offset_conv2",
    "pcd_align.offset_conv2.l3": "pcd_align.L3_offset_conv2",
    "pcd_align.offset_conv3.l1": "pcd_align.L1_offset_conv3",
    "pcd_align.offset_conv3.l2": "pcd_align.L2_offset_conv3",
    "pcd_align.dcn_pack.l1.conv_offset": "pcd_align.L1_dcnpack.conv_offset_mask",
    "pcd_align.dcn_pack.l2.conv_offset": "pcd_align.L2_dcnpack.conv_offset_mask",
    "pcd_align.dcn_pack.l3.conv_offset": "pcd_align.L3_dcnpack.conv_offset_mask",
    "pcd_align.dcn_pack.l1": "pcd_align.L1_dcnpack",
    "pcd_align.dcn_pack.l2": "pcd_align.L2_dcnpack",
    "pcd_align.dcn_pack.l3": "pcd_align.L3_dcnpack",
    "pcd_align.feat_conv.l1": "pcd_align.L1_fea_conv",
    "pcd_align.feat_conv.l2": "pcd_align.L2_fea_conv",
    "pcd_align.cas_dcnpack.conv_offset": "pcd_align.cas_dcnpack.conv_offset_mask",
    "fusion.temporal_attn1": "tsa_fusion.tAtt_2",
    "fusion.temporal_attn2": "tsa_fusion.tAtt_1",
    "fusion.feat_fusion": "tsa_fusion.fea_fusion",
    "fusion.spatial_attn_add1": "tsa_fusion.sAtt_add_1",
    "fusion.spatial_attn_add2": "tsa_fusion.sAtt_add_2",
    "fusion.spatial_attn_l1": "tsa_fusion.sAtt_L1",
    "fusion.spatial_attn_l2": "tsa_fusion.sAtt_L2",
    "fusion.spatial_attn_l3": "tsa_fusion.sAtt_L3",
    "fusion.spatial_attn1": "tsa_fusion.sAtt_1",
    "fusion.spatial_attn2": "tsa_fusion.sAtt_2",
    "fusion.spatial_attn3": "tsa_fusion.sAtt_3",
    "fusion.spatial_attn4": "tsa_fusion.sAtt_4",
    "fusion.spatial_attn5": "tsa_fusion.sAtt_5",
    "fusion": "tsa_fusion",
    "reconstruction": "recon_trunk",
    "conv_hr": "HRconv",
}
"""Ours (BasicSR's), and the first EDVR code's names: codes/models/modules/EDVR_arch.py."""

FULL_SIZE = {
    "predeblur.conv_first": "pre_deblur.conv_first_1",
    "predeblur.stride_conv_hr1": "pre_deblur.conv_first_2",
    "predeblur.stride_conv_hr2": "pre_deblur.conv_first_3",
}
"""The same, where frames have the output's size."""


def in_first_code(key: str, hr_in: bool) -> str:
    names = {**FIRST_CODE, **(FULL_SIZE if hr_in else {})}
    best = max((name for name in names if key.startswith(f"{name}.")), key=len, default="")
    return key.replace(best, names[best], 1) if best else key


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"with_tsa": False},
        {"with_predeblur": True},
        {"with_predeblur": True, "hr_in": True},
        {"hr_in": True},
    ],
)
def test_a_checkpoint_of_the_first_edvr_code_is_the_same_network(
    options: dict[str, Any], tmp_path: Path
) -> None:
    weights = awakened(EDVR(**SMALL_EDVR, **options)).state_dict()
    hr_in = options.get("hr_in", False)
    torch.save({in_first_code(k, hr_in): v for k, v in weights.items()}, tmp_path / "first.pth")
    loaded = load_network(str(tmp_path / "first.pth"))
    assert loaded.facts.scale == (1 if hr_in else 4)
    assert loaded.state_dict().keys() == weights.keys()
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in weights.items())


def test_the_layout_is_guessed_from_the_names() -> None:
    ours = list(basicvsr().state_dict())
    assert likely_layout(ours) == "BasicSR"
    assert likely_layout(f"generator.{key}" for key in ours) == "mmagic"
    assert likely_layout(f"module.generator_ema.{key}" for key in ours) == "mmagic"
    assert likely_layout(key.replace("_trunk", "_resblocks") for key in ours) == "mmagic"
    assert likely_layout(["recon_trunk.0.conv1.weight"]) == "the first EDVR code"
    assert likely_layout(["conv.weight"]) is None


def test_wrappers_of_parallel_training_are_taken_off() -> None:
    weights = {f"module.{key}": value for key, value in basicvsr().state_dict().items()}
    assert to_basicsr(weights).keys() == basicvsr().state_dict().keys()


@pytest.mark.parametrize(
    "name",
    [
        "basicvsr",
        "iconvsr_pad3",
        "edvr_m",
        "edvr_m_wotsa",
        "basicvsrpp",
        "basicvsrpp_c128n25_hr",
        "realbasicvsr",
    ],
)
def test_weights_go_back_under_openmmlabs_names(name: str, shared: Path) -> None:
    """The other program loads them strictly: no name missing, none too many."""
    layouts = published_layouts(shared)
    ours = {key: torch.empty(shape) for key, shape in layouts["basicsr"][name].items()}
    theirs = {key: list(value.shape) for key, value in to_openmmlab(ours).items()}
    assert theirs == layouts["mmagic"][name]


@pytest.mark.parametrize(("layout", "published"), [("esrgan", "esrgan_old"), ("esrgan-2019",) * 2])
def test_weights_go_back_under_esrgans_names(layout: str, published: str, shared: Path) -> None:
    layouts = json.loads((shared / "oracle" / "layouts_image.json").read_text())
    shapes = layouts["basicsr"]["realesrgan_x4plus"]
    named = to_esrgan({key: torch.empty(shape) for key, shape in shapes.items()}, layout)
    expected = layouts[published.replace("-", "_")]["esrgan_x4"]
    assert {key: list(value.shape) for key, value in named.items()} == expected


def published_layouts(shared: Path) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Names and shapes by code base and network."""
    files = ("layouts", "layouts_basicvsrpp")
    read = [json.loads((shared / "oracle" / f"{file}.json").read_text()) for file in files]
    return {base: read[0][base] | read[1][base] for base in ("basicsr", "mmagic")}
