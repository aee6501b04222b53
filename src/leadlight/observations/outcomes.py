"""What happened after a cutoff: won, lost and open deals, and approaches, of each member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.observations.observations import NOT_LABELLED, Windows
from leadlight.observations.population import LATER

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Outcomes:
    """Deals by the members whom they reach, as known when the data were frozen."""

    community: Community
    windows: Windows

    def __post_init__(self) -> None:
        self.deals = _member_deals(self.community, self.windows.frozen_us)
        won = self.deals[self.deals["outcome"] == "won"]
        self.first_won = np.full(len(self.community.members), LATER, np.int64)
        np.minimum.at(self.first_won, won["member"].to_numpy(np.int64), won["closed_us"].to_numpy(np.int64))

    def rows(self, member: Codes, cutoff: Codes, opens: Codes, closes: Codes) -> pd.DataFrame:
        """Return the frame of `Observations`: one row per (member, cutoff) with label window `[opens, closes)`."""
        mature = closes <= self.windows.frozen_us + 1
        won, known, share = self._closed_in(member, opens, closes, "won")
        lost, _, _ = self._closed_in(member, opens, closes, "lost")
        members = self.community.members
        label = np.where(mature, won.astype(np.int8), NOT_LABELLED).astype(np.int8)
        return pd.DataFrame(
            {
                "member_id": members.ids.to_numpy()[member],
                "account_id": pd.Series(_account_ids(self.community, member), dtype=object, index=range(len(member))),
                "cutoff": _times(cutoff),
                "label": label,
                "outcome": np.select([won, lost, self._open_at(member, closes)], ["won", "lost", "open"], "none"),
                "contacted": self._contacted(member, cutoff, closes),
                "open_deal": self._open_at(member, cutoff),
                "customer": members.role_at(member, cutoff) == "customer",
                "weight": np.where(won, share, 1.0),
                "known_us": known,
                "observed_until": _times(np.minimum(closes, self.windows.frozen_us + 1)),
            }
        )

    def _closed_in(
        self, member: Codes, opens: Codes, closes: Codes, outcome: str
    ) -> tuple[Bools, Codes, NDArray[np.float64]]:
        """Whether a deal of this outcome closed in each window, when that was first known, and the largest share in it."""
        deals = self.deals[self.deals["outcome"] == outcome].sort_values(["member", "closed_us"])
        index = _Timeline(deals["member"].to_numpy(np.int64), deals["closed_us"].to_numpy(np.int64))
        first, last = index.position(member, opens), index.position(member, closes)
        found = last > first
        known, share = np.full(len(member), NEVER, np.int64), np.ones(len(member))
        if found.any():
            # Pairs of bounds, of which every other slice is a window; the sentinel keeps the last bound inside.
            bounds = np.stack([first[found], last[found]], axis=1).ravel()
            visible = np.append(deals["visible_us"].to_numpy(np.int64), LATER)
            known[found] = np.minimum.reduceat(visible, bounds)[::2]
            share[found] = np.maximum.reduceat(np.append(deals["share"].to_numpy(float), 0.0), bounds)[::2]
        return found, known, share

    def _open_at(self, member: Codes, at: Codes) -> Bools:
        """Whether a deal was open just before each time."""
        is_open = np.zeros(len(member), bool)
        by_member = pd.Series(np.arange(len(member))).groupby(member).indices
        opened = self.deals["opened_us"]
        for deal in self.deals[(opened != NEVER) & (opened <= self.windows.frozen_us)].itertuples():
            rows = by_member.get(deal.member)
            if rows is not None:
                is_open[rows] |= (deal.opened_us < at[rows]) & (deal.closed_us >= at[rows])
        return is_open

    def _contacted(self, member: Codes, cutoff: Codes, closes: Codes) -> NDArray[Any] | None:
        contacts = self.community.contacts
        if contacts is None:
            return None
        ordered = contacts[contacts["contacted_us"] <= self.windows.frozen_us].sort_values(["member", "contacted_us"])
        index = _Timeline(ordered["member"].to_numpy(np.int64), ordered["contacted_us"].to_numpy(np.int64))
        return (index.position(member, closes) > index.position(member, cutoff)).astype(object)


class _Timeline:
    """Positions in rows sorted by member and time."""

    def __init__(self, member: Codes, time: Codes) -> None:
        self.times = np.unique(time)
        # member * span + time would overflow; the rank of a time does not.
        self.span = len(self.times) + 1
        self.composite = member * self.span + np.searchsorted(self.times, time)

    def position(self, member: Codes, at: Codes) -> Codes:
        """Position of the member's first row at or after a time."""
        return np.searchsorted(self.composite, member * self.span + np.searchsorted(self.times, at)).astype(np.int64)


def _member_deals(community: Community, frozen_us: int) -> pd.DataFrame:
    """One row per (deal, member it reaches), as known when the data were frozen."""
    deals = community.deals.reset_index(drop=True).copy()
    # One deal may fill several rows or lack an identifier; its place in the table does not.
    deals["deal"] = np.arange(len(deals))
    deals["visible_us"] = np.maximum(deals["closed_us"], deals["known_us"])
    # A deal whose end is not known yet is an open one.
    still_open = ((deals["visible_us"] > frozen_us) | deals["outcome"].isna()).to_numpy(bool)
    deals["outcome"] = deals["outcome"].astype(object).where(~still_open, None)
    deals["closed_us"] = np.where(still_open, LATER, deals["closed_us"].to_numpy(np.int64))
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
    parts.append(deals[~named & ~direct & (deals["account"] >= 0).to_numpy(bool)].drop(columns="member").merge(people))
    columns = ["deal_id", "deal", "member", "outcome", "opened_us", "closed_us", "visible_us"]
    reached = pd.concat([part[columns] for part in parts if len(part)] or [deals[columns]], ignore_index=True)
    reached["share"] = 1.0 / reached.groupby("deal")["member"].transform("size")
    return reached


def _account_ids(community: Community, member: Codes) -> NDArray[Any]:
    codes = community.members.account[member]
    names = [*community.members.account_ids, None]
    return np.array([names[code] for code in codes], object)


def _times(us: Codes) -> pd.DatetimeIndex:
    return pd.to_datetime(us, unit="us", utc=True).astype("datetime64[us, UTC]")
