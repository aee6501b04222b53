"""Questions to the whole log, answered block by block: which entries most members use, what is stated of whom, a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import spool
from leadlight.community.member_times import MemberTimes
from leadlight.kernels.log import EncodedLog

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

ENTRIES_AT_ONCE = 64
"""Entries whose users are told apart at once: a bool for each of them and each member."""

NOTHING_STATED = pd.DataFrame(
    {
        name: np.empty(0, object if name == "value" else np.int64)
        for name in ("member", "value", "part", "first", "last", "rows")
    }
)

ATTRIBUTES = {"group": "group", "role": "role", "job_function": "job_function", "field": "field_code"}


def most_used(
    log: EncodedLog,
    attribute: str,
    members: int,
    *,
    actions: tuple[str, ...] | None,
    before: int | None,
    top: int,
    min_members: int,
) -> tuple[str, ...]:
    """Return the entries that most rows hold and enough members use, most frequent first, ties by text."""
    if (log.tag_codes if attribute == "tag" else getattr(log, ATTRIBUTES[attribute])) is None:
        return ()
    entries = log.dictionaries[attribute]
    wanted = None if actions is None else np.array([log.code("action", a) for a in actions])
    counts = np.zeros(len(entries), np.int64)
    for codes, _ in _held(log, attribute, wanted, before):
        counts += np.bincount(codes, minlength=len(entries))
    # Entries are sorted, so a stable sort by count settles ties by text.
    ranking = np.argsort(-counts, kind="stable")
    # An entry that fewer rows hold has fewer users too.
    ranking = ranking[counts[ranking] >= max(min_members, 1)]
    chosen: list[str] = []
    for at in range(0, len(ranking), ENTRIES_AT_ONCE):
        asked = ranking[at : at + ENTRIES_AT_ONCE]
        place = np.full(len(entries), -1, np.int64)
        place[asked] = np.arange(len(asked))
        # The last column is that of rows of nobody.
        used = np.zeros((len(asked), members + 1), bool)
        for codes, actor in _held(log, attribute, wanted, before):
            found = place[codes]
            used[found[found >= 0], actor[found >= 0]] = True
        users = used.sum(axis=1)
        chosen += [entries[e] for e, n in zip(asked, users, strict=True) if n >= min_members]
        if len(chosen) >= top:
            break
    return tuple(chosen[:top])


def _held(
    log: EncodedLog, attribute: str, actions: NDArray[np.int64] | None, before: int | None
) -> Iterator[tuple[Codes, Codes]]:
    """Yield (entry, actor) of the rows that count, block by block."""
    visible = log.time if log.visible_from is None else log.visible_from
    for start in range(0, len(log), spool.BLOCK_ROWS):
        rows = slice(start, min(start + spool.BLOCK_ROWS, len(log)))
        chosen = np.ones(rows.stop - rows.start, bool)
        if actions is not None:
            chosen &= np.isin(log.action[rows], actions)
        if before is not None:
            chosen &= visible[rows] < before
        actor = log.actor[rows]
        if attribute == "tag" and log.tag_offsets is not None and log.tag_codes is not None:
            offsets = log.tag_offsets[rows.start : rows.stop + 1]
            each = np.diff(offsets)
            codes = log.tag_codes[offsets[0] : offsets[-1]]
            chosen, actor = np.repeat(chosen, each), np.repeat(actor, each)
        else:
            codes = getattr(log, ATTRIBUTES[attribute])[rows]
        chosen &= codes >= 0
        yield codes[chosen].astype(np.int64), actor[chosen]


def stated_of_others(log: EncodedLog, attribute: str, since: tuple[Codes, Codes]) -> pd.DataFrame:
    """Return what rows state of the members that they name; see `Community.stated`."""
    codes, parts = getattr(log, ATTRIBUTES[attribute]), list[pd.DataFrame]()
    whose, at = since
    order = np.lexsort((at, whose))
    bounds = MemberTimes(whose[order], at[order])
    if codes is None or log.other is None or not len(log):
        return NOTHING_STATED
    entries = np.array(log.dictionaries[attribute], object)
    for start in range(0, len(log), spool.BLOCK_ROWS):
        rows = slice(start, start + spool.BLOCK_ROWS)
        kept = (codes[rows] >= 0) & (log.other[rows] >= 0)
        member, time = log.other[rows][kept].astype(np.int64), np.asarray(log.time[rows])[kept]
        value = entries[codes[rows][kept]]
        found = {"member": member, "value": value, "part": bounds.up_to(member, time), "first": time}
        parts.append(_together(pd.DataFrame({**found, "last": time, "rows": 1})))
    return _together(pd.concat(parts))


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    grouped = rows.groupby(["member", "value", "part"], as_index=False)
    return grouped.agg({"first": "min", "last": "max", "rows": "sum"})


def log_digest(counts: Codes, sums: NDArray[np.uint64]) -> hashlib._Hash:
    """Return sha256 over what `member_digests` says of each member: no row has to be sorted or brought together."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(counts, np.int64).tobytes())
    digest.update(np.ascontiguousarray(sums, np.uint64).tobytes())
    return digest


def member_digests(log: EncodedLog, members: int) -> tuple[Codes, NDArray[np.uint64]]:
    """Return how many rows each member gave, and the sum of their hashes modulo 2^64: equal in any order of rows."""
    sums = np.zeros(members, np.uint64)
    for start in range(0, len(log), spool.BLOCK_ROWS):
        rows = slice(start, start + spool.BLOCK_ROWS)
        given = log.actor[rows] >= 0
        np.add.at(sums, log.actor[rows][given], hashed(log.time[rows][given], log.action[rows][given]))
    return rows_per_member(log.actor, members), sums


def hashed(*columns: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
    """Return a hash of each row of some integer columns: Spark's ``xxhash64`` of them as bigint, bit for bit."""
    found = np.full(len(columns[0]), 42, np.uint64)
    for column in columns:
        value = column.astype(np.int64).view(np.uint64)
        found = found + _PRIMES[4] + np.uint64(8)
        found = found ^ (_turned(value * _PRIMES[1], 31) * _PRIMES[0])
        found = _turned(found, 27) * _PRIMES[0] + _PRIMES[3]
        found = (found ^ (found >> np.uint64(33))) * _PRIMES[1]
        found = (found ^ (found >> np.uint64(29))) * _PRIMES[2]
        found = found ^ (found >> np.uint64(32))
    return found


_PRIMES = np.array(
    [0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5],
    np.uint64,
)
"""Of XXH64."""


def _turned(value: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    return (value << np.uint64(by)) | (value >> np.uint64(64 - by))


def rows_per_member(member: Codes, members: int) -> Codes:
    """Return how many rows of the log name each member in a column."""
    counts = np.zeros(members, np.int64)
    for start in range(0, len(member), spool.BLOCK_ROWS):
        named = member[start : start + spool.BLOCK_ROWS]
        counts += np.bincount(named[named >= 0], minlength=members)
    return counts


def part_of(size: Codes, most: int | None = None) -> Codes:
    """Return the part of each of several things in order, each part of about `most` in size."""
    before = np.cumsum(size) - size
    # Numbered without gaps: one thing may be larger than a part.
    parts: Codes = np.unique(before // (spool.BLOCK_ROWS if most is None else most), return_inverse=True)[1]
    return parts


def rows_of_parts(part: Codes, *columns: Codes) -> list[NDArray[np.integer[Any]]]:
    """Return the rows of the log whose member, in any of the columns, is of each part; a row once for each part.

    Parameters
    ----------
    part : int64 array of shape (members,)
        From 0, without gaps; -1 for members whose rows nobody asks for.
    *columns : int64 arrays of shape (n,)
        Codes of members, -1 for none.
    """
    found: list[list[NDArray[Any]]] = [[] for _ in range(int(part.max(initial=-1)) + 1)]
    rows = len(columns[0])
    kind = np.uint32 if rows < 1 << 32 else np.int64
    # The last place is that of rows that name nobody.
    lookup = np.append(part, -1)
    for start in range(0, rows, spool.BLOCK_ROWS):
        taken = [lookup[column[start : start + spool.BLOCK_ROWS]] for column in columns]
        for number, one in enumerate(taken):
            parts = one.copy()
            for before in taken[:number]:
                parts[one == before] = -1
            order = np.argsort(parts, kind="stable")
            ends = np.searchsorted(parts[order], np.arange(len(found) + 1))
            for place, (first, stop) in enumerate(pairwise(ends)):
                if stop > first:
                    found[place].append((start + order[first:stop]).astype(kind))
    return [np.concatenate(pieces) if pieces else np.empty(0, kind) for pieces in found]
