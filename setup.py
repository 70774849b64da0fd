"""The one part that is compiled: see pyproject.toml for all others.

Where it cannot be, for want of a compiler or of Python's headers, the installation goes on without
it, and torch does what it does.
"""

import sysconfig
import tempfile

from setuptools import Extension, setup

# One wheel for all versions of Python, which those without a GIL cannot load yet.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")

COMPILED = Extension(
    "vsr.streams._yuv",
    ["streams/_yuv.c"],
    depends=["streams/_yuv_rows.h"],
    extra_compile_args=["-O3"],
    py_limited_api=True,
    optional=True,
)

# What an earlier installation left in build/ would be packed again, modules that are gone included.
BUILD = tempfile.TemporaryDirectory(prefix="vsr-build-")
OPTIONS = {"build": {"build_base": BUILD.name}}
if LIMITED_API:
    OPTIONS["bdist_wheel"] = {"py_limited_api": "cp311"}

setup(
    ext_modules=[COMPILED] if LIMITED_API else [],
    options=OPTIONS,
)
