"""What a community and a plan tell the audit: features that rest on facts without a date."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.errors import InputError
from leadlight.evaluation.audit import Audit
from leadlight.evaluation.audit_outcome import FEWEST, Finding
from leadlight.moments import DAY_US
from leadlight.plan import Plan

Codes = NDArray[np.int64]

FACTS: Final = ("role", "job_function", "domain", "account")
FEWEST_COUNTERPARTS: Final = 50
"""With fewer it may be chance that none of them changed."""

CUSTOMER: Final = "customer"


def audit_community(community: Community, plan: Plan, *, static: tuple[str, ...] = ()) -> Audit:
    """Look for plan columns that rest on facts which may be younger than the cutoff.

    A plan reads no fact of `members` but three: the role or function that a row of the log states for the other party,
    whether two e-mail domains are the same, and who is a colleague. Evidence: rows that state a role which the dated
    history of `members` gives only later; most won counterparts being "customer" before their first deal was won.
    Hints: no counterpart's role or function ever changes; domains or accounts are read from members without `valid_from`.

    Parameters
    ----------
    community : Community
    plan : Plan
        Only columns of this plan are looked at.
    static : tuple of {"role", "job_function", "domain", "account"}
        Facts that do not change, or not through a deal: their columns are excused.

    Returns
    -------
    Audit
        Its columns are the plan's. `audit_leakage(...).with_findings_of(...)` joins both.

    Raises
    ------
    InputError
        If `static` names another fact.
    """
    unknown = [fact for fact in static if fact not in FACTS]
    if unknown or isinstance(static, str):
        raise InputError(f"static is {static!r}; give a tuple of names from {FACTS}.")
    uses = {fact: _columns(plan, fact) for fact in FACTS}
    findings: dict[str, list[Finding]] = {}
    for fact, columns in uses.items():
        found = _findings(community, fact) if columns else []
        for column in columns:
            findings.setdefault(column, []).extend(found)
    excused = {column for fact in static for column in uses[fact] if findings.get(column)}
    return Audit.of(findings, len(plan.columns), tuple(c for c in plan.column_names if c in excused))


def _columns(plan: Plan, fact: str) -> list[str]:
    if fact == "account":
        return [column.name for column in plan.columns if column.operation == "peers"]
    attribute = "same_domain" if fact == "domain" else fact
    return [c.name for c in plan.columns if any(plan.keys[k].attribute == attribute for k in c.keys)]


def _findings(community: Community, fact: str) -> list[Finding]:
    if fact in ("domain", "account"):
        if community.members.dated:
            return []
        text = f"it reads each member's {fact} as of today: members has no valid_from"
        return [Finding("undated", text, fails=False)]
    first_win = _first_win(community)
    rows = community.stated(fact, _bounds(community, first_win))
    found = []
    if fact == "role":
        ahead = _ahead_of_history(community, rows)
        if ahead:
            text = f"{ahead} of {rows['rows'].sum()} rows state a role that members dates later"
            found.append(Finding("undated", text, fails=True))
        early, won = _customers_before_winning(rows, first_win)
        if early >= FEWEST and early > won / 2:
            text = f'{early} of {won} won counterparts are "{CUSTOMER}" in all rows before their first deal was won'
            found.append(Finding("undated", text, fails=True))
    each = rows.groupby("member")
    seen = each["first"].min() // DAY_US < each["last"].max() // DAY_US
    if seen.sum() >= FEWEST_COUNTERPARTS and (each["value"].nunique()[seen] == 1).all():
        text = f"no {fact} of {int(seen.sum())} counterparts ever changes in the log: is it today's?"
        found.append(Finding("undated", text, fails=False))
    return found


def _bounds(community: Community, first_win: Codes) -> tuple[Codes, Codes]:
    """Return the times at which the history of a member goes on, or its first deal is won: (member, time)."""
    won = np.flatnonzero(first_win != NEVER)
    member, time = community.members.dated_rows()
    return np.append(member, won), np.append(time, first_win[won])


def _ahead_of_history(community: Community, rows: pd.DataFrame) -> int:
    """Count rows whose role the member's history holds only later."""
    members = community.members
    if not members.dated or not len(rows):
        return 0
    member, time = rows["member"].to_numpy(np.int64), rows["first"].to_numpy(np.int64)
    # A change at the very time of the row is known to it.
    then = members.role_at(member, time + 1)
    last = members.role_at(member, np.full(len(rows), np.iinfo(np.int64).max))
    stated = rows["value"].to_numpy(object)
    known = np.array([role is not None for role in then], bool)
    return int(rows["rows"][known & (stated != then) & (stated == last)].sum())


def _customers_before_winning(rows: pd.DataFrame, first_win: Codes) -> tuple[int, int]:
    """Count counterparts that are "customer" in all rows before their first won deal, and all with such rows."""
    before = rows[rows["first"].to_numpy(np.int64) < first_win[rows["member"].to_numpy(np.int64)]]
    customer = (before["value"] == CUSTOMER).groupby(before["member"]).all()
    return int(customer.sum()), len(customer)


def _first_win(community: Community) -> Codes:
    """First won deal of each member or of its account, UTC microseconds; the smallest int64 for none."""
    deals = community.deals[community.deals["outcome"] == "won"]
    codes = np.arange(len(community.members))
    own = deals[deals["member"] >= 0].groupby("member")["closed_us"].min().reindex(codes)
    accounts = deals[deals["account"] >= 0].groupby("account")["closed_us"].min()
    shared = pd.Series(accounts.reindex(community.members.account).to_numpy(), index=codes)
    first: Codes = pd.concat([own, shared], axis=1).min(axis=1).fillna(NEVER).to_numpy(np.int64)
    return first
