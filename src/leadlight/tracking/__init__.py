"""MLflow: training jobs that are tracked, promoted, served and watched, and whose runs are never lost.

Nothing here imports MLflow, pandas or scikit-learn until it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadlight.tracking.config import TrainConfig
from leadlight.tracking.delivery import LoggedRun, Synced, sync
from leadlight.tracking.run import log_run

if TYPE_CHECKING:
    from leadlight.tracking.comparison import Comparison, Gate, compare
    from leadlight.tracking.monitoring import Monitored, monitor
    from leadlight.tracking.recalibration import recalibrate
    from leadlight.tracking.registry import Verdict, promote, rollback
    from leadlight.tracking.training import TrainedRun, train

__all__ = [
    "Comparison",
    "Gate",
    "LoggedRun",
    "Monitored",
    "Synced",
    "TrainConfig",
    "TrainedRun",
    "Verdict",
    "compare",
    "log_run",
    "monitor",
    "promote",
    "recalibrate",
    "rollback",
    "sync",
    "train",
]

_ROOMS = {
    "comparison": ("Comparison", "Gate", "compare"),
    "monitoring": ("Monitored", "monitor"),
    "recalibration": ("recalibrate",),
    "registry": ("Verdict", "promote", "rollback"),
    "training": ("TrainedRun", "train"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept every misspelt name

    def __getattr__(name):
        from importlib import import_module

        if name in _ROOM_OF:
            return getattr(import_module(f"leadlight.tracking.{_ROOM_OF[name]}"), name)
        raise AttributeError(f"module 'leadlight.tracking' has no attribute {name!r}")
