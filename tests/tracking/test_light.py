"""Importing the front door, or the tracking room, costs next to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import leadlight as ll

PROGRAM = """
import json, sys, time
began = time.process_time()
import {module}
cost = time.process_time() - began
print(json.dumps([cost, [n for n in ("shap", "mlflow", "sklearn", "pandas") if n in sys.modules]]))
"""


@pytest.mark.parametrize("module", ["leadlight", "leadlight.tracking", "leadlight.cli"])
def test_an_import_is_light(module):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(ll.__file__).parents[1])},
    )
    seconds, heavy = json.loads(done.stdout)
    assert heavy == []
    assert seconds < 1.5  # a tenth of it on a machine with nothing else to do; what is heavy takes longer
