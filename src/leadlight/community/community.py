"""Community: the canonical tables of one community, checked and joined."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.activity import MEMBERS, Activity, ActivityBuilder
from leadlight.community.addresses import digest_of, stand_in, with_stand_ins
from leadlight.community.arguments import check_columns_argument, check_values_argument
from leadlight.community.counting import log_digest, member_digests, most_used, stated_of_others
from leadlight.community.deals import contacts_of, deal_contacts_of, matched_deals, members_named
from leadlight.community.doubts import doubts
from leadlight.community.encode import encode
from leadlight.community.matching import Match
from leadlight.community.members import NEVER, Members
from leadlight.community.reading import Source, open_table
from leadlight.community.refused import RefusedRows
from leadlight.community.repeats import repeated_rows
from leadlight.community.tables import (
    Rejects,
    RowCheck,
    canonical,
    canonical_batch,
    require,
    same_identifiers,
)
from leadlight.community.values import Notation, check_zone
from leadlight.errors import InputError, SchemaError, warn
from leadlight.kernels.log import EncodedLog
from leadlight.moments import Moment, moment_text, moment_us

Codes = NDArray[np.int64]
FUTURE_SHARE = 0.05
"""More rows than this after `frozen_at` are an error, not a handful of wrong clocks."""


class Community:
    """A community's log, its members and its deals.

    Parameters
    ----------
    activity : path, glob or frame
        One row per action: member_id, occurred_at, action; see the canonical tables in the documentation. It is read in
        batches; of more than four million rows (`community.spool.SPILL_ROWS`) integer columns are kept in nameless
        files of the temporary folder (TMPDIR, about 100 bytes a row while reading) and mapped, not held in memory.
    members, deals, deal_contacts, contacts : path, glob or frame, optional
        Without members, every member of the log is a prospect. Deals name a member_id, an account_id, an e-mail address
        or a company's domain; deal_contacts and contacts a member_id or an e-mail address.
    columns : mapping, optional
        Canonical name to your own: `{"occurred_at": "timestamp"}`. Applies to every table that has the column;
        `{"deals.email": "Contact Email"}` to that table alone.
    values : mapping, optional
        What the words of a column mean: `{"action": {"topic_viewed": "view"}, "outcome": {"Proposal": "open"}}`. Of any
        column of text; other words stay as they are. A model that is fitted here reads actions by both names.
    day_first : bool, optional
        How to read dates such as 03/04/2025, 3/4/25 9:05 PM and 03.04.2025: False: the month comes first, True: the day.
        Without it they cannot be read; dates such as 2025-03-04 always can.
    tag_separator : str, optional
        What stands between the tags in one text, such as ``","``. Default: | or ;. A JSON list needs none.
    match : {"email", "domain", "id"}
        How deals without identifiers find their member: exact normalised e-mail, then the company's domain.
    tz : str
        Zone of timestamps that name none.
    strict : bool
        Raise on the first bad row instead of counting it.
    frozen_at : moment, optional
        Nothing after this time is believed; rows beyond it are set aside and counted.
    refused : path-like, optional
        A folder that takes the rows that could not be used, in a file such as ``activity.jsonl`` for each table that had
        some: number, reason and what the row held, **addresses too**. `forget` does not reach these files.

    Attributes
    ----------
    activity : pyarrow.Table
        Canonical rows that were kept. Of a log in files it is a mapped view, texts and members as dictionary arrays.
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
        values: Mapping[str, Mapping[str, str]] | None = None,
        day_first: bool | None = None,
        tag_separator: str | None = None,
        match: Match = "email",
        tz: str = "UTC",
        strict: bool = False,
        frozen_at: Moment | None = None,
        refused: str | os.PathLike[str] | None = None,
    ) -> None:
        sources = {
            "activity": activity,
            "members": members,
            "deals": deals,
            "deal_contacts": deal_contacts,
            "contacts": contacts,
        }
        check_zone(tz)
        check_values_argument(values)
        notation = Notation(tz, day_first, tag_separator, values or {})
        self.own_actions: Mapping[str, str] = dict((values or {}).get("action", {}))
        self._rejects = Rejects()
        self.match = match
        opened = {n: open_table(s, name=n, columns=columns) for n, s in sources.items() if s is not None}
        check_columns_argument(columns, {n: table.schema.names for n, table in opened.items()})
        for name, table in opened.items():  # before a long log is read
            require(table.columns, name)
        self._frozen = None if frozen_at is None else moment_us(frozen_at, name="frozen_at")
        self._strict = strict
        self._saved = None if refused is None else RefusedRows(refused)
        try:
            self._read(opened, notation)
        except BaseException:
            if self._saved is not None:
                self._saved.drop()
            raise
        if self._saved is not None:
            self._saved.finish()
            self._saved = None

    def _read(self, opened: dict[str, Source], notation: Notation) -> None:
        log = self._read_activity(opened.pop("activity"), notation)
        save = None if self._saved is None else self._saved.add
        tables = {
            n: with_stand_ins(
                canonical(
                    o.table(), n, notation=notation, rejects=self._rejects, strict=self._strict, save=save
                )
            )
            for n, o in opened.items()
        }
        tables = self._same_identifiers(log, tables)
        if "deal_contacts" in tables and "deal_id" not in tables.get("deals", pa.table({})).column_names:
            raise SchemaError("deal_contacts names deals by deal_id; give a deals table with that column.")
        self._read_rejects = list(self._rejects.rows)
        self._load(log, tables)

    def _read_activity(self, opened: Source, notation: Notation) -> ActivityBuilder:
        log, check = ActivityBuilder(), RowCheck("activity")
        for batch in opened.batches():
            before = check.rows
            log.append(*canonical_batch(batch, check, notation))
            if self._saved is not None and check.marked:
                self._saved.add("activity", before, batch, check.reasons(batch.num_rows))
        check.report(self._rejects, self._strict)
        log.hide_addresses()
        return log

    @staticmethod
    def _same_identifiers(log: ActivityBuilder, tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
        """Give identifiers one type in all tables; the log's distinct ones stand for its own."""
        found = same_identifiers({"activity": log.identifier_types(), **tables}, MEMBERS)
        log.unify(found.pop("activity"))
        return same_identifiers(same_identifiers(found, ("account_id",)), ("deal_id",))

    def _load(self, log: ActivityBuilder, tables: dict[str, pa.Table]) -> None:
        self._rejects = Rejects(list(self._read_rejects))
        keep = self._quarantine(log)
        repeated = repeated_rows(log, keep)
        self.repeated_events = len(repeated)
        if len(repeated):
            keep = np.ones(log.rows, bool) if keep is None else keep
            keep[repeated] = False
        # Rows that count for nothing today may count when another member is forgotten.
        self._activity = log.finish(keep)
        self._aside = None if keep is None else log.finish(~keep)
        self._aside_rows = np.empty(0, np.int64) if keep is None else np.flatnonzero(~keep)
        self._others = tables
        ids = [self._activity.ids(column) for column in MEMBERS if column in self._activity.entries]
        if "contacts" in tables and "member_id" in tables["contacts"].column_names:
            ids.append(tables["contacts"]["member_id"])
        self.members = Members(tables.get("members"), ids, _emails_in_log(self._activity))
        # Who each row of these tables is about, kept because an address alone no longer says it once it is hashed.
        self._about = {n: self._whom(tables[n], n) for n in ("deal_contacts", "contacts") if n in tables}
        reached, contacts = tables.get("deal_contacts"), tables.get("contacts")
        self._deal_contacts = (
            None if reached is None else deal_contacts_of(reached, self._about["deal_contacts"])
        )
        self.deals, self.matches = self._match(tables.get("deals"))
        self.contacts = None if contacts is None else contacts_of(contacts, self._about["contacts"])
        for told in doubts(self):
            warn(told)
        facts = self.members.facts
        facts["email"] = facts["email"].map(digest_of, na_action="ignore").astype(object)

    def _quarantine(self, log: ActivityBuilder) -> NDArray[np.bool_] | None:
        """Return which rows of the log lie before `frozen_at`, None if all do."""
        if self._frozen is None:
            return None
        future = np.zeros(log.rows, bool)
        for at, visible in log.visible():
            future[at : at + len(visible)] = visible > self._frozen
        share = float(future.mean()) if len(future) else 0.0
        if share > FUTURE_SHARE:
            raise InputError(
                f"{share:.0%} of the activity table lies after frozen_at={moment_text(self._frozen)}; "
                "check the clock, the zone (tz=) or the date."
            )
        self._reject("activity", "after frozen_at", future, lambda: log.finish(future))
        return ~future if future.any() else None

    def _reject(self, name: str, reason: str, bad: NDArray[np.bool_], held: Any) -> None:
        """Count rows that were read and cannot be used, and save them; of the log, `held` returns those rows alone."""
        self._rejects.add(name, reason, bad, self._strict)
        if self._saved is None or not bad.any():
            return
        if isinstance(held, pa.Table):
            reasons = np.full(len(bad), None, object)
            reasons[bad] = reason
            self._saved.add(name, 0, held, reasons)
            return
        log, at = held(), np.flatnonzero(bad)
        for rows in log.blocks():
            for number, row in zip(at[rows].tolist(), _single(log.rows(rows)), strict=True):
                self._saved.add(name, number, row, np.array([reason], object))

    def _match(self, table: pa.Table | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        deals, matches = matched_deals(table, self.members, self.match)
        undated = (deals["outcome"].notna() & (deals["closed_us"] == NEVER)).to_numpy(bool)
        self._reject("deals", "closed without closed_at", undated, table)
        if self._deal_contacts is not None:
            named = deals["deal_id"].isin(self._deal_contacts["deal_id"]) & (matches["status"] != "matched")
            matches.loc[named, ["status", "by", "reason"]] = ["matched", "deal_contacts", ""]
        kept = (matches["status"] == "matched") & ~undated
        return deals[kept].reset_index(drop=True), matches

    def _whom(self, table: pa.Table, name: str) -> Codes:
        """Return the member of each row, -1 for none."""
        codes = members_named(table, self.members)
        if "email" in table.column_names:
            self._reject(name, "no single member has this address", codes < 0, table)
        return codes

    @cached_property
    def activity(self) -> pa.Table:
        """Canonical rows that were kept; of a log that is in files a mapped view, its texts as dictionary arrays."""
        return self._activity.table()

    @cached_property
    def log(self) -> EncodedLog:
        """The activity as the sweep reads it."""
        return encode(self._activity, self.members)

    @property
    def _tables(self) -> dict[str, pa.Table]:
        """Every canonical table as it was read, stand-ins for addresses; the whole log in memory."""
        return {"activity": pa.concat_tables(self._read_rows()), **self._others}

    def _read_rows(self) -> Iterator[pa.Table]:
        """Yield the log as it was read, rows that count for nothing in their places."""
        log, aside = self._activity, self._aside
        if aside is None:
            yield from (log.rows(rows) for rows in log.blocks()) if len(log) else [log.rows(slice(0, 0))]
            return
        # How many kept rows come before each one that is aside.
        before = self._aside_rows - np.arange(len(self._aside_rows))
        blocks = list(log.blocks()) or [slice(0, 0)]
        for rows in blocks:
            last = rows is blocks[-1]
            some = slice(
                *(
                    int(i)
                    for i in np.searchsorted(before, (rows.start, rows.stop if not last else len(log) + 1))
                )
            )
            kept, other = log.rows(rows), aside.rows(some)
            order = np.argsort(
                np.append(rows.start + np.arange(kept.num_rows), before[some] - 0.5), kind="stable"
            )
            yield pa.concat_tables([kept, other]).take(pa.array(order))

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows that could not be used, by table and reason."""
        return self._rejects.to_pandas()

    def action_counts(self, before: int | None = None) -> dict[str, int]:
        """Return each action with its number of rows, the most frequent first: what `values=` may have to name.

        Parameters
        ----------
        before : int, optional
            Rows that were visible before this time (UTC microseconds).
        """
        log = self._activity
        names = log.entries["action"].to_pylist()
        counts = np.zeros(len(names) + 1, np.int64)
        for rows in log.blocks():
            codes = log.codes["action"][rows]
            known = codes if before is None else codes[log.visible(rows) < before]
            counts += np.bincount(known.astype(np.int64) + 1, minlength=len(names) + 1)  # -1: none
        found = [(str(name), int(count)) for name, count in zip(names, counts[1:], strict=True) if count]
        return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))

    def note_rejects(self, table: str, found: Mapping[str, tuple[int, list[int]]]) -> None:
        """Add what a reader could not turn into rows of the canonical tables to `rejects`.

        Parameters
        ----------
        table : str
            What to call the source.
        found : mapping
            Reason to (count, sample of row numbers).
        """
        noted = [
            {"table": table, "reason": reason, "rows": rows, "sample": sample}
            for reason, (rows, sample) in found.items()
        ]
        self._read_rejects.extend(noted)
        self._rejects.rows.extend(noted)

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
        return (
            "source" in self._activity.entries and "simulated" in self._activity.entries["source"].to_pylist()
        )

    @cached_property
    def frozen_us(self) -> int:
        """Latest timestamp of activity, deals and contacts (UTC microseconds), unless `frozen_at` was given."""
        if self._frozen is not None:
            return self._frozen
        latest = [self.newest_us]
        if len(self.deals):
            latest.extend(int(self.deals[column].max()) for column in ("opened_us", "closed_us", "known_us"))
        if self.contacts is not None and len(self.contacts):
            latest.append(int(self.contacts["contacted_us"].max()))
        return max(latest)

    @cached_property
    def newest_us(self) -> int:
        """When the newest row of the log was known, UTC microseconds; the smallest int64 for none."""
        log = self._activity
        return max((int(log.visible(rows).max()) for rows in log.blocks()), default=int(NEVER))

    @property
    def start_us(self) -> int:
        """Time of the first activity."""
        return int(self._activity.time.min(initial=np.iinfo(np.int64).max))

    @cached_property
    def first_seen_us(self) -> Codes:
        """When each member first acted, UTC microseconds; the largest int64 for who never did."""
        log = self.log
        first = np.full(len(self.members), np.iinfo(np.int64).max)
        for rows in self._activity.blocks():
            actor, time = log.actor[rows], log.time[rows]
            np.minimum.at(first, actor[actor >= 0], time[actor >= 0])
        return first

    @property
    def fingerprint(self) -> str:
        """Sha256 over the encoded log and the deals: tells one state of the data from another, shows nothing of it."""
        digest = log_digest(*self._member_digests())
        deals = self.deals[["opened_us", "closed_us", "known_us", "member", "account"]].to_numpy(np.int64)
        digest.update(np.ascontiguousarray(deals[np.lexsort(deals.T)]).tobytes())
        return digest.hexdigest()

    def _member_digests(self) -> tuple[Codes, NDArray[np.uint64]]:
        return member_digests(self.log, len(self.members))

    def acted(self, cutoffs: Codes | None, windows: Any) -> EncodedLog:
        """Return the rows that say who was active at some cutoffs, and who entered when: the whole log.

        A community whose log is elsewhere returns those rows of it that make a difference.

        Parameters
        ----------
        cutoffs : int64 array or None
            None: every row may matter.
        windows : Windows
            With active_within_us, enters_on and frozen_us.
        """
        return self.log

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
        actions = (action,) if isinstance(action, str) else action
        return most_used(
            self.log,
            attribute,
            len(self.members),
            actions=actions,
            before=before,
            top=top,
            min_members=min_members,
        )

    def stated(self, attribute: str, since: tuple[Codes, Codes]) -> pd.DataFrame:
        """Return which roles or job functions the log states of the members that its rows name.

        Parameters
        ----------
        attribute : {"role", "job_function"}
        since : two int64 arrays, codes of members and UTC microseconds
            A member's rows before such a time, and those from it on, are told apart.

        Returns
        -------
        DataFrame
            member, value, part (orders a member's times between bounds), first and last (UTC microseconds), rows.
        """
        return stated_of_others(self.log, attribute, since)

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
        (code,) = self.codes([member_id])
        # From the tables as they were read: rows that counted for nothing may count now, and deals may find another.
        tables = dict(self._others)
        matched = set(self.matches.index[self.matches["member_id"] == member_id])
        log, gone = ActivityBuilder(spilled=self._activity.spilled), 0
        for block in self._read_rows():
            keep = _naming_others(block, member_id)
            gone += int((~keep).sum())
            log.append(block.filter(pa.array(keep)))
        for name, table in tables.items():
            keep = _naming_others(table, member_id)
            if name == "deals":
                keep[list(matched)] = False
            elif name in self._about:
                keep &= self._about[name] != code
            gone += int((~keep).sum())
            tables[name] = table.filter(pa.array(keep))
        for cached in ("log", "frozen_us", "newest_us", "activity", "first_seen_us"):
            self.__dict__.pop(cached, None)
        self._load(log, tables)
        return gone

    def __repr__(self) -> str:
        stamp = "simulated, " if self.simulated else ""
        if not len(self._activity):
            return f"Community({stamp}no events, {len(self.members)} members, {len(self.deals)} deals)"
        first, last = (moment_text(us)[:10] for us in (self.start_us, int(self._activity.time.max())))
        return (
            f"Community({stamp}{len(self._activity)} events of {len(self.members)} members, {first} to {last}, "
            f"{len(self.deals)} deals)"
        )

    def _repr_html_(self) -> str:
        from leadlight.community.showing import community_html

        return community_html(self)


def _naming_others(table: pa.Table, member_id: Any) -> NDArray[np.bool_]:
    """Return which rows do not name a member."""
    keep = np.ones(table.num_rows, bool)
    for column in MEMBERS:
        if column in table.column_names:
            hit = pc.fill_null(pc.equal(table[column], pa.scalar(member_id, table[column].type)), False)
            keep &= ~hit.to_numpy()
    return keep


def _emails_in_log(log: Activity) -> pd.Series[str] | None:
    """Stand-ins for the addresses that the log itself holds: a column email, or identifiers that are addresses."""
    ids = log.entries["member_id"].to_pylist()
    if "email" in log.codes:
        first = np.full(len(ids), -1, np.int64)
        since = np.full(len(ids), np.iinfo(np.int64).max)
        for rows in log.blocks():
            told = log.codes["email"][rows] >= 0
            member, email = log.codes["member_id"][rows][told], log.codes["email"][rows][told]
            known = log.visible(rows)[told]
            # The address that was known first, of equals the first by its text: whatever the order of rows.
            order = np.lexsort((email, known, member))
            member, email, known = member[order], email[order], known[order]
            head = np.diff(member, prepend=-1) != 0
            member, email, known = member[head], email[head], known[head]
            sooner = known < since[member]
            sooner |= (known == since[member]) & (email < first[member])
            first[member[sooner]], since[member[sooner]] = email[sooner], known[sooner]
        named = np.flatnonzero(first >= 0)
        addresses = log.entries["email"].take(pa.array(first[named])).to_pylist()
        return pd.Series(addresses, index=pd.Index([ids[i] for i in named]), dtype=object)
    found_ids = [i for i in ids if isinstance(i, str) and "@" in i]
    if not found_ids:
        return None
    stand_ins = [stand_in(i) for i in found_ids]
    return pd.Series(stand_ins, index=pd.Index(found_ids, dtype=object), dtype=object)


def _single(table: pa.Table) -> Iterator[pa.Table]:
    yield from (table.slice(at, 1) for at in range(table.num_rows))
