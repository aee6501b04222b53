"""The log of a community -> the integer log that the sweep reads, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.activity import Activity, ActivityBuilder
from leadlight.community.matching import normal_domain
from leadlight.community.members import Members
from leadlight.community.spool import Spool
from leadlight.kernels.log import EncodedLog

Codes = NDArray[np.int64]

NAMES = {
    "action": "action",
    "group_id": "group",
    "other_role": "role",
    "other_job_function": "job_function",
    "field": "field",
}
"""Columns whose codes the sweep reads, and what it calls their dictionaries."""


def encode_activity(activity: pa.Table, members: Members) -> EncodedLog:
    """Return the integer form of a canonical activity table, in any order.

    Parameters
    ----------
    activity : Table
    members : Members
        Every member id that may occur; positions are the codes. Domains are those of the time of a row.
    """
    builder = ActivityBuilder()
    builder.append(activity)
    return encode(builder.finish(), members)


def encode(activity: Activity, members: Members) -> EncodedLog:
    """Return the integer form of a log; columns that it holds already are shared, the others are where it is."""
    actor = _members(activity, "member_id", members)
    other = _members(activity, "other_member_id", members) if "other_member_id" in activity.codes else None
    codes = {name: activity.codes.get(column) for column, name in NAMES.items()}
    dictionaries = {
        name: tuple(activity.entries[column].to_pylist())
        for column, name in NAMES.items()
        if column in activity.codes
    }
    if "tags" in activity.columns:
        dictionaries["tag"] = tuple(activity.tags.to_pylist())
    if codes["action"] is None:
        raise ValueError("an activity table has actions")
    return EncodedLog(
        actor=actor,
        time=activity.time,
        action=codes["action"],
        visible_from=_visible(activity),
        other=other,
        group=codes["group"],
        role=codes["role"],
        job_function=codes["job_function"],
        field_code=codes["field"],
        filled=_filled(activity),
        same_domain=_same_domain(activity, actor, other, members),
        duration_ms=_duration(activity),
        tag_offsets=activity.tag_offsets,
        tag_codes=activity.tag_codes,
        dictionaries=dictionaries,
    )


def member_codes(ids: pa.ChunkedArray, members: pd.Index[Any]) -> Codes:
    """Return the position of each id in `members`, -1 for null and unknown."""
    encoded = ids.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    lookup = np.append(members.get_indexer(pd.Index(encoded.dictionary.to_pylist())), -1).astype(np.int64)
    found: Codes = lookup[pc.fill_null(encoded.indices, len(lookup) - 1).to_numpy(zero_copy_only=False)]
    return found


def _members(activity: Activity, column: str, members: Members) -> Codes:
    ids = pd.Index(activity.entries[column].to_pylist())
    lookup = np.append(members.ids.get_indexer(ids), -1).astype(np.int64)
    found = Spool(np.int64, spilled=activity.spilled)
    for rows in activity.blocks():
        found.append(lookup[activity.codes[column][rows]])
    return found.array()


def _visible(activity: Activity) -> Codes | None:
    """When each row was known, None where all were known when they happened."""
    if activity.known is None:
        return None
    if not any((activity.known[rows] > activity.time[rows]).any() for rows in activity.blocks()):
        return None
    found = Spool(np.int64, spilled=activity.spilled)
    for rows in activity.blocks():
        found.append(activity.visible(rows))
    return found.array()


def _filled(activity: Activity) -> NDArray[np.bool_] | None:
    if "field" not in activity.codes:
        return None
    if "value" not in activity.plain:
        return np.ones(len(activity), bool)
    found = Spool(bool, spilled=activity.spilled)
    for chunk in activity.plain["value"].chunks:
        found.append(chunk.is_valid().to_numpy(zero_copy_only=False))
    return found.array()


def _duration(activity: Activity) -> Codes | None:
    if activity.duration is None:
        return None
    found = Spool(np.int64, spilled=activity.spilled)
    for rows in activity.blocks():
        seconds = np.nan_to_num(activity.duration[rows], nan=0.0)
        found.append(np.rint(np.clip(seconds, 0.0, 1e9) * 1000).astype(np.int64))
    return found.array()


def _same_domain(
    activity: Activity, actor: Codes, other: Codes | None, members: Members
) -> NDArray[np.bool_] | None:
    """Whether the other party's domain is the actor's own; None where domains are unknown."""
    if not members.knows_domains:
        return None
    codes = {domain: code for code, domain in enumerate(members.domains)}
    given = None
    if "other_domain" in activity.codes:
        entries = activity.entries["other_domain"].to_pylist()
        given = np.array([codes.get(normal_domain(d) or "", -2) for d in entries] + [-1], np.int64)
    found = Spool(bool, spilled=activity.spilled)
    for rows in activity.blocks():
        time = activity.time[rows]
        theirs = np.full(len(time), -1, np.int64)
        if other is not None:
            theirs = _domains(other[rows], time, members)
        if given is not None:
            said = given[activity.codes["other_domain"][rows]]
            theirs = np.where(said == -1, theirs, said)
        mine = _domains(actor[rows], time, members)
        found.append((mine >= 0) & (mine == theirs))
    return found.array()


def _domains(member: Codes, time: Codes, members: Members) -> Codes:
    return np.where(member >= 0, members.domain_at(np.maximum(member, 0), time), -1)
