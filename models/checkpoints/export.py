"""Weights for other programs: pickled, in the layout that each of them reads.

basicsr      {"params": …}, BasicSR's names; Real-ESRGAN's program, too
mmagic       {"state_dict": …}, OpenMMLab's names behind ``generator.``
esrgan       bare, ESRGAN's names of 2018, which most community models have
esrgan-2019  bare, ESRGAN's names of 2019
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.files import written_whole
from vsr.models.checkpoints.key_mapping import to_esrgan, to_openmmlab
from vsr.models.network import Network

PUBLISHED = frozenset({"basicvsr", "iconvsr", "basicvsrpp", "realbasicvsr", "edvr"})
"""Networks of which both BasicSR and OpenMMLab have code."""

READERS: dict[str, frozenset[str]] = {
    "basicsr": PUBLISHED - {"realbasicvsr"} | {"rrdbnet", "srvgg"},
    "mmagic": PUBLISHED | {"rrdbnet"},
    "esrgan": frozenset({"rrdbnet"}),
    "esrgan-2019": frozenset({"rrdbnet"}),
}
"""The networks that each layout is known for."""

FOREIGN: dict[str, tuple[str, ...]] = {
    "basicsr": ("conv_first_1.",),
    "mmagic": ("conv_first_1.", "predeblur.", "conv_1x1."),
    "esrgan": (),
    "esrgan-2019": (),
}
"""Beginnings of parameters of those networks that the program of a layout has no part for."""


def export(
    network: Network[Any], path: Path, layout: str, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a network's weights in the layout of another program.

    Args:
        network: One of ``READERS[layout]``.
        path: File to write; replaced if it exists, and always whole under its name.
        layout: A key of ``READERS``.
        dtype: Floating-point type of the values.

    Raises:
        ConfigurationError: The other program has no such network, or not all parts of it.
        OpenError: The file cannot be written; an existing one is unchanged.
    """
    if network.facts.name not in READERS[layout]:
        known = ", ".join(name for name, nets in READERS.items() if network.facts.name in nets)
        raise ConfigurationError(
            f"layout {layout!r} has no names for {network.facts.name}; "
            f"give {known or 'a name.safetensors'}"
        )
    foreign = next((key for key in network.state_dict() if key.startswith(FOREIGN[layout])), None)
    if foreign is not None:
        raise ConfigurationError(
            f"layout {layout!r} has no name for {foreign}, a part of this network that the other "
            "program lacks; give a name.safetensors"
        )
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in network.state_dict().items()
        if "ranges." not in key  # of the int8 form, which is ours alone
    }
    with written_whole(path) as part:
        torch.save(_laid_out(tensors, layout, network.facts.name), part)


def _laid_out(tensors: Mapping[str, Tensor], layout: str, architecture: str) -> dict[str, Any]:
    if layout == "basicsr":
        return {"params": dict(tensors)}
    if layout == "mmagic":
        # Its configurations of RealBasicVSR look for the averaged weights.
        prefix = "generator_ema." if architecture == "realbasicvsr" else "generator."
        named = {f"{prefix}{key}": value for key, value in to_openmmlab(tensors).items()}
        return {"meta": {}, "state_dict": named}
    return to_esrgan(tensors, layout)
