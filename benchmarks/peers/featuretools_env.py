"""featuretools in an environment of its own (`build/peers/featuretools`), from the lock beside this file.

It cannot live with pandas 3. The environment is made once, by uv where there is one, else by venv and pip; `make clean`
removes it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers import cases
from peers.cases import Case

from leadlight.moments import ALL, window_us

HERE = Path(__file__).parent
LOCK = HERE / "featuretools.txt"
FOLDER = HERE.parents[1] / "build" / "peers" / "featuretools"


def python() -> Path:
    """Return the interpreter of the environment, made where it is not there or the lock has changed.

    Raises
    ------
    subprocess.CalledProcessError, OSError
        The packages cannot be installed, for instance without a network.
    """
    interpreter, done = FOLDER / "bin" / "python", FOLDER / "lock"
    if done.exists() and done.read_bytes() == LOCK.read_bytes():
        return interpreter
    shutil.rmtree(FOLDER, ignore_errors=True)
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(FOLDER))
        _run(uv, "pip", "install", "--quiet", "--python", str(interpreter), "-r", str(LOCK))
    else:
        _run(sys.executable, "-m", "venv", str(FOLDER))
        _run(str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(LOCK))
    done.write_bytes(LOCK.read_bytes())
    return interpreter


def run(case: Case) -> tuple[dict, np.ndarray]:
    """Return what the script printed, and its matrix in the order of our columns (NaN where it has no such column)."""
    case.folder.mkdir(parents=True, exist_ok=True)
    source, target = case.folder / "featuretools-rows.parquet", case.folder / "featuretools-matrix.parquet"
    log = case.log
    pq.write_table(pa.table({"member": log.actor, "time": log.time, "code": log.action}), source)
    windows = [window_us(w) for w in cases.WINDOWS]
    printed = _run(
        str(python()),
        str(HERE / "by_featuretools.py"),
        str(source),
        str(target),
        str(case.members),
        str(int(case.cutoffs_us[-1])),
        ",".join(map(str, windows)),
    )
    found = pq.read_table(target)
    columns = [f"COUNT(rows{_where(code)}) {w}" for code in _codes() for w in windows]
    columns += [f"TIME_SINCE_LAST(rows.time{_where(code)}, unit=hours) {ALL}" for code in _codes()]
    matrix = np.column_stack(
        [found[c].to_numpy() if c in found.column_names else np.full(case.members, np.nan) for c in columns]
    )
    matrix[:, cases.COUNTS :] /= 24.0
    matrix[:, : cases.COUNTS] = np.nan_to_num(matrix[:, : cases.COUNTS])
    return json.loads(printed.splitlines()[-1]), matrix


def _codes() -> list[int | None]:
    return [None, *range(len(cases.ACTIONS))]


def _where(code: int | None) -> str:
    return "" if code is None else f" WHERE code = {code}"


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
