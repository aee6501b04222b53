"""The settings that made the rows and their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.moments import Duration, duration_us
from leadlight.plan import LONGEST_US

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
NOT_LABELLED = -1
LATER = np.iinfo(np.int64).max
"""When what never happens happens."""


@dataclass(frozen=True)
class Windows:
    """The settings that made the rows and their labels, in microseconds.

    Attributes
    ----------
    horizon_us, gap_us : int
        The label window is `[cutoff + gap, cutoff + gap + horizon)`.
    every_us : int
        Distance of cutoffs; 0 where the rows are the user's own.
    active_within_us : int
        How recently a member was active; 0 where the rows are the user's own.
    frozen_us : int
        What became known later was not used.
    enters_on : tuple of str
        Actions with which a member enters the population; empty: with joining.
    cool_off_us : int or None
        How long after its last won deal a member comes back; None: never.
    """

    horizon_us: int = 0
    gap_us: int = 0
    every_us: int = 0
    active_within_us: int = 0
    frozen_us: int = 0
    enters_on: tuple[str, ...] = ()
    cool_off_us: int | None = None

    @property
    def reach_us(self) -> int:
        """How far a label reaches beyond its cutoff: gap and horizon."""
        return self.gap_us + self.horizon_us

    @property
    def seen_until_us(self) -> int:
        """Exclusive end of what was seen: the microsecond after `frozen_us`."""
        return self.frozen_us + 1


def span_us(duration: Duration, name: str, *, zero: bool = False) -> int:
    """Return a duration in microseconds, short enough that a time and two of them still fit an int64.

    Raises
    ------
    InputError
        If it cannot be read, is not positive (`zero=True` allows zero), or is longer than some 3,000 years.
    """
    us = duration_us(duration, name=name, zero=zero)
    if us >= LONGEST_US:
        raise InputError(f"{name} is {duration!r}, longer than any log; give at most three thousand years.")
    return us
