"""What a run says of its machine: versions, time and memory; no host, no user, no path."""

from __future__ import annotations

import json
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from leadlight._version import __version__

PACKAGES: Final = (
    "duckdb",
    "joblib",
    "lightgbm",
    "matplotlib",
    "mlflow",
    "narwhals",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "shap",
    "threadpoolctl",
)


def environment_of() -> dict[str, Any]:
    """Return the versions that decide a result."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "leadlight": __version__,
        "kernels": _kernels(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": found,
    }


def environment_file() -> bytes:
    """Return `environment_of` as a JSON file."""
    return (json.dumps(environment_of(), indent=1) + "\n").encode()


def peak_memory_mb() -> float:
    """Return the most memory that this process has held so far, in megabytes (2**20 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _kernels() -> str:
    from leadlight.kernels.native import native_kernels

    return "reference" if native_kernels() is None else "native"
