"""Every kernel in turn."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import pytest

KERNELS = ("reference", "native") if find_spec("leadlight.kernels._native") else ("reference",)
"""Values of LEADLIGHT_KERNELS under which tests of equality run: all that were built."""


@pytest.fixture(scope="session")
def kernels():
    """Context managers, one for each kernel: what is computed inside is computed with it."""
    return [partial(_using, name) for name in KERNELS]


@contextmanager
def _using(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADLIGHT_KERNELS", name)
        if name == "native":
            # It hands what is beyond its bounds to the reference, which would then be compared with itself.
            patch.setattr("leadlight.kernels.sweep_reference.sweep", _refuse)
        yield name


def _refuse(*args, **more):
    raise RuntimeError("The native kernel left its work to the reference.")
