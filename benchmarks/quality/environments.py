"""Environments for learners that ours has no room for (`build/peers/boosters`, `build/peers/automl`), from the locks here.

Each is made once, by uv where there is one, else by venv and pip; `make clean` removes them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from quality.case import ROOT

HERE = Path(__file__).parent
OURS = "leadlight"
AUTOML = ("FLAML", "AutoGluon")


def python_for(learner: str) -> Path:
    """Return the interpreter that has the learner; its environment is made where it is not there or the lock has changed.

    Raises
    ------
    subprocess.CalledProcessError, OSError
        The packages cannot be installed, for instance without a network.
    """
    if learner == OURS:
        return Path(sys.executable)
    name = environment(learner)
    lock, folder = HERE / f"{name}.txt", ROOT / "build" / "peers" / name
    interpreter, done = folder / "bin" / "python", folder / "lock"
    if done.exists() and done.read_bytes() == lock.read_bytes():
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--python", str(interpreter), "-r", str(lock))
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(lock))
    done.write_bytes(lock.read_bytes())
    return interpreter


def environment(learner: str) -> str:
    """Return the name of the environment, which is that of its lock."""
    return "automl" if learner in AUTOML else "boosters"


def pins(learner: str) -> str:
    """Return the lock's text: what a cached result of this learner depends on; empty for ours."""
    return "" if learner == OURS else (HERE / f"{environment(learner)}.txt").read_text(encoding="utf-8")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
