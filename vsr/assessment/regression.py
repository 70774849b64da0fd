"""From frames to severities: measurements and a small convolutional network, and a regression.

N samples, P pairs of frames, D numbers that describe a sample, S severities, H, W size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.assessment.features import LUMA, NUM_FEATURES, measure
from vsr.errors import CheckpointError
from vsr.models.catalogue import SHIPPED
from vsr.models.checkpoints.checkpoint import read_weights, write_tensors

LEARNT = ("coding", "noise", "blur", "enlarged")
"""Severities that are estimated, in the order of outputs."""

WEIGHTS = SHIPPED / "assessor.safetensors"

UNIT = 8.0
"""Levels of 8 bits that are 1 for the network."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Severities of samples and the confidence in them, (N, S) each, in [0, 1]."""

    severity: Tensor
    confidence: Tensor


class Look(nn.Module):
    """What a network sees of two consecutive frames: mean and deviation of its last features.

    Args:
        channels: Features of its four layers.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        a, b, c, d = channels
        self.first = nn.Conv2d(2, a, 5, 2, 2)
        self.layers = nn.ModuleList(
            (nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 1, 1), nn.Conv2d(c, d, 3, 2, 1))
        )

    def forward(self, luma_P2HW: Tensor) -> Tensor:
        """(P, 2 d), of luma in levels of 8 bits."""
        with torch.autocast(luma_P2HW.device.type, enabled=False):  # levels need all their digits
            first, change = luma_P2HW[:, :1], luma_P2HW[:, 1:] - luma_P2HW[:, :1]
            first = first - first.mean((2, 3), keepdim=True)
            seen = self.first(torch.cat((first, change), 1) / UNIT)
            # Noise of a level has to count beside edges of a hundred.
            seen = seen.sign() * seen.abs().log1p()
        for layer in self.layers:
            seen = F.relu(layer(seen))
        seen = seen.float()
        return torch.cat((seen.mean((2, 3)), seen.flatten(2).std(2)), 1)


class Assessor(nn.Module):
    """A regression on measurements of a sample and on what a network sees of its frames.

    Args:
        channels: See ``Look``.
        hidden: Units of each of the two hidden layers of the regression.
    """

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, *, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(NUM_FEATURES))
        self.register_buffer("scale_F", torch.ones(NUM_FEATURES))
        self.look = Look(channels)
        self.first = nn.Linear(NUM_FEATURES + 2 * channels[-1], hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2 * len(LEARNT))

    def describe(self, frames: Tensor) -> Tensor:
        """(D,): measurements of frames, and the mean of what is seen of their pairs.

        Gradients pass through what is seen alone: measurements pick single blocks and pixels.

        Args:
            frames: (T, 3, H, W) in [0, 1], at least 2 frames, sides of at least 64.
        """
        weights = torch.tensor(LUMA, device=frames.device).view(3, 1, 1)
        luma_THW = (255 * frames.float() * weights).sum(1)
        pairs_P2HW = luma_THW[: len(luma_THW) // 2 * 2].view(-1, 2, *luma_THW.shape[1:])
        return torch.cat((measure(frames.detach()).to(luma_THW), self.look(pairs_P2HW).mean(0)))

    def forward(self, described_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Severities, not clamped, and their expected errors: (N, S) each."""
        measured_NF, seen = described_ND.tensor_split([NUM_FEATURES], dim=1)
        measured_NF = ((measured_NF - self.mean_F) / self.scale_F).clamp(-6, 6)
        values = F.silu(self.first(torch.cat((measured_NF, seen), 1)))
        severity_NS, error_NS = self.last(F.silu(self.second(values))).chunk(2, 1)
        return severity_NS, error_NS

    @torch.inference_mode()
    def estimate(self, described_ND: Tensor) -> Estimate:
        """Severities, and one minus four times their expected errors."""
        severity_NS, error_NS = self(described_ND)
        return Estimate(severity=severity_NS.clamp(0, 1), confidence=(1 - 4 * error_NS).clamp(0, 1))


def load_assessor(path: Path = WEIGHTS) -> Assessor:
    """Load trained weights, frozen.

    Raises:
        CheckpointError: The file is missing, damaged, or not of an assessor.
    """
    tensors = read_weights(path)
    try:
        names = ("look.first", *(f"look.layers.{i}" for i in range(3)))
        channels = [len(tensors[f"{name}.bias"]) for name in names]
        assessor = Assessor(channels=channels, hidden=len(tensors["first.bias"]))
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
