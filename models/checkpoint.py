"""Weights in files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from vsr.models.network import Network


def save_network(network: Network[Any], options: Mapping[str, Any], path: Path) -> None:
    """Write weights as float16 safetensors, with what is needed to build the network again.

    The file appears under its name only when it is whole.
    """
    tensors = {k: v.detach().cpu().to(torch.float16).contiguous() for k, v in network.state_dict().items()}
    metadata = {"architecture": network.facts.name, "options": json.dumps(dict(options))}
    part = path.with_name(f".{path.name}.part")
    save_file(tensors, part, metadata)
    os.replace(part, path)
