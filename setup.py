"""The native kernels: an extension that may fail to build, for the NumPy reference gives the same numbers."""

import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCES = "src/leadlight/kernels/csrc"

# Fused multiply-adds would round once where the reference rounds twice.
EXACT = [] if sys.platform == "win32" else ["-std=c11", "-O3", "-ffp-contract=off"]

setup(
    ext_modules=[
        Extension(
            "leadlight.kernels._native",
            sources=[path.as_posix() for path in sorted(Path(SOURCES).glob("*.c"))],
            depends=[path.as_posix() for path in sorted(Path(SOURCES).glob("*.h"))],
            extra_compile_args=EXACT,
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
