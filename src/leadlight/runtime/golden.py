"""Golden rows: synthetic rows that a bundle keeps with what the model said of them, and says again when it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError
from leadlight.kernels.sweep import sweep
from leadlight.plan import Plan
from leadlight.runtime.events import encode_events
from leadlight.runtime.model import Model

ROWS: Final = 32

TOLERANCE: Final = 1e-9
"""Largest difference in log-odds between the machine that saved and the one that loads; relative beyond 1."""


def golden_rows(columns: Sequence[str]) -> NDArray[np.float64]:
    """Return rows that depend on the names of the columns and nothing else: missing, zero, small and large values."""
    width = len(columns)
    seed = hashlib.sha256("\n".join(columns).encode()).digest()
    need = ROWS * width * 2
    stream = b"".join(hashlib.sha256(seed + i.to_bytes(8, "little")).digest() for i in range(-(-need // 32)))
    kind, size = np.frombuffer(stream, np.uint8)[:need].reshape(2, ROWS, width).astype(np.float64)
    X = np.select([kind < 40, kind < 90, kind < 190], [np.nan, 0.0, size % 16], size * (kind - 150.0) / 16.0)
    return np.ascontiguousarray(X)


def check_golden(model: Model, X: NDArray[Any], expected: NDArray[Any]) -> None:
    """Raise `BundleError` unless the model says of the rows what it said when it was saved."""
    sound = X.dtype == np.float64 and expected.dtype == np.float64 and X.shape == (ROWS, len(model.columns))
    if not sound or expected.shape != (ROWS,) or not np.isfinite(expected).all():
        raise BundleError("The golden rows do not fit the model. Copy or save the bundle again.")
    difference = np.abs(model.log_odds(X) - expected)
    if not (difference <= TOLERANCE * np.maximum(1.0, np.abs(expected))).all():
        raise BundleError(
            f"The model does not repeat what it said when it was saved (log-odds differ by up to {difference.max():.3g}). "
            "It is damaged or was edited; copy or save it again."
        )


def check_runs(plan: Plan) -> None:
    """Run the plan once, so that a plan which cannot run is found now and not at the first prediction."""
    actions = sorted({key.action or "any" for key in plan.keys})[:8] or ["any"]
    events = [{"occurred_at": 0, "action": action, "tags": []} for action in actions]
    log, entity, info = encode_events(events, plan, None, at=1)
    sweep(plan, log, entity, np.array([info.at_us], np.int64), joined=info.joined)
