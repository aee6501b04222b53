"""How much memory a process of a test held at most."""

from pathlib import Path

import pytest

# Not ru_maxrss, which a process inherits from the one that started it.
PEAK_BYTES = """
def peak():
    lines = open("/proc/self/status")
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
"""
"""What a program that is run by a test begins with, to ask for its own peak."""

needs_peak = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system does not say how much was held"
)
