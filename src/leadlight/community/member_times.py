"""Times of members, in order: how many of them lie before a time of a member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


class MemberTimes:
    """Pairs of member and time.

    Parameters
    ----------
    member, time : int64 arrays of shape (n,)
        Sorted by member, then by time.
    """

    def __init__(self, member: Codes, time: Codes) -> None:
        self._span = np.unique(time)
        # One number orders the pairs; microseconds alone leave no room for a member beside them.
        self._pairs = member * (len(self._span) + 1) + np.searchsorted(self._span, time)

    def before(self, member: Codes, time: Codes) -> Codes:
        """Return how many pairs lie strictly before each (member, time), all those of members before it among them."""
        return self._passed(member, np.searchsorted(self._span, time, "left"))

    def up_to(self, member: Codes, time: Codes) -> Codes:
        """Return the same with pairs of that very time."""
        return self._passed(member, np.searchsorted(self._span, time, "right"))

    def _passed(self, member: Codes, place: Codes) -> Codes:
        found: Codes = np.searchsorted(self._pairs, member * (len(self._span) + 1) + place)
        return found.astype(np.int64)
