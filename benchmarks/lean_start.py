"""Seconds and memory from a fresh interpreter to the first score, in an environment that holds numpy and leadlight only.

    make lean                                            # makes build/lean/venv and build/lean/bundle
    python benchmarks/lean_start.py build/lean/bundle --python build/lean/venv/bin/python

Each run is a process of its own; printed is the median of several, after one that fills the caches of files. The clock runs from
before `import leadlight` to after the first prediction with its reasons, numpy's import included and the interpreter's start not.
Memory is the largest resident set of the whole process. Ends with 1 where a limit is passed or the training stack gets imported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

SECONDS, MEGABYTES = 0.25, 60.0
"""What issue 6 allows."""

STACK = ("pandas", "sklearn", "lightgbm", "shap", "mlflow", "joblib", "pyarrow", "duckdb", "scipy", "polars")

MEASURED = """
import json, os, sys, time

def now():
    return time.perf_counter(), time.process_time()

marks = [now()]
import numpy
marks.append(now())
if len(sys.argv) > 1:
    import leadlight as ll
    from leadlight import load
    marks.append(now())
    scorer = load(sys.argv[1])
    marks.append(now())
    scorer.predict([{"occurred_at": "2025-12-22T10:30:00", "action": "question", "tags": ["pricing"]}], at="2026-01-05")
    marks.append(now())

def peak():
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)

stages = [[b - a for a, b in zip(x, y)] for x, y in zip(marks, marks[1:])]
print(json.dumps({"stages": stages, "peak": peak(), "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def measured(python: str, *arguments: str) -> dict[str, object]:
    """Return what one fresh process says of itself."""
    done = subprocess.run(
        [python, "-c", MEASURED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the lean environment")
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    asked = parser.parse_args()
    measured(asked.python, asked.bundle)
    runs = [measured(asked.python, asked.bundle) for _ in range(asked.runs)]
    bare = [measured(asked.python) for _ in range(asked.runs)]
    stages = [
        [statistics.median(run["stages"][i][clock] for run in runs) for clock in (0, 1)] for i in range(4)
    ]
    wall, cpu = (statistics.median(sum(s[clock] for s in run["stages"]) for run in runs) for clock in (0, 1))
    peak = statistics.median(run["peak"] for run in runs)
    beyond = peak - statistics.median(run["peak"] for run in bare)
    stack = sorted(set(STACK).intersection(runs[-1]["modules"]))
    figures = {"cpu_s": cpu, "wall_s": wall, "peak_mb": peak, "beyond_numpy_mb": beyond, "stack": stack}
    if asked.json:
        print(json.dumps(figures))
    else:
        print(f"{cpu:.3f} s CPU, {wall:.3f} s wall, peak {peak:.1f} MB, {beyond:.1f} MB beyond numpy alone")
        for name, (of_wall, of_cpu) in zip(
            ("numpy", "leadlight", "load", "first score"), stages, strict=True
        ):
            print(f"  {name:12} {of_cpu:.3f} s CPU, {of_wall:.3f} s wall")
        print(f"  training stack imported: {', '.join(stack) or 'none of it'}")
    # A busy machine takes longer by the wall, and a pool of idle threads longer by the CPU.
    sys.exit(bool(stack) or min(cpu, wall) > SECONDS or peak > MEGABYTES)


if __name__ == "__main__":
    main()
