"""The rooms that serving needs: each imports numpy, the standard library and each other, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = ("errors", "moments", "plan", "kernels", "runtime")

PROGRAM = '''
import importlib, importlib.abc, pkgutil, sys

allowed = {{"leadlight", "leadlight._version", *("leadlight." + room for room in {lean!r})}}
refused = set()

def ours():
    """Whether leadlight or this program asks; what numpy and the standard library try is their own affair."""
    frame = sys._getframe(2)
    while "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_globals["__name__"].partition(".")[0] in ("leadlight", "__main__")

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top == "leadlight":
            known = name in allowed or ".".join(name.split(".")[:2]) in allowed - {{"leadlight"}}
        else:
            known = top == "numpy" or top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if not known:
            if ours():
                refused.add(name)
            raise ModuleNotFoundError(name + " may not be imported here", name=name)

sys.meta_path.insert(0, Refuse())
room = importlib.import_module("leadlight.{room}")
for part in pkgutil.walk_packages(getattr(room, "__path__", ()), room.__name__ + "."):
    importlib.import_module(part.name)
{then}
print(*sorted(refused))
'''


def refused_by(room: str, then: str = "") -> str:
    """Return what `room`, all of its modules and the code `then` asked for in vain."""
    program = PROGRAM.format(lean=LEAN, room=room, then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("room", LEAN)
def test_a_lean_room_imports_numpy_and_the_standard_library_only(room):
    assert refused_by(room) == ""


def test_an_optional_import_is_caught_too():
    attempt = "try:\n    import pandas\nexcept ImportError:\n    pass"
    assert refused_by("errors", then=attempt) == "pandas"


def test_a_room_above_is_caught_too():
    attempt = "try:\n    import leadlight.community\nexcept ImportError:\n    pass"
    assert refused_by("errors", then=attempt) == "leadlight.community"
