"""Why there is no won deal to learn from: what to look at first."""

from __future__ import annotations

from leadlight.community import Community
from leadlight.moments import DAY_US, moment_text
from leadlight.observations import Observations


def why_no_deal(community: Community, observations: Observations) -> str:
    """Return in words where the won deals were lost, or that there were none.

    Parameters
    ----------
    community : Community
    observations : Observations
        Without a positive row.
    """
    matches, deals, rejects = community.matches, community.deals, community.rejects
    if not len(matches):
        unread = int(rejects.loc[rejects["table"] == "deals", "rows"].sum())
        return (
            f"none of {unread:,} deals can be used, see community.rejects"
            if unread
            else "no deals were given"
        )
    if not len(deals):
        return f"none of {len(matches):,} deals found its member, see community.matches"
    won = deals.loc[deals["outcome"] == "won", "closed_us"]
    if not len(won):
        return f"{len(deals):,} deals found their member, and none of them is won"
    first, last = (moment_text(int(us))[:10] for us in (won.min(), won.max()))
    told = (
        f"{len(won):,} won deals found their member, closed {first} to {last}, while the log begins on "
        f"{moment_text(community.start_us)[:10]}: none closed in a label window of a member who was active before it"
    )
    windows = observations.windows
    if windows.reach_us > windows.frozen_us - community.start_us:
        told += (
            f"; every label window is still open, since it reaches {windows.reach_us / DAY_US:g} days beyond its cutoff: "
            "use a shorter horizon"
        )
    return told
