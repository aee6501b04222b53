"""A community in a notebook: what was read, which deals found their member, which rows were of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadlight.moments import moment_text
from leadlight.runtime.showing import facts, folded, heading, table

if TYPE_CHECKING:
    from leadlight.community.community import Community

MOST_ACTIONS = 12
MOST_REASONS = 12


def community_html(community: Community) -> str:
    """Return a community as HTML: counts alone, no member and no address."""
    actions = list(community.action_counts().items())
    more = f", and {len(actions) - MOST_ACTIONS} more" if len(actions) > MOST_ACTIONS else ""
    shown = ", ".join(f"{name} {count:,}" for name, count in actions[:MOST_ACTIONS])
    members = community.members
    accounts = len(members.account_ids)
    events = len(community._activity)
    told = {
        "events": f"{events:,}" + (f", {_days(community)}" if events else ""),
        "actions": shown + more,
        "repeated events": f"{community.repeated_events:,} left out" if community.repeated_events else "",
        "members": f"{len(members):,}" + (f", {accounts:,} accounts" if accounts else ""),
        "refused consent": int(members.facts["refused"].sum()) or "",
        "deals": deals_text(community),
        "approaches by sales": None if community.contacts is None else len(community.contacts),
    }
    return (
        heading("Community", "simulated" if community.simulated else "")
        + facts(told)
        + _unmatched(community)
        + _rejects(community)
    )


def deals_text(community: Community) -> str:
    """Return "12 of 15 found their member: 7 won, 3 lost, 2 open", or "none"."""
    if not len(community.matches):
        return "none"
    outcomes = community.deals["outcome"]
    parts = {
        "won": int((outcomes == "won").sum()),
        "lost": int((outcomes == "lost").sum()),
        "open": int(outcomes.isna().sum()),
    }
    told = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    found = int((community.matches["status"] == "matched").sum())
    return f"{found:,} of {len(community.matches):,} found their member or account" + (
        f": {told}" if told else ""
    )


def _days(community: Community) -> str:
    first, last = community.start_us, int(community._activity.time.max())
    return f"{moment_text(first)[:10]} to {moment_text(last)[:10]}"


def _unmatched(community: Community) -> str:
    left = community.matches[community.matches["status"] != "matched"]
    if not len(left):
        return ""
    counted = left.groupby(["status", "reason"]).size().sort_values(ascending=False, kind="stable")
    rows = [(*names, int(count)) for names, count in counted.head(MOST_REASONS).items()]
    return folded(
        f"{len(left):,} deals without a member: community.matches",
        table(("status", "reason", "deals"), rows, numbers=("deals",)),
    )


def _rejects(community: Community) -> str:
    rejects = community.rejects
    if not len(rejects):
        return ""
    rows = [
        (r.table, r.reason, int(r.rows), ", ".join(map(str, r.sample)))
        for r in rejects.head(MOST_REASONS).itertuples()
    ]
    return folded(
        f"{int(rejects['rows'].sum()):,} rows that could not be used: community.rejects",
        table(("table", "reason", "rows", "row numbers"), rows, numbers=("rows",)),
    )
