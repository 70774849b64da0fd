"""From measurements to severities: a small ensemble of regressions.

N samples, E members, F features, K hidden units, S severities.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from vsr.assessment.features import NUM_FEATURES
from vsr.errors import CheckpointError
from vsr.models.catalogue import SHIPPED
from vsr.models.checkpoints.checkpoint import read_weights, write_tensors

LEARNT = ("coding", "noise", "blur", "enlarged")
"""Severities that are estimated from measurements, in the order of outputs."""

WEIGHTS = SHIPPED / "assessor.safetensors"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Severities of samples and the agreement of the members, (N, S) each, in [0, 1]."""

    severity: Tensor
    confidence: Tensor


class Assessor(nn.Module):
    """An ensemble of perceptrons with two hidden layers, on standardised features.

    Args:
        members: E.
        hidden: K.
    """

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, *, members: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(NUM_FEATURES))
        self.register_buffer("scale_F", torch.ones(NUM_FEATURES))
        sizes = (NUM_FEATURES, hidden, hidden, len(LEARNT))
        self.weights = nn.ParameterList(
            torch.randn(members, a, b) * (2 / a) ** 0.5 for a, b in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(members, 1, b) for b in sizes[1:])

    def forward(self, features: Tensor) -> Tensor:
        """Severities of each member, (E, N, S), not clamped, of (N, F) or of (E, N, F)."""
        values = ((features - self.mean_F) / self.scale_F).clamp(-6, 6)
        values = values.expand(len(self.weights[0]), -1, -1)
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            values = torch.tanh(torch.baddbmm(bias, values, weight))
        return torch.baddbmm(last[1], values, last[0])

    @torch.inference_mode()
    def estimate(self, features_NF: Tensor) -> Estimate:
        """Mean of the members, and one minus four times their spread."""
        members = self(features_NF)
        return Estimate(
            severity=members.mean(0).clamp(0, 1),
            confidence=(1 - 4 * members.std(0)).clamp(0, 1),
        )


def load_assessor(path: Path = WEIGHTS) -> Assessor:
    """Load trained weights, frozen.

    Raises:
        CheckpointError: The file is missing, damaged, or not of an assessor.
    """
    tensors = read_weights(path)
    try:
        members, _, hidden = tensors["weights.0"].shape
        assessor = Assessor(members=members, hidden=hidden)
        assessor.load_state_dict(dict(tensors))
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"'{path}' is not of an assessor; give what `vsr train configs/assess.toml` has written"
        ) from error
    return assessor.eval().requires_grad_(False)


def save_assessor(assessor: Assessor, path: Path, **facts: object) -> None:
    """Write weights as safetensors, with facts about their training as JSON."""
    tensors = {name: tensor.contiguous() for name, tensor in assessor.state_dict().items()}
    write_tensors(tensors, path, metadata={"facts": json.dumps(facts)})
