"""What happened after a cutoff: won, lost and open deals, and approaches, of each member."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.observations.windows import LATER, NOT_LABELLED, Bools, Codes, Windows


@dataclass
class Outcomes:
    """Deals by the members whom they reach, and approaches, as known when the data were frozen.

    Attributes
    ----------
    deals : DataFrame
        One row per (deal, member it reaches), from `member_deals`: member, outcome, opened_us, closed_us, visible_us,
        share.
    contacts : (member, time) or None
        Approaches; None without a contacts table.
    frozen_us : int
        What became known later is not used.
    """

    deals: pd.DataFrame
    contacts: tuple[Codes, Codes] | None
    frozen_us: int
    wins: _Timeline = field(init=False)
    losses: _Timeline = field(init=False)

    @classmethod
    def of(cls, community: Community, frozen_us: int) -> Outcomes:
        """Read a community's deals and contacts."""
        contacts = community.contacts
        asked = None
        if contacts is not None:
            asked = contacts["member"].to_numpy(np.int64), contacts["contacted_us"].to_numpy(np.int64)
        return cls(member_deals(community), asked, frozen_us)

    def __post_init__(self) -> None:
        deals = self.deals
        # A deal whose end is not known yet is an open one.
        ended = (deals["visible_us"] <= self.frozen_us) & deals["outcome"].notna()
        won, lost = (deals[ended & (deals["outcome"] == outcome)] for outcome in ("won", "lost"))
        self.wins, self.losses = _Timeline.of(won), _Timeline.of(lost)
        closed, visible = (
            deals[c].where(ended, LATER).to_numpy(np.int64) for c in ("closed_us", "visible_us")
        )
        opened, member = deals["opened_us"].to_numpy(np.int64), deals["member"].to_numpy(np.int64)
        real = (opened != NEVER) & (opened <= self.frozen_us) & (opened <= closed)
        self._opened = _Timeline(member[real], opened[real])
        self._closed = _Timeline(member[real], closed[real])
        self._seen_closed = _Timeline(member[real], visible[real])
        self._contacted: _Timeline | None = None
        if self.contacts is not None:
            asked = self.contacts[1] <= self.frozen_us
            self._contacted = _Timeline(self.contacts[0][asked], self.contacts[1][asked])

    def last_won(self, member: Codes, at: Codes) -> Codes:
        """When each member's last deal before a time was won; the smallest int64 where none was."""
        position = self.wins.position(member, at)
        found = position > self.wins.position(member, np.full(len(member), NEVER, np.int64))
        last = np.full(len(member), NEVER, np.int64)
        last[found] = self.wins.time[position[found] - 1]
        return last

    def bought(self, member: Codes, at: Codes, cool_off_us: int | None) -> Bools:
        """Whether a deal was won before a time, and less than the cool-off before it."""
        last = self.last_won(member, at)
        before: Bools = last != NEVER
        if cool_off_us is not None:
            before &= at - np.where(before, last, at) < cool_off_us
        return before

    def won_in(self, member: Codes, begins: Codes, ends: Codes) -> Codes:
        """When the first deal of each `[begins, ends)` was won; the largest int64 where none was."""
        first, last = self.wins.position(member, begins), self.wins.position(member, ends)
        when = np.full(len(member), LATER, np.int64)
        when[last > first] = self.wins.time[first[last > first]]
        return when

    def columns(self, member: Codes, cutoff: Codes, opens: Codes, closes: Codes) -> dict[str, Any]:
        """Return the columns of `Observations.frame` that say what happened in each `[opens, closes)`."""
        won, known, share = self.wins.between(member, opens, closes)
        lost = self.losses.between(member, opens, closes)[0]
        # Of a window's end, what came of the deal by then; of the cutoff, what was known by then.
        still_open = self._opened.position(member, closes) > self._closed.position(member, closes)
        open_deal = self._opened.position(member, cutoff) > self._seen_closed.position(member, cutoff)
        mature = closes <= self.frozen_us + 1
        contacted = None
        if self._contacted is not None:
            approaches = self._contacted.position(member, closes) - self._contacted.position(member, cutoff)
            contacted = (approaches > 0).astype(object)
        return {
            "label": np.where(mature, won, NOT_LABELLED).astype(np.int8),
            "outcome": np.select([won, lost, still_open], ["won", "lost", "open"], "none"),
            "contacted": contacted,
            "open_deal": open_deal,
            "weight": np.where(won, share, 1.0),
            "known_us": known,
            "observed_until": times(np.minimum(closes, self.frozen_us + 1)),
        }


class _Timeline:
    """Rows by member and time, and where in them a time falls."""

    def __init__(self, member: Codes, time: Codes, visible: Codes | None = None, share: Any = None) -> None:
        order = np.lexsort((time, member))
        self.time = time[order]
        # Sentinels, so that the end of the last window is still a position.
        self._visible = np.append(time[order] if visible is None else visible[order], LATER)
        self._share = np.append(np.ones(len(order)) if share is None else share[order], 0.0)
        self._times = np.unique(time)
        # member * span + time would overflow; the rank of a time does not.
        self._span = len(self._times) + 1
        self._composite = member[order] * self._span + np.searchsorted(self._times, self.time)

    @classmethod
    def of(cls, deals: pd.DataFrame) -> _Timeline:
        member, closed, visible = (deals[c].to_numpy(np.int64) for c in ("member", "closed_us", "visible_us"))
        return cls(member, closed, visible, deals["share"].to_numpy(float))

    def position(self, member: Codes, at: Codes) -> Codes:
        """Position of the member's first row at or after a time."""
        ranks = np.searchsorted(self._times, at)
        return np.searchsorted(self._composite, member * self._span + ranks).astype(np.int64)

    def between(self, member: Codes, begins: Codes, ends: Codes) -> tuple[Bools, Codes, NDArray[np.float64]]:
        """Whether each `[begins, ends)` holds a row, when the first such was known, and the largest share in it."""
        first, last = self.position(member, begins), self.position(member, ends)
        found = last > first
        known, share = np.full(len(member), NEVER, np.int64), np.ones(len(member))
        if found.any():
            # Pairs of bounds, of which every other slice is a window.
            bounds = np.stack([first[found], last[found]], axis=1).ravel()
            known[found] = np.minimum.reduceat(self._visible, bounds)[::2]
            share[found] = np.maximum.reduceat(self._share, bounds)[::2]
        return found, known, share


def member_deals(community: Community) -> pd.DataFrame:
    """Return one row per (deal, member it reaches), with everything that ever became known.

    `visible_us` is when the end of a deal was known, `share` is 1/members that it reaches. Employees and members who
    refused take no share.
    """
    deals = community.deals.reset_index(drop=True).copy()
    # One deal may fill several rows or lack an identifier; its place in the table does not.
    deals["deal"] = np.arange(len(deals))
    deals["visible_us"] = np.maximum(deals["closed_us"], deals["known_us"])
    # Of an open deal `known_at` can only mean its beginning.
    begun = deals["outcome"].isna() & (deals["opened_us"] != NEVER)
    deals["opened_us"] = deals["opened_us"].where(~begun, np.maximum(deals["opened_us"], deals["known_us"]))
    members = community.members
    reachable = ~(members.employee | members.refused)
    named = np.zeros(len(deals), bool)
    parts = []
    contacts = community._deal_contacts
    if contacts is not None:
        named = deals["deal_id"].isin(contacts["deal_id"]).to_numpy(bool)
        listed = contacts[reachable[contacts["member"].to_numpy(np.int64)]]
        parts.append(deals[named].drop(columns="member").merge(listed, on="deal_id"))
    direct = ~named & (deals["member"] >= 0).to_numpy(bool)
    parts.append(deals[direct])
    people = pd.DataFrame({"account": members.account, "member": np.arange(len(members))})
    people = people[(people["account"] >= 0) & reachable]
    parts.append(
        deals[~named & ~direct & (deals["account"] >= 0).to_numpy(bool)].drop(columns="member").merge(people)
    )
    columns = ["deal", "member", "outcome", "opened_us", "closed_us", "visible_us"]
    reached = pd.concat(
        [part[columns] for part in parts if len(part)] or [deals.iloc[:0][columns]], ignore_index=True
    )
    reached["share"] = 1.0 / reached.groupby("deal")["member"].transform("size")
    return reached


def frame_of(
    community: Community, outcomes: Outcomes, windows: Windows, member: Codes, cutoff: Codes
) -> pd.DataFrame:
    """Return the frame of `Observations`: one row per (member, cutoff)."""
    opens = cutoff + windows.gap_us
    found = outcomes.columns(member, cutoff, opens, opens + windows.horizon_us)
    members = community.members
    names = np.array([*members.account_ids, None], object)
    return pd.DataFrame(
        {
            # The type is that of all members, so that no rows have it too.
            "member_id": pd.Series(members.ids.to_numpy()).take(member).array,
            "account_id": pd.Series(names[members.account[member]], dtype=object),
            "cutoff": times(cutoff),
            **{name: found[name] for name in ("label", "outcome", "contacted", "open_deal")},
            "customer": members.role_at(member, cutoff) == "customer",
            **{name: found[name] for name in ("weight", "known_us", "observed_until")},
            "member": member,
        },
        index=range(len(member)),
    )


def times(us: Codes) -> pd.DatetimeIndex:
    """UTC microseconds as timestamps."""
    return pd.to_datetime(us, unit="us", utc=True).astype("datetime64[us, UTC]")
