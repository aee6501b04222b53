"""What windows that are still open teach: a deal that was won already, or a part of a no."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from leadlight.observations import Observations
from leadlight.observations.windows import NOT_LABELLED

INTERVALS = 12
"""Parts of the horizon by which the share of deals that would have come is told."""


def with_open_windows(
    observations: Observations,
) -> tuple[Observations, NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the rows that teach anything, their labels, how much of a label each is, and which windows are whole.

    Rows of `Observations.from_frame` do not say when a deal was won: those without a label are left out.
    """
    label = observations.frame["label"].to_numpy(float)
    mature = label != NOT_LABELLED
    if mature.all() or not observations.knows_when:
        rows = observations.labelled()
        n = len(rows)
        return rows, label[mature], np.ones(n), np.ones(n, bool)
    interval = timedelta(microseconds=max(observations.windows.horizon_us // INTERVALS, 1))
    periods = observations.discrete_time(interval)
    seen, share = periods.teaches()
    label, share = np.where(mature, label, seen), np.where(mature, 1.0, share)
    used = share > 0
    return observations.take(used), label[used], share[used], mature[used]
