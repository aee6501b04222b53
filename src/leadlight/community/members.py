"""Members: one code each, today's facts, and dated facts as of a time."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.community.matching import FREE_MAIL, email_domain, hashed_email, normal_domain, normal_email
from leadlight.community.member_times import MemberTimes
from leadlight.community.tables import time_us

Codes = NDArray[np.int64]
NEVER = np.iinfo(np.int64).min


class Members:
    """Every member that any table names.

    Attributes
    ----------
    ids : Index of shape (members,)
        Sorted; the position of an id is its code.
    facts : DataFrame
        One row per member, newest facts: account_id, email (normalised, dropped after matching), email_domain, role,
        job_function, joined_us, refused.
    account_ids : Index
        Position is the account code.
    account : int64 array of shape (members,)
        Account code, -1 for none.
    """

    def __init__(
        self, table: pa.Table | None, extra_ids: list[pa.ChunkedArray], emails: pd.Series[str] | None
    ) -> None:
        frame = pd.DataFrame({"member_id": pd.Series([], dtype=object)}) if table is None else _frame(table)
        seen = pd.Index(frame["member_id"].unique())
        for ids in extra_ids:
            seen = seen.union(pd.Index(ids.combine_chunks().unique().drop_null().to_pylist()), sort=False)
        self.ids: pd.Index[Any] = seen.sort_values()
        newest = frame.drop_duplicates("member_id", keep="last").set_index("member_id")
        facts = newest.reindex(self.ids)
        dated = frame[frame["joined_us"] != NEVER] if "joined_us" in frame else None
        # The earliest row that says when a member joined; before that row began to hold nobody knew.
        first = None if dated is None else dated.drop_duplicates("member_id").set_index("member_id")
        for own, column in (("joined_us", "joined_us"), ("joined_known_us", "valid_us")):
            facts[own] = (
                NEVER
                if first is None
                else first[column].reindex(self.ids).fillna(NEVER).astype(np.int64).to_numpy()
            )
        for column in ("account_id", "email", "email_domain", "role", "job_function"):
            if column not in facts:
                facts[column] = pd.Series(None, index=facts.index, dtype=object)
        if emails is not None:
            facts["email"] = (
                facts["email"].astype(object).where(facts["email"].notna(), emails.reindex(self.ids))
            )
        facts["email"] = facts["email"].map(normal_email, na_action="ignore").astype(object)
        domains = facts["email_domain"].map(normal_domain, na_action="ignore").astype(object)
        facts["email_domain"] = domains.where(
            domains.notna(), facts["email"].map(email_domain, na_action="ignore")
        )
        if "consent" in facts:
            # Where consent is asked for, a member of whom nothing is recorded has not given it.
            facts["refused"] = ~facts["consent"].map(lambda v: v is True or v is np.True_).to_numpy(bool)
        else:
            facts["refused"] = False
        self.facts: pd.DataFrame = facts
        self.knows_domains = emails is not None or not {"email", "email_domain"}.isdisjoint(frame.columns)
        self._dated(frame, emails)

    def _dated(self, frame: pd.DataFrame, from_log: pd.Series[str] | None) -> None:
        """Keep what is needed to answer "which role, account or domain had this member then"."""
        start = frame["valid_us"].to_numpy(np.int64) if "valid_us" in frame else np.empty(0, np.int64)
        code = self.ids.get_indexer(pd.Index(frame["member_id"])).astype(np.int64)
        order = np.lexsort((start, code))
        frame = frame.iloc[order]
        self._row_code: Codes = code[order]
        self._row_start: Codes = start[order]
        self._row_role: NDArray[Any] = _column(frame, "role").to_numpy(object)
        emails = _column(frame, "email")
        if from_log is not None:
            emails = emails.where(emails.notna(), frame["member_id"].map(from_log))
        emails = emails.map(normal_email, na_action="ignore")
        domains = _column(frame, "email_domain").map(normal_domain, na_action="ignore").astype(object)
        domains = domains.where(domains.notna(), emails.map(email_domain, na_action="ignore"))
        accounts = _column(frame, "account_id")
        facts = self.facts
        # A company's domain stands for the account in a table that has none, or none among the facts that hold always:
        # the first account that anybody gets later must not change what was known before.
        always = self._row_start == NEVER
        if "account_id" not in frame or (always.any() and not accounts[always].notna().any()):
            facts["account_id"] = _or_company(facts["account_id"], facts["email_domain"])
            accounts = _or_company(accounts, domains)
        self.account_ids: pd.Index[Any] = _distinct(accounts, facts["account_id"])
        self.account: Codes = _codes(facts["account_id"], self.account_ids)
        self._row_account: Codes = _codes(accounts, self.account_ids)
        known = _distinct(domains, facts["email_domain"])
        self.domain: Codes = _codes(facts["email_domain"], known)
        self.domains: pd.Index[Any] = known
        self._row_domain: Codes = _codes(domains, known)
        self.dated = bool((self._row_start != NEVER).any())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def employee(self) -> NDArray[np.bool_]:
        """Members who work for the host, or stand for nobody: counterparts, never rows."""
        found: NDArray[np.bool_] = (self.facts["role"] == "employee").to_numpy(bool)
        return found

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Members who have not consented; all have where there is no consent column."""
        found: NDArray[np.bool_] = self.facts["refused"].to_numpy(bool)
        return found

    @property
    def joined_us(self) -> Codes:
        """When each joined, UTC microseconds; the smallest int64 where unknown."""
        found: Codes = self.facts["joined_us"].to_numpy(np.int64)
        return found

    def joined_at(self, code: Codes, at_us: Codes) -> Codes:
        """When each joined as known strictly before a time; the smallest int64 where unknown."""
        known = self.facts["joined_known_us"].to_numpy(np.int64)[code] < at_us
        return np.where(known, self.joined_us[code], NEVER)

    def role_at(self, code: Codes, at_us: Codes) -> NDArray[Any]:
        """Role as known strictly before a time; undated roles hold always, None where unknown."""
        at, found = self._row_at(code, at_us)
        roles = np.full(len(code), None, object)
        roles[found] = self._row_role[at[found]]
        return roles

    def account_at(self, at_us: int) -> Codes:
        """Account code of every member as known strictly before a time, -1 for none."""
        if not self.dated:
            return self.account
        at, found = self._row_at(np.arange(len(self), dtype=np.int64), np.full(len(self), at_us))
        return np.where(found, self._row_account[at], np.where(self._listed, -1, self.account))

    def employee_at(self, at_us: int) -> NDArray[np.bool_]:
        """Whether every member was known as an employee strictly before a time."""
        found: NDArray[np.bool_] = (
            self.role_at(np.arange(len(self), dtype=np.int64), np.full(len(self), at_us)) == "employee"
        )
        return found

    def domain_at(self, code: Codes, at_us: Codes) -> Codes:
        """Code into `domains` of the e-mail domain at a time, that time included; -1 for none."""
        if not self.dated:
            return self.domain[code]
        at, found = self._row_at(code, at_us + 1)
        return np.where(found, self._row_domain[at], np.where(self._listed[code], -1, self.domain[code]))

    def account_changes(self) -> tuple[Codes, Codes]:
        """(member, time) at which a dated row changed who counts as whose colleague."""
        employee = self._row_role == "employee"
        state = np.where(employee, -1, self._row_account)
        first = np.diff(self._row_code, prepend=-1) != 0
        before = np.where(first, -1, np.roll(state, 1))
        changed = (state != before) & (self._row_start != NEVER)
        return self._row_code[changed], self._row_start[changed]

    def dated_rows(self) -> tuple[Codes, Codes]:
        """(member, time) from which on a dated row holds."""
        dated = self._row_start != NEVER
        return self._row_code[dated], self._row_start[dated]

    @cached_property
    def _listed(self) -> NDArray[np.bool_]:
        listed = np.zeros(len(self), bool)
        listed[self._row_code] = True
        return listed

    def _row_at(self, code: Codes, at_us: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Position of each member's newest row from strictly before a time, and whether there is one."""
        if not len(self._row_code):
            return np.zeros(len(code), np.int64), np.zeros(len(code), bool)
        at = MemberTimes(self._row_code, self._row_start).before(code, at_us) - 1
        found = (at >= 0) & (self._row_code[np.maximum(at, 0)] == code)
        return np.maximum(at, 0), found

    def hash_addresses(self) -> None:
        """Replace e-mail addresses by digests; called once deals are matched."""
        self.facts["email"] = self.facts["email"].map(hashed_email, na_action="ignore").astype(object)


def _or_company(account: pd.Series[Any], domain: pd.Series[Any]) -> pd.Series[Any]:
    return account.astype(object).where(account.notna(), domain.where(~domain.isin(FREE_MAIL)))


def _column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    return frame[name].astype(object) if name in frame else pd.Series(None, index=frame.index, dtype=object)


def _distinct(*columns: pd.Series[Any]) -> pd.Index[Any]:
    return pd.Index(sorted({v for column in columns for v in column.dropna().unique()}), dtype=object)


def _codes(values: pd.Series[Any], entries: pd.Index[Any]) -> Codes:
    found: Codes = entries.get_indexer(pd.Index(values.astype(object))).astype(np.int64)
    return found


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            c: pd.Series(table[c].to_pylist(), dtype=object)
            for c in table.column_names
            if c not in ("joined_at", "valid_from")
        }
    )
    if "joined_at" in table.column_names:
        frame["joined_us"] = time_us(table, "joined_at", NEVER)
    frame["valid_us"] = time_us(table, "valid_from", NEVER)
    return frame.sort_values("valid_us", kind="stable").reset_index(drop=True)
