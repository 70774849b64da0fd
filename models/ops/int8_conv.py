"""Convolutions on 8-bit integers: half the time of bfloat16 on a CPU with VNNI or AMX.

On other x86 CPUs they take about two thirds of float32's time. Their instruction adds two
products in 16 bits, where weights of 8 bits would overflow: weights have 7 bits there.

Inputs are measured in steps, one for each feature: a *level* is an integer, -128 to 127, and
means that many steps. Steps of what enters and of what leaves are multiplied into the weights,
which have a step of their own for each output, so that nothing is scaled while the network runs.
oneDNN wants its input unsigned; levels are kept signed, where nothing is nothing.

B batch, K features in, N out, H, W size.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

HIGHEST = 127
"""Highest level; one below its negative is the lowest."""

ZERO = 128
"""Zero point of unsigned levels."""

HIGHEST_POSITIVE = 255
"""Level of the largest number where none is negative."""


HIGHEST_WEIGHT_WITHOUT_VNNI = 63
"""Level of the largest weight where two products are added in 16 bits: 2 x 63 x 255 < 2^15."""


def runs_int8(device: torch.device) -> bool:
    """Whether a device has instructions for it, and PyTorch the operations."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and hasattr(torch.ops.onednn, "qconv2d_pointwise")
    )


def is_fast_at_int8(device: torch.device) -> bool:
    """Whether it is the fastest that the device has: a CPU with VNNI or AMX."""
    return runs_int8(device) and bool(torch.cpu._is_vnni_supported())


def _highest_weight() -> int:
    return HIGHEST if torch.cpu._is_vnni_supported() else HIGHEST_WEIGHT_WITHOUT_VNNI


def to_levels(steps_BKHW: Tensor) -> Tensor:
    """Numbers of steps (float32 or bfloat16, overwritten) as levels (int8)."""
    return steps_BKHW.round_().clamp_(-ZERO, HIGHEST).to(torch.int8)


def unsigned(levels_BKHW: Tensor) -> Tensor:
    """Levels as oneDNN takes them: uint8 with zero point 128."""
    return levels_BKHW.view(torch.uint8).bitwise_xor(ZERO)


def signed(levels_BKHW: Tensor) -> Tensor:
    """Unsigned levels (overwritten) as signed ones."""
    return levels_BKHW.bitwise_xor_(ZERO).view(torch.int8)


def in_steps(conv: nn.Conv2d, steps_K: Tensor) -> nn.Conv2d:
    """A convolution of plain numbers whose results are numbers of steps, a copy."""
    scaled = copy.deepcopy(conv)
    assert scaled.bias is not None
    with torch.no_grad():
        scaled.weight /= steps_K.view(-1, 1, 1, 1)
        scaled.bias /= steps_K
    return scaled


class Int8Conv(nn.Module):
    """A convolution of unsigned levels.

    Args:
        conv: The float convolution; a bias is used, groups are not.
        steps_K: Steps of the input.
        steps_N: Steps of the output; None for unquantised numbers.
        zero: Zero point of the input, 0 or 128.
    """

    def __init__(
        self, conv: nn.Conv2d, steps_K: Tensor, steps_N: Tensor | None = None, *, zero: int = ZERO
    ) -> None:
        super().__init__()
        weight = conv.weight.detach().float() * steps_K.view(1, -1, 1, 1)
        assert conv.bias is not None
        bias = conv.bias.detach().float()
        if steps_N is not None:
            weight, bias = weight / steps_N.view(-1, 1, 1, 1), bias / steps_N
        steps = weight.abs().amax((1, 2, 3)).clamp(min=1e-12) / _highest_weight()
        levels = (weight / steps.view(-1, 1, 1, 1)).round().to(torch.int8)
        self.register_buffer("weight", levels)
        self.register_buffer("bias", bias)
        self.register_buffer("steps", steps)
        self.register_buffer("zeros", torch.zeros(len(steps), dtype=torch.int32))
        self.zero = zero
        self.geometry = (list(conv.stride), _padding(conv), list(conv.dilation), conv.groups)
        self._packed: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without oneDNN's packed weights, which cannot be copied."""
        return {**self.__dict__, "_packed": None}

    def relu_levels(self, levels_BKHW: Tensor, *, zero: int = 0) -> Tensor:
        """ReLU of the convolution as unsigned levels with this zero point."""
        return self._convolve(levels_BKHW, zero, torch.uint8, "relu")

    def add_to_levels(self, levels_BKHW: Tensor, sum_BNHW: Tensor) -> Tensor:
        """The convolution added in place to unsigned levels of the same steps, zero point 128."""
        return self._add(levels_BKHW, sum_BNHW, ZERO)

    def add_to(self, levels_BKHW: Tensor, sum_BNHW: Tensor) -> Tensor:
        """The convolution added in place to unquantised numbers, channels-last; a copy of these.

        They are float32 or bfloat16. The operation makes the copy in any case.
        """
        return self._add(levels_BKHW, sum_BNHW, 0)

    def numbers(self, levels_BKHW: Tensor, dtype: torch.dtype) -> Tensor:
        """The convolution as unquantised numbers, float32 or bfloat16."""
        return self._convolve(levels_BKHW, 0, dtype, "none")

    def _convolve(self, levels_BKHW: Tensor, zero: int, dtype: torch.dtype, then: str) -> Tensor:
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            *self._operands(levels_BKHW), self.get_buffer("bias"), *self.geometry,
            1.0, zero, dtype, then, [], "",
        )  # fmt: skip
        return result

    def _add(self, levels_BKHW: Tensor, sum_BNHW: Tensor, zero: int) -> Tensor:
        result: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            *self._operands(levels_BKHW), sum_BNHW, self.get_buffer("bias"), *self.geometry,
            1.0, zero, sum_BNHW.dtype, 1.0, zero, "sum", 1.0, "none", [], "",
        )  # fmt: skip
        return result

    def _operands(self, levels_BKHW: Tensor) -> tuple[Any, ...]:
        """Input and weights with step and zero of each."""
        steps, zeros = self.get_buffer("steps"), self.get_buffer("zeros")
        return (levels_BKHW, 1.0, self.zero, self._pack(), steps, zeros)

    def _pack(self) -> Tensor:
        """The weights in oneDNN's order, made when they are first needed."""
        weight = self.get_buffer("weight")
        if weight.is_meta:
            return weight
        if self._packed is None:
            self._packed = torch.ops.onednn.qconv_prepack(
                weight, self.get_buffer("steps"), 1.0, self.zero, *self.geometry, None
            )
        return self._packed


def _padding(conv: nn.Conv2d) -> list[int]:
    assert isinstance(conv.padding, tuple)
    return list(conv.padding)
