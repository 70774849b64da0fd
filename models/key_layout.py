"""Names of weights: the layouts of other code bases turned into BasicSR's, which ours are.

BasicSR      backward_trunk.main.2.0.conv1.weight     as it is
OpenMMLab    generator.backward_resblocks.main.2.0.conv1.weight     (mmagic, mmediting)
parallel     module.…                                 wrapped by a data-parallel trainer
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

SKIPPED = frozenset({"step_counter"})
"""Counters of training code that are stored among the weights."""

_AVERAGED, _PRESENT = "generator_ema.", "generator."

_RENAMED = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^module\.", ""),
        (r"^generator(_ema)?\.", ""),
        (r"(backward|forward)_resblocks\.", r"\1_trunk."),
        (r"upsample([12])\.upsample_conv\.", r"upconv\1."),
        (r"feat_l([23])_conv([12])\.conv\.", r"conv_l\1_\2."),
        (r"pcd_alignment\.", "pcd_align."),
        (r"(offset_conv[123]\.l[123]|feat_conv\.l[12]|cas_offset_conv[12])\.conv\.", r"\1."),
        (r"(feat_fusion|spatial_attn\d|spatial_attn_l[123]|spatial_attn_add1)\.conv\.", r"\1."),
    )
]

_FLOW_CONV = re.compile(r"(basic_module\.\d+\.basic_module\.)(\d+)\.conv\.")


def to_basicsr(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under BasicSR's names; those that have them already stay as they are.

    Where a file holds averaged weights beside the last ones, only the averaged ones are kept.
    """
    averaged = any(key.startswith(_AVERAGED) for key in weights)
    return {
        _rename(key): value
        for key, value in weights.items()
        if key not in SKIPPED and not (averaged and key.startswith(_PRESENT))
    }


def _rename(key: str) -> str:
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    # OpenMMLab numbers a flow level's convolutions, BasicSR the activations between them too.
    return _FLOW_CONV.sub(lambda found: f"{found[1]}{2 * int(found[2])}.", key)
