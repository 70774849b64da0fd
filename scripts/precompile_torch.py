"""Compile torch's C++ headers once: ``python -m scripts.precompile_torch torch.h``.

mmcv's ops are 80 small files that each include all of torch: parsing it takes five times as long as
the rest of them. With ``-include torch.h`` among its ``CFLAGS`` GCC reads what is compiled here
instead, where the others are those of this program; other compilers and other flags fall back to
the header itself, so that the ops are the same either way.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from torch.utils.cpp_extension import include_paths

LIKE_TORCH = (
    "-fPIC",
    "-std=c++17",
    "-DTORCH_API_INCLUDE_EXTENSION_H",
    "-DTORCH_EXTENSION_NAME=_ext",
)


def main() -> None:
    """Write the header, and its precompiled form beside it."""
    header = Path(sys.argv[1])
    header.write_text("#include <torch/types.h>\n", encoding="utf-8")
    folders = [*include_paths(), sysconfig.get_path("include")]
    subprocess.run(
        [
            os.environ.get("CXX", "c++"),
            *shlex.split(os.environ.get("CFLAGS", "")),
            *(f"-I{folder}" for folder in folders),
            *LIKE_TORCH,
            *("-x", "c++-header", str(header), "-o", f"{header}.gch"),
        ],
        check=True,
    )


if __name__ == "__main__":
    main()
