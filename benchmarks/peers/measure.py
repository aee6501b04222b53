"""CPU seconds, wall seconds and peak memory of rivals that take turns, and the machine they ran on."""

import contextlib
import ctypes
import gc
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PEAK = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Measured:
    """Medians of `runs` runs: CPU and wall seconds, and by how many GB memory rose (None where the system cannot say)."""

    cpu: float
    wall: float
    peak: float | None
    runs: int


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, all its threads, and the children it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def take_turns(
    rivals: Mapping[str, Callable[[], Any]], *, runs: int = 3, enough: float = 120.0, warm: bool = True
) -> dict[str, Measured]:
    """Run the rivals in turn, one warm-up round, then `runs` rounds or until `enough` CPU seconds have gone by."""
    seen: dict[str, list[tuple[float, float, float | None]]] = {name: [] for name in rivals}
    began = cpu_seconds()
    for round_number in range(runs + warm):
        if round_number > 1 and cpu_seconds() - began > enough:
            break
        for name, call in rivals.items():
            measured = once(call)
            if round_number or not warm:
                seen[name].append(measured)
    return {name: _medians(found) for name, found in seen.items()}


def once(call: Callable[[], Any]) -> tuple[float, float, float | None]:
    """Return CPU seconds, wall seconds and the rise of memory in GB of one call; its result is thrown away."""
    gc.collect()
    _give_back()
    before = _reset_peak()
    cpu, wall = cpu_seconds(), time.perf_counter()
    result = call()
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    peak = None if before is None else max(0.0, _status_gb("VmHWM") - before)
    del result
    return cpu, wall, peak


def _medians(found: list[tuple[float, float, float | None]]) -> Measured:
    cpu, wall, peak = zip(*found, strict=True)
    peaks = [p for p in peak if p is not None]
    return Measured(
        statistics.median(cpu),
        statistics.median(wall),
        statistics.median(peaks) if peaks else None,
        len(found),
    )


def _give_back() -> None:
    """Let the C library return what it keeps of freed memory, so that a rise is seen; glibc alone can be asked."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> float | None:
    # Linux alone keeps a high-water mark that can be put back.
    try:
        PEAK.write_text("5", encoding="ascii")
        return _status_gb("VmRSS")
    except OSError:
        return None


def _status_gb(field: str) -> float:
    line = next(entry for entry in STATUS.read_text(encoding="ascii").splitlines() if entry.startswith(field))
    return int(line.split()[1]) / 1e6


def peak_rss_gb() -> float:
    """Return the largest resident memory that this process ever had, in GB."""
    kilo = 1.0 if platform.system() == "Darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo / 1e9


def machine(packages: tuple[str, ...]) -> str:
    """Return one line: processor, cores, versions."""
    return f"{_processor()}, {_cores()} cores, Python {platform.python_version()}, " + ", ".join(
        f"{name} {metadata.version(name)}" for name in packages
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({platform.machine()})"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
