"""Who is there at a cutoff: members who have entered, were active lately, and may be approached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.errors import InputError
from leadlight.moments import DAY_US, Moment, moment_us
from leadlight.observations.observations import Windows

Codes = NDArray[np.int64]
LATER = np.iinfo(np.int64).max


@dataclass
class Population:
    """The rows of the log that were known when the data were frozen, sorted by member and time."""

    community: Community
    windows: Windows

    def __post_init__(self) -> None:
        log = self.community.log
        visible = log.time if log.visible_from is None else log.visible_from
        order = np.lexsort((log.time, log.actor))
        order = order[(log.actor[order] >= 0) & (visible[order] <= self.windows.frozen_us)]
        self.actor, self.time, self.visible = log.actor[order], log.time[order], visible[order]
        self.action = log.action[order]
        members = self.community.members
        self.eligible = ~(members.employee | members.refused)
        self.entered = self._entered()

    def _entered(self) -> Codes:
        """When each member enters: with joining or the first activity, or with the first `enters_on` action."""
        entered = np.full(len(self.community.members), LATER, np.int64)
        if not self.windows.enters_on:
            np.minimum.at(entered, self.actor, self.visible)
            joined = self.community.members.joined_us
            return np.where(joined != NEVER, joined, entered)
        rows = np.isin(self.action, self._codes("enters_on", self.windows.enters_on))
        np.minimum.at(entered, self.actor[rows], self.visible[rows])
        return entered

    def _codes(self, what: str, actions: tuple[str, ...]) -> list[int]:
        log = self.community.log
        codes = [log.code("action", a) for a in actions]
        if max(codes) < 0:
            known = list(log.dictionaries["action"])[:20]
            raise InputError(f"{what}={actions!r} happens nowhere in the log; actions are {known}.")
        return codes

    def at(self, cutoff: int) -> Codes:
        """Members who have entered and were active in `[cutoff - active_within, cutoff)`, employees included."""
        recent = (self.time >= cutoff - self.windows.active_within_us) & (self.visible < cutoff)
        active = np.unique(self.actor[recent])
        found: Codes = active[self.entered[active] < cutoff]
        return found

    def calendar_pairs(self, start: Moment | None, end: Moment | None) -> tuple[Codes, Codes]:
        """(member, cutoff) for cutoffs at even distances, by cutoff, then member."""
        first = (self.community.start_us // DAY_US + 1) * DAY_US
        lower = first if start is None else moment_us(start, name="start")
        upper = self.windows.frozen_us + 1 if end is None else moment_us(end, name="end")
        members = [np.empty(0, np.int64)]
        cutoffs = [np.empty(0, np.int64)]
        for cutoff in range(lower, upper, self.windows.every_us):
            members.append(self.at(cutoff))
            cutoffs.append(np.full(len(members[-1]), cutoff, np.int64))
        return np.concatenate(members), np.concatenate(cutoffs)

    def event_pairs(self, on: str, start: Moment | None, end: Moment | None) -> tuple[Codes, Codes]:
        """(member, cutoff) with a cutoff one microsecond after each `on` action became visible."""
        lower = NEVER if start is None else moment_us(start, name="start")
        upper = LATER if end is None else moment_us(end, name="end")
        rows = np.isin(self.action, self._codes("on", (on,)))
        member, cutoff = self.actor[rows], self.visible[rows] + 1
        keep = (cutoff >= lower) & (cutoff < upper) & (self.entered[member] < cutoff)
        pairs = np.unique(np.stack([cutoff[keep], member[keep]]), axis=1)
        return pairs[1], pairs[0]
