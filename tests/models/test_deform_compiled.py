"""The Triton kernels of deformable convolution compile for CUDA; no device is needed for that."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)
if os.environ.get("TRITON_INTERPRET"):
    pytest.skip("Triton's interpreter is on, which compiles nothing", allow_module_level=True)

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from vsr.models.ops.deform_conv import triton_backend as deform_triton

# What Triton 3.9 says of a default that will be another.
pytestmark = pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION:UserWarning")

KERNELS = ("_sample_kernel", "_gradient_kernel")
HOPPER = GPUTarget("cuda", 90, 32)
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}


class Compiled:
    """Stands where a kernel is launched, and compiles it for what the launcher hands over."""

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.code = kernel, b""

    def __getitem__(self, launch: object) -> Compiled:
        return self

    def __call__(self, *args: Tensor | int) -> None:
        signature, constants = {}, {}
        for parameter, arg in zip(self.kernel.params, args, strict=True):
            if isinstance(arg, Tensor):
                signature[parameter.name] = POINTERS[arg.dtype]
            elif parameter.is_constexpr or arg == 1:
                # A number that is 1 becomes a constant of the kernel.
                signature[parameter.name], constants[parameter.name] = "constexpr", arg
            else:
                signature[parameter.name] = "i32"
        source = ASTSource(fn=self.kernel, signature=signature, constexprs=constants)
        self.code = triton.compile(source, target=HOPPER).asm["cubin"]


@pytest.mark.parametrize("dtype", POINTERS)
@pytest.mark.parametrize(("side", "features", "groups"), [(9, 12, 4), (1, 1, 1)])
def test_both_kernels_compile(
    dtype: torch.dtype,
    side: int,
    features: int,
    groups: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernels = {name: Compiled(getattr(deform_triton, name)) for name in KERNELS}
    for name, kernel in kernels.items():
        monkeypatch.setattr(deform_triton, name, kernel)
    feat = torch.zeros(1, features, side, side, dtype=dtype, requires_grad=True)
    offset, mask = torch.zeros(1, 18 * groups, side, side), torch.zeros(1, 9 * groups, side, side)
    columns = deform_triton._Sample.apply(feat, offset, mask, 3)  # type: ignore[no-untyped-call]
    columns.backward(torch.zeros_like(columns))
    assert all(kernel.code for kernel in kernels.values())
