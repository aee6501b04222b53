"""The canonical activity table -> the integer log that the sweep reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.matching import normal_domain
from leadlight.community.members import Members
from leadlight.community.tables import time_us, visible_from
from leadlight.kernels.log import EncodedLog

Codes = NDArray[np.int64]


def encode_activity(activity: pa.Table, members: Members) -> EncodedLog:
    """Return the integer form of the activity table.

    Parameters
    ----------
    activity : Table
        Canonical, in any order.
    members : Members
        Every member id that may occur; positions are the codes. Domains are those of the time of a row.
    """
    dictionaries: dict[str, tuple[str, ...]] = {}
    time = time_us(activity, "occurred_at", 0)
    visible = visible_from(activity)
    actor = member_codes(activity["member_id"], members.ids)
    action = _dictionary(activity, "action", "action", dictionaries)
    if action is None:
        raise ValueError("an activity table has actions")
    offsets, tags = _tags(activity, dictionaries)
    other = (
        member_codes(activity["other_member_id"], members.ids)
        if "other_member_id" in activity.column_names
        else None
    )
    return EncodedLog(
        actor=actor,
        time=time,
        action=action,
        visible_from=visible if bool((visible > time).any()) else None,
        other=other,
        group=_dictionary(activity, "group_id", "group", dictionaries),
        role=_dictionary(activity, "other_role", "role", dictionaries),
        job_function=_dictionary(activity, "other_job_function", "job_function", dictionaries),
        field_code=_dictionary(activity, "field", "field", dictionaries),
        filled=_filled(activity),
        same_domain=_same_domain(activity, time, actor, other, members),
        duration_ms=_duration(activity),
        tag_offsets=offsets,
        tag_codes=tags,
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


def _dictionary(
    table: pa.Table, column: str, name: str, dictionaries: dict[str, tuple[str, ...]]
) -> NDArray[np.int32] | None:
    if column not in table.column_names:
        return None
    encoded = table[column].combine_chunks().dictionary_encode()
    entries = encoded.dictionary.to_pylist()
    # Sorted entries make the codes independent of the order of rows.
    order = np.argsort(np.array(entries, dtype=object)) if entries else np.empty(0, np.int64)
    rank = np.empty(len(entries) + 1, np.int32)
    rank[order] = np.arange(len(entries))
    rank[-1] = -1
    dictionaries[name] = tuple(entries[i] for i in order)
    result: NDArray[np.int32] = rank[
        pc.fill_null(encoded.indices, len(entries)).to_numpy(zero_copy_only=False)
    ]
    return result


def _tags(
    table: pa.Table, dictionaries: dict[str, tuple[str, ...]]
) -> tuple[Codes | None, NDArray[np.int32] | None]:
    if "tags" not in table.column_names:
        return None, None
    lists = table["tags"].combine_chunks()
    flat = pa.table({"tag": pc.list_flatten(lists), "row": pc.list_parent_indices(lists)})
    codes = _dictionary(flat, "tag", "tag", dictionaries)
    if codes is None:
        return None, None
    rows = flat["row"].to_numpy().astype(np.int64)
    pairs = np.unique(np.stack([rows[codes >= 0], codes[codes >= 0].astype(np.int64)]), axis=1)
    offsets = np.searchsorted(pairs[0], np.arange(table.num_rows + 1)).astype(np.int64)
    return offsets, pairs[1].astype(np.int32)


def _filled(table: pa.Table) -> NDArray[np.bool_] | None:
    if "field" not in table.column_names:
        return None
    if "value" not in table.column_names:
        return np.ones(table.num_rows, bool)
    result: NDArray[np.bool_] = table["value"].is_valid().to_numpy()
    return result


def _duration(table: pa.Table) -> Codes | None:
    if "duration_s" not in table.column_names:
        return None
    seconds = np.nan_to_num(table["duration_s"].to_numpy(), nan=0.0)
    found: Codes | None = np.rint(np.clip(seconds, 0.0, 1e9) * 1000).astype(np.int64)
    return found


def _same_domain(
    table: pa.Table, time: Codes, actor: Codes, other: Codes | None, members: Members
) -> NDArray[np.bool_] | None:
    """Whether the other party's domain is the actor's own; None where domains are unknown."""
    if not len(members.domains):
        return None
    codes = {domain: code for code, domain in enumerate(members.domains)}
    theirs = np.full(len(actor), -1, np.int64)
    if other is not None:
        theirs = np.where(other >= 0, members.domain_at(np.maximum(other, 0), time), -1)
    if "other_domain" in table.column_names:
        encoded = table["other_domain"].combine_chunks().dictionary_encode()
        lookup = np.array(
            [codes.get(normal_domain(d) or "", -2) for d in encoded.dictionary.to_pylist()] + [-1], np.int64
        )
        given = lookup[pc.fill_null(encoded.indices, len(lookup) - 1).to_numpy(zero_copy_only=False)]
        theirs = np.where(given == -1, theirs, given)
    mine = np.where(actor >= 0, members.domain_at(np.maximum(actor, 0), time), -1)
    result: NDArray[np.bool_] = (mine >= 0) & (mine == theirs)
    return result
