"""Mapping the weight names of other code bases to BasicSR's, which are ours.

BasicSR      backward_trunk.main.2.0.conv1.weight     as it is
OpenMMLab    generator.backward_resblocks.main.2.0.conv1.weight     (mmagic, mmediting)
EDVR         recon_trunk.0.conv1.weight               the first code, github.com/xinntao/EDVR
ESRGAN       RRDB_trunk.0.RDB1.conv1.weight           its code of 2019
             model.1.sub.0.RDB1.conv1.0.weight        its code of 2018, and others since
parallel     module.…                                 wrapped by a data-parallel trainer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

SKIPPED = frozenset({"step_counter"})
"""Counters of training code that are stored among the weights."""

_PREFIXES = ("generator_ema.", "generator.")
"""Prefixes of the generator among a trainer's weights, the averaged ones first."""

_OPENMMLAB = (
    (r"(backward|forward)_resblocks\.", r"\1_trunk."),
    (r"upsample([12])\.upsample_conv\.", r"upconv\1."),
    (r"feat_l([23])_conv([12])\.conv\.", r"conv_l\1_\2."),
    (r"pcd_alignment\.", "pcd_align."),
    (r"(offset_conv[123]\.l[123]|feat_conv\.l[12]|cas_offset_conv[12])\.conv\.", r"\1."),
    (r"(feat_fusion|spatial_attn\d|spatial_attn_l[123]|spatial_attn_add1)\.conv\.", r"\1."),
)

_EDVR_2019 = (
    (r"pre_deblur\.conv_first(_1)?\.", "predeblur.conv_first."),
    (r"pre_deblur\.conv_first_2\.", "predeblur.stride_conv_hr1."),
    (r"pre_deblur\.conv_first_3\.", "predeblur.stride_conv_hr2."),
    (r"pre_deblur\.deblur_L([23])_conv\.", r"predeblur.stride_conv_l\1."),
    (r"pre_deblur\.RB_L3_1\.", "predeblur.resblock_l3."),
    (r"pre_deblur\.RB_L2_([12])\.", r"predeblur.resblock_l2_\1."),
    *((rf"pre_deblur\.RB_L1_{i + 1}\.", f"predeblur.resblock_l1.{i}.") for i in range(5)),
    (r"fea_L([23])_conv([12])\.", r"conv_l\1_\2."),
    (r"L([123])_dcnpack\.", r"dcn_pack.l\1."),
    (r"\.conv_offset_mask\.", ".conv_offset."),
    (r"L([123])_offset_conv([123])\.", r"offset_conv\2.l\1."),
    (r"L([12])_fea_conv\.", r"feat_conv.l\1."),
    (r"tsa_fusion\.", "fusion."),
    # The one for the reference frame comes first in BasicSR, second in the first code.
    (r"tAtt_1\.", "temporal_attn2."),
    (r"tAtt_2\.", "temporal_attn1."),
    (r"fea_fusion\.", "feat_fusion."),
    (r"sAtt_L([123])\.", r"spatial_attn_l\1."),
    (r"sAtt_add_([12])\.", r"spatial_attn_add\1."),
    (r"sAtt_([1-5])\.", r"spatial_attn\1."),
    (r"recon_trunk\.", "reconstruction."),
    (r"HRconv\.", "conv_hr."),
)

_LAYOUTS = {
    name: [(re.compile(pattern), replacement) for pattern, replacement in patterns]
    for name, patterns in (("mmagic", _OPENMMLAB), ("the first EDVR code", _EDVR_2019))
}

_ESRGAN = {
    "RRDB_trunk.": (
        (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
        (r"^trunk_conv\.", "conv_body."),
        (r"^upconv([12])\.", r"conv_up\1."),
        (r"^HRconv\.", "conv_hr."),
    ),
    "model.1.sub.": (
        (r"^model\.0\.", "conv_first."),
        (r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
        (r"^model\.1\.sub\.\d+\.(weight|bias)$", r"conv_body.\1"),
        (r"^model\.3\.", "conv_up1."),
        (r"^model\.6\.", "conv_up2."),
        (r"^model\.8\.", "conv_hr."),
        (r"^model\.10\.", "conv_last."),
    ),
}
"""Substitutions for ESRGAN's two layouts, by the beginning of a key of each. Their other names mean
other things elsewhere: ``upconv1`` is BasicVSR's, too."""

_TO_OPENMMLAB = (
    (r"(backward|forward)_trunk\.", r"\1_resblocks."),
    (r"upconv([12])\.", r"upsample\1.upsample_conv."),
    (r"\bconv_l([23])_([12])\.", r"feat_l\1_conv\2.conv."),
    (r"pcd_align\.", "pcd_alignment."),
    (r"(\boffset_conv[123]\.l[123]|feat_conv\.l[12]|cas_offset_conv[12])\.", r"\1.conv."),
    (r"(feat_fusion|spatial_attn(?:[1-4]|_l[123]|_add1))\.", r"\1.conv."),
)
"""The way back; OpenMMLab's names have ``.conv`` where an activation follows."""

_TO_ESRGAN = {
    "esrgan-2019": (
        (r"^body\.(\d+)\.rdb(\d)\.", r"RRDB_trunk.\1.RDB\2."),
        (r"^conv_body\.", "trunk_conv."),
        (r"^conv_up([12])\.", r"upconv\1."),
        (r"^conv_hr\.", "HRconv."),
    ),
    "esrgan": (
        (r"^conv_first\.", "model.0."),
        (r"^body\.(\d+)\.rdb(\d)\.conv(\d)\.", r"model.1.sub.\1.RDB\2.conv\3.0."),
        (r"^conv_up1\.", "model.3."),
        (r"^conv_up2\.", "model.6."),
        (r"^conv_hr\.", "model.8."),
        (r"^conv_last\.", "model.10."),
    ),
}

_BASICSR = re.compile(r"(_trunk|pcd_align|basic_module\.\d|reconstruction|image_cleaning|rdb1)\.")

_FLOW_LAYER = re.compile(r"(basic_module\.\d+\.basic_module\.)(\d+)\.")

_FLOW_CONV = re.compile(r"(basic_module\.\d+\.basic_module\.)(\d+)\.conv\.")


def to_basicsr(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under BasicSR's names; those that have them already stay as they are.

    Of a trainer's file only the generator is kept, averaged weights rather than the last ones.
    """
    for prefix in _PREFIXES:
        if chosen := {k: v for k, v in weights.items() if _unwrapped(k).startswith(prefix)}:
            weights = {_unwrapped(k).removeprefix(prefix): v for k, v in chosen.items()}
            break
    if (esrgan := _esrgan_layout(weights)) is not None:
        return {_substituted(_unwrapped(key), esrgan): value for key, value in weights.items()}
    return {_rename(key): value for key, value in weights.items() if key not in SKIPPED}


def to_openmmlab(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by BasicSR's names, under those of mmagic and mmediting; without a prefix."""
    renamed = {_substituted(key, _TO_OPENMMLAB): value for key, value in weights.items()}
    return {
        _FLOW_LAYER.sub(lambda found: f"{found[1]}{int(found[2]) // 2}.conv.", key): value
        for key, value in renamed.items()
    }


def to_esrgan(weights: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Weights of RRDBNet under ESRGAN's own names.

    Args:
        weights: By BasicSR's names.
        layout: ``esrgan`` for those of 2018, which most community models have, or ``esrgan-2019``.
    """
    blocks = {key.split(".")[1] for key in weights if key.startswith("body.")}
    patterns = (*_TO_ESRGAN[layout], (r"^conv_body\.", f"model.1.sub.{len(blocks)}."))
    return {_substituted(key, patterns): value for key, value in weights.items()}


def likely_layout(names: Iterable[str]) -> str | None:
    """The code base whose key names these most likely are; None if unknown."""
    names = list(names)
    if any(_unwrapped(name).startswith(_PREFIXES) for name in names):
        return "mmagic"
    if _esrgan_layout(names) is not None:
        return "ESRGAN"
    for layout, patterns in _LAYOUTS.items():
        if any(pattern.search(name) for pattern, _ in patterns for name in names):
            return layout
    return "BasicSR" if any(_BASICSR.search(name) for name in names) else None


def _esrgan_layout(names: Iterable[str]) -> Sequence[tuple[str, str]] | None:
    """Substitutions for that of ESRGAN's layouts which the names have; None if neither."""
    names = [_unwrapped(name) for name in names]
    for beginning, patterns in _ESRGAN.items():
        if any(name.startswith(beginning) for name in names):
            return patterns
    return None


def _substituted(key: str, patterns: Iterable[tuple[str | re.Pattern[str], str]]) -> str:
    for pattern, replacement in patterns:
        key = re.sub(pattern, replacement, key)
    return key


def _rename(key: str) -> str:
    key = _substituted(_unwrapped(key), (pair for pairs in _LAYOUTS.values() for pair in pairs))
    # OpenMMLab numbers a flow level's convolutions, BasicSR the activations between them too.
    return _FLOW_CONV.sub(lambda found: f"{found[1]}{2 * int(found[2])}.", key)


def _unwrapped(key: str) -> str:
    return key.removeprefix("module.")
