"""Who is there at a cutoff: members who have entered, were active lately, and may be approached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.errors import InputError
from leadlight.moments import DAY_US, Moment, moment_us
from leadlight.observations.windows import LATER, Codes, Windows


@dataclass
class Population:
    """The rows of the log that were known when the data were frozen, sorted by member and time."""

    community: Community
    windows: Windows
    cutoffs: Codes | None = None
    """Where they are known before: rows that say nothing about them need not be there."""

    def __post_init__(self) -> None:
        self._log = log = self.community.acted(self.cutoffs, self.windows)
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
        log = self._log
        codes = [log.code("action", a) for a in actions]
        if max(codes, default=-1) < 0:
            known = list(log.dictionaries["action"])[:20]
            raise InputError(f"{what}={actions!r} happens nowhere in the log; actions are {known}.")
        return codes

    def at(self, cutoff: int) -> Codes:
        """Members who have entered and were active in `[cutoff - active_within, cutoff)`, employees included."""
        recent = (self.time >= cutoff - self.windows.active_within_us) & (self.visible < cutoff)
        active = np.unique(self.actor[recent])
        found: Codes = active[self.entered[active] < cutoff]
        return found

    def active_pairs(self, cutoffs: Codes) -> tuple[Codes, Codes]:
        """(member, cutoff) for members active in `[cutoff - active_within, cutoff)`, by cutoff, then member.

        Who has not entered yet is among them, and so are employees.
        """
        if not len(cutoffs):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        # An event makes its member active at the cutoffs from when it is known to `active_within` after it happened:
        # a run of positions, so that the log is read once and not once for each cutoff.
        first = np.searchsorted(cutoffs, self.visible, "right")
        last = np.searchsorted(cutoffs, self.time + self.windows.active_within_us, "right") - 1
        some = first <= last
        # One number line for all members: a free position at the end of each keeps runs of neighbours apart.
        span = len(cutoffs) + 1
        begins, ends = self.actor[some] * span + first[some], self.actor[some] * span + last[some]
        if len(begins) and (np.diff(begins) < 0).any():
            order = np.argsort(begins, kind="stable")
            begins, ends = begins[order], ends[order]
        reach = np.maximum.accumulate(ends)
        new = np.ones(len(begins), bool)
        new[1:] = begins[1:] > reach[:-1] + 1
        starts = np.flatnonzero(new)
        begins, ends = begins[starts], reach[np.append(starts[1:], len(reach)) - 1] if len(starts) else reach
        lengths = ends - begins + 1
        offset = np.cumsum(lengths) - lengths
        line = np.repeat(begins - offset, lengths) + np.arange(lengths.sum())
        member, position = np.divmod(line, span)
        # Radix, where the positions are small enough for it.
        small = position.astype(np.uint16) if span < 2**16 else position
        order = np.argsort(small, kind="stable")
        return member[order], cutoffs[position[order]]

    def event_pairs(self, on: str, start: Moment | None, end: Moment | None) -> tuple[Codes, Codes]:
        """(member, cutoff) with a cutoff one microsecond after each `on` action became visible."""
        lower = NEVER if start is None else moment_us(start, name="start")
        upper = LATER if end is None else moment_us(end, name="end")
        rows = np.isin(self.action, self._codes("on", (on,)))
        member, cutoff = self.actor[rows], self.visible[rows] + 1
        keep = (cutoff >= lower) & (cutoff < upper)
        pairs = np.unique(np.stack([cutoff[keep], member[keep]]), axis=1)
        return pairs[1], pairs[0]


def calendar(community: Community, windows: Windows, start: Moment | None, end: Moment | None) -> Codes:
    """Cutoffs at even distances from the first midnight after the first activity, or from `start`."""
    first = (community.start_us // DAY_US + 1) * DAY_US
    lower = first if start is None else moment_us(start, name="start")
    upper = windows.seen_until_us if end is None else moment_us(end, name="end")
    return np.array(range(lower, upper, windows.every_us), np.int64)
