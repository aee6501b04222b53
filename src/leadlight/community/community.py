"""Community: the canonical tables of one community, checked and joined."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.encode import encode_activity, member_codes
from leadlight.community.matching import Match, match_deals
from leadlight.community.members import NEVER, Members
from leadlight.community.reading import read_table
from leadlight.community.tables import (
    SCHEMAS,
    Rejects,
    canonical,
    drop_repeated_events,
    same_identifiers,
    time_us,
    visible_from,
)
from leadlight.community.values import check_zone
from leadlight.errors import InputError, LeadlightWarning, SchemaError, closest
from leadlight.kernels.log import EncodedLog
from leadlight.moments import Moment, moment_text, moment_us

Codes = NDArray[np.int64]
FUTURE_SHARE = 0.05
"""More rows than this after `frozen_at` are an error, not a handful of wrong clocks."""

VOCABULARIES = {
    "tag": "tag",
    "group": "group",
    "role": "role",
    "job_function": "job_function",
    "field": "field_code",
}


class Community:
    """A community's log, its members and its deals.

    Parameters
    ----------
    activity : path, glob or frame
        One row per action: member_id, occurred_at, action; see the canonical tables in the documentation.
    members, deals, deal_contacts, contacts : path, glob or frame, optional
        Without members, every member of the log is a prospect. Deals name a member_id, an account_id, an e-mail address
        or a company's domain.
    columns : mapping, optional
        Canonical name to your own: `{"occurred_at": "timestamp"}`. Applies to every table that has the column.
    match : {"email", "domain", "id"}
        How deals without identifiers find their member: exact normalised e-mail, then the company's domain.
    tz : str
        Zone of timestamps that name none.
    strict : bool
        Raise on the first bad row instead of counting it.
    frozen_at : moment, optional
        Nothing after this time is believed; rows beyond it are set aside and counted.

    Attributes
    ----------
    activity : pyarrow.Table
        Canonical rows that were kept.
    members : Members
    deals : DataFrame
        deal_id, outcome ("won", "lost", None for open), opened_us, closed_us, known_us, member (code, -1 for none),
        account (code, -1 for none), amount.
    contacts : DataFrame or None
        member (code), contacted_us, chosen_by, propensity.
    matches : DataFrame
        One row per deal: matched, ambiguous or unmatched, how, and why not.
    rejects : DataFrame
        Rows that could not be used: table, reason, count, sample of row numbers.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [{"member_id": "ann", "occurred_at": "2024-03-01T10:00:00", "action": "question"}]
    >>> ll.Community(activity=log)
    Community(1 events of 1 members, 2024-03-01 to 2024-03-01, 0 deals)
    """

    def __init__(
        self,
        activity: Any,
        members: Any = None,
        deals: Any = None,
        deal_contacts: Any = None,
        contacts: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        match: Match = "email",
        tz: str = "UTC",
        strict: bool = False,
        frozen_at: Moment | None = None,
    ) -> None:
        sources = {
            "activity": activity,
            "members": members,
            "deals": deals,
            "deal_contacts": deal_contacts,
            "contacts": contacts,
        }
        check_zone(tz)
        self._rejects = Rejects()
        self.match = match
        raw = {n: read_table(s, name=n, columns=columns) for n, s in sources.items() if s is not None}
        _check_columns_argument(columns, raw)
        tables = {n: canonical(t, n, tz=tz, rejects=self._rejects, strict=strict) for n, t in raw.items()}
        tables = same_identifiers(tables, ("member_id", "other_member_id"))
        tables = same_identifiers(tables, ("account_id",))
        tables = same_identifiers(tables, ("deal_id",))
        if "deal_contacts" in tables and "deal_id" not in tables.get("deals", pa.table({})).column_names:
            raise SchemaError("deal_contacts names deals by deal_id; give a deals table with that column.")
        self._frozen = None if frozen_at is None else moment_us(frozen_at, name="frozen_at")
        self._strict = strict
        self._read_rejects = list(self._rejects.rows)
        self._load(tables)

    def _load(self, tables: dict[str, pa.Table]) -> None:
        self._rejects = Rejects(list(self._read_rejects))
        activity = self._quarantine(tables["activity"], "activity", visible_from(tables["activity"]))
        self.activity, self.repeated_events = drop_repeated_events(activity)
        self._tables = tables
        ids = [self.activity["member_id"]]
        if "other_member_id" in self.activity.column_names:
            ids.append(self.activity["other_member_id"])
        if "contacts" in tables:
            ids.append(tables["contacts"]["member_id"])
        self.members = Members(tables.get("members"), ids, _emails_in_log(self.activity))
        self.deals, self.matches = self._match(tables.get("deals"), tables.get("deal_contacts"))
        self.contacts = self._contacts(tables.get("contacts"))
        self.members.hash_addresses()
        if "email" in self.activity.column_names:
            self.activity = self.activity.drop_columns(["email"])

    def _quarantine(self, table: pa.Table, name: str, at: Codes) -> pa.Table:
        if self._frozen is None:
            return table
        future = at > self._frozen
        share = float(future.mean()) if len(future) else 0.0
        if share > FUTURE_SHARE:
            raise InputError(
                f"{share:.0%} of the {name} table lies after frozen_at={moment_text(self._frozen)}; "
                "check the clock, the zone (tz=) or the date."
            )
        self._rejects.add(name, "after frozen_at", future, self._strict)
        return table.filter(pa.array(~future)) if future.any() else table

    def _match(self, table: pa.Table | None, contacts: pa.Table | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        columns = SCHEMAS["deals"]
        if table is None:
            table = pa.table({c: pa.array([], pa.string()) for c in columns})
        frame = pd.DataFrame(
            {
                c: pd.Series(table[c].to_pylist(), dtype=object)
                for c in table.column_names
                if not c.endswith("_at")
            }
        )
        people = self.members.facts.rename_axis("member_id").reset_index()
        matches = match_deals(frame, people[["member_id", "account_id", "email", "email_domain"]], self.match)
        deals = pd.DataFrame(
            {
                "deal_id": matches["deal_id"],
                "outcome": frame["outcome"].astype(object).where(frame["outcome"].notna(), None),
                "opened_us": time_us(table, "opened_at", NEVER) if table.num_rows else np.empty(0, np.int64),
                "closed_us": time_us(table, "closed_at", NEVER) if table.num_rows else np.empty(0, np.int64),
                "known_us": time_us(table, "known_at", NEVER) if table.num_rows else np.empty(0, np.int64),
                "member": self.members.ids.get_indexer(pd.Index(matches["member_id"])),
                "account": self.members.account_ids.get_indexer(pd.Index(matches["account_id"])),
                "amount": frame["amount"].astype(float) if "amount" in frame else np.nan,
            }
        )
        undated = deals["outcome"].notna() & (deals["closed_us"] == NEVER)
        self._rejects.add("deals", "closed without closed_at", undated.to_numpy(bool), self._strict)
        # The date that sales expects an open deal to close on is no fact.
        deals.loc[deals["outcome"].isna(), "closed_us"] = NEVER
        self._deal_contacts = None if contacts is None else self._reached(contacts)
        if self._deal_contacts is not None:
            named = deals["deal_id"].isin(self._deal_contacts["deal_id"]) & (matches["status"] != "matched")
            matches.loc[named, ["status", "by", "reason"]] = ["matched", "deal_contacts", ""]
        kept = (matches["status"] == "matched") & ~undated
        unmatched = int((matches["status"] != "matched").sum())
        if len(matches) and unmatched == len(matches):
            warnings.warn(
                f"None of the {len(matches)} deals matches a member; community.matches says why.",
                LeadlightWarning,
                stacklevel=4,
            )
        return deals[kept].reset_index(drop=True), matches

    def _reached(self, table: pa.Table) -> pd.DataFrame:
        codes = member_codes(table["member_id"], self.members.ids)
        frame = pd.DataFrame(
            {"deal_id": pd.Series(table["deal_id"].to_pylist(), dtype=object), "member": codes}
        )
        return frame[frame["member"] >= 0].drop_duplicates()

    def _contacts(self, table: pa.Table | None) -> pd.DataFrame | None:
        if table is None:
            return None
        columns = table.column_names
        return pd.DataFrame(
            {
                "member": member_codes(table["member_id"], self.members.ids),
                "contacted_us": time_us(table, "contacted_at", NEVER),
                "chosen_by": pd.Series(
                    table["chosen_by"].to_pylist() if "chosen_by" in columns else None, dtype=object
                ),
                "propensity": table["propensity"].to_numpy() if "propensity" in columns else np.nan,
            },
            index=range(table.num_rows),
        ).sort_values(["contacted_us", "member"], kind="stable", ignore_index=True)

    @cached_property
    def log(self) -> EncodedLog:
        """The activity as the sweep reads it."""
        return encode_activity(self.activity, self.members)

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows that could not be used, by table and reason."""
        return self._rejects.to_pandas()

    @property
    def has_accounts(self) -> bool:
        """Whether any member belongs to an account."""
        return len(self.members.account_ids) > 0

    @property
    def peer_account(self) -> Codes:
        """Account code of every member whose activity counts as a colleague's; -1 for employees of the host."""
        return np.where(self.members.employee, -1, self.members.account)

    def peer_account_at(self, at_us: int) -> Codes:
        """Return `peer_account` as known strictly before a time: who joins an account later is no colleague yet."""
        return np.where(self.members.employee_at(at_us), -1, self.members.account_at(at_us))

    @property
    def simulated(self) -> bool:
        """Whether the log says of itself that it is simulated."""
        if "source" not in self.activity.column_names:
            return False
        return bool(pc.any(pc.equal(self.activity["source"], "simulated")).as_py())

    @cached_property
    def frozen_us(self) -> int:
        """Latest timestamp of activity, deals and contacts (UTC microseconds), unless `frozen_at` was given."""
        if self._frozen is not None:
            return self._frozen
        latest = [int(visible_from(self.activity).max(initial=NEVER))]
        if len(self.deals):
            latest.extend(int(self.deals[column].max()) for column in ("opened_us", "closed_us", "known_us"))
        if self.contacts is not None and len(self.contacts):
            latest.append(int(self.contacts["contacted_us"].max()))
        return max(latest)

    @property
    def start_us(self) -> int:
        """Time of the first activity."""
        return int(time_us(self.activity, "occurred_at", 0).min(initial=np.iinfo(np.int64).max))

    @property
    def fingerprint(self) -> str:
        """Sha256 over the encoded log and the deals: tells one state of the data from another, shows nothing of it."""
        log = self.log
        order = np.lexsort((log.action, log.time, log.actor))
        digest = hashlib.sha256()
        for array in (log.actor, log.time, log.action):
            digest.update(np.ascontiguousarray(array[order]).tobytes())
        deals = self.deals[["opened_us", "closed_us", "known_us", "member", "account"]].to_numpy(np.int64)
        digest.update(np.ascontiguousarray(deals[np.lexsort(deals.T)]).tobytes())
        return digest.hexdigest()

    def vocabulary(
        self,
        attribute: str,
        *,
        action: str | tuple[str, ...] | None = None,
        before: int | None = None,
        top: int = 20,
        min_members: int = 20,
    ) -> tuple[str, ...]:
        """Return the entries that most rows hold, of rows visible before a time, most frequent first.

        Entries that fewer than `min_members` members used are left out, so that a vocabulary names nobody. Ties go by
        the entry's text.
        """
        log = self.log
        codes = log.tag_codes if attribute == "tag" else getattr(log, VOCABULARIES[attribute])
        if codes is None:
            return ()
        rows = np.arange(len(log))
        if attribute == "tag" and log.tag_offsets is not None:
            rows = np.repeat(rows, np.diff(log.tag_offsets))
        wanted = codes >= 0
        if action is not None:
            actions = (action,) if isinstance(action, str) else action
            wanted &= np.isin(log.action[rows], [log.code("action", a) for a in actions])
        if before is not None:
            visible = log.time if log.visible_from is None else log.visible_from
            wanted &= visible[rows] < before
        entries = log.dictionaries[attribute]
        counts = np.bincount(codes[wanted], minlength=len(entries))
        pairs = np.unique(np.stack([codes[wanted].astype(np.int64), log.actor[rows[wanted]]]), axis=1)
        users = np.bincount(pairs[0], minlength=len(entries))
        # Entries are sorted, so a stable sort by count settles ties by text.
        ranked = np.argsort(-counts, kind="stable")
        return tuple(entries[i] for i in ranked if counts[i] > 0 and users[i] >= min_members)[:top]

    def codes(self, member_ids: Any) -> Codes:
        """Return the code of each member id.

        Raises
        ------
        InputError
            If an id is not of this community.
        """
        wanted = pd.Index(member_ids)
        codes: Codes = self.members.ids.get_indexer(wanted).astype(np.int64)
        if (codes < 0).any():
            unknown = list(wanted[codes < 0][:3])
            raise InputError(
                f"{int((codes < 0).sum())} member ids are not of this community; the first: {unknown}."
            )
        return codes

    def forget(self, member_id: Any) -> int:
        """Erase a member from every table, and rows of others that name it; return how many rows went.

        Raises
        ------
        InputError
            If the member is unknown.
        """
        self.codes([member_id])
        gone = 0
        # From the tables as they were read: the addresses that they hold are what finds the deals of the others.
        tables = dict(self._tables)
        matched = set(self.matches.index[self.matches["member_id"] == member_id])
        for name, table in tables.items():
            keep = np.ones(table.num_rows, bool)
            for column in ("member_id", "other_member_id"):
                if column in table.column_names:
                    hit = pc.fill_null(
                        pc.equal(table[column], pa.scalar(member_id, table[column].type)), False
                    )
                    keep &= ~hit.to_numpy()
            if name == "deals":
                keep[list(matched)] = False
            gone += int((~keep).sum())
            tables[name] = table.filter(pa.array(keep))
        for cached in ("log", "frozen_us"):
            self.__dict__.pop(cached, None)
        self._load(tables)
        return gone

    def __repr__(self) -> str:
        stamp = "simulated, " if self.simulated else ""
        if not self.activity.num_rows:
            return f"Community({stamp}no events, {len(self.members)} members, {len(self.deals)} deals)"
        first, last = (
            moment_text(us)[:10]
            for us in (self.start_us, int(time_us(self.activity, "occurred_at", 0).max()))
        )
        return (
            f"Community({stamp}{self.activity.num_rows} events of {len(self.members)} members, {first} to {last}, "
            f"{len(self.deals)} deals)"
        )


def _emails_in_log(activity: pa.Table) -> pd.Series[str] | None:
    """Addresses that the log itself holds: a column email, or identifiers that are addresses."""
    ids = activity["member_id"]
    if "email" in activity.column_names:
        frame = pd.DataFrame({"id": ids.to_pylist(), "email": activity["email"].to_pylist()}).dropna()
        return frame.drop_duplicates("id").set_index("id")["email"]
    if pa.types.is_string(ids.type):
        unique = [i for i in ids.unique().to_pylist() if i is not None and "@" in i]
        return pd.Series(unique, index=pd.Index(unique, dtype=object), dtype=object) if unique else None
    return None


def _check_columns_argument(columns: Mapping[str, str] | None, raw: dict[str, pa.Table]) -> None:
    known = {c for schema in SCHEMAS.values() for c in schema}
    present = {c for table in raw.values() for c in table.column_names}
    for canonical_name, own in (columns or {}).items():
        if canonical_name not in known:
            raise SchemaError(
                f"columns= names {canonical_name!r}, which is no canonical column{closest(canonical_name, known)}."
            )
        if canonical_name not in present:
            raise SchemaError(f"columns= maps {own!r}, which no table has{closest(own, present)}.")
