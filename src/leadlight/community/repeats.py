"""Rows that repeat an event: found by a number for each row, proven by the identifiers themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.community import spool
from leadlight.community.activity import UTC, ActivityBuilder
from leadlight.community.tables import repeated_events

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


def repeated_rows(log: ActivityBuilder, keep: Bools | None) -> Codes:
    """Return the rows, of those to keep, that repeat an event_id.

    Of a text identifier a digest of 64 bits is compared first; equal digests are suspects only, so that the answer is
    exact. Two arrays of 8 bytes a row are held; more only for the suspects.
    """
    if "event_id" not in log.arrows or not log.rows:
        return np.empty(0, np.int64)
    ids = log.identifiers("event_id")
    digest, candidate = np.empty(log.rows, np.int64), np.empty(log.rows, bool)
    at = 0
    for chunk, numbers in _digests(ids):
        digest[at : at + len(chunk)] = numbers
        candidate[at : at + len(chunk)] = chunk.is_valid().to_numpy(zero_copy_only=False)
        at += len(chunk)
    if keep is not None:
        candidate &= keep
    held = np.sort(digest[candidate])
    twice = np.unique(held[1:][held[1:] == held[:-1]])
    del held
    if not len(twice):
        return np.empty(0, np.int64)
    for start in range(0, log.rows, spool.BLOCK_ROWS):
        block = slice(start, start + spool.BLOCK_ROWS)
        place = np.minimum(np.searchsorted(twice, digest[block]), len(twice) - 1)
        candidate[block] &= twice[place] == digest[block]
    suspects = np.flatnonzero(candidate)
    found = [
        rows[repeated_events(_suspects(log, ids, rows))] for rows in _together(suspects, digest[suspects])
    ]
    return np.sort(np.concatenate(found))


def _digests(ids: pa.ChunkedArray) -> Iterator[tuple[pa.Array, NDArray[Any]]]:
    if pa.types.is_integer(ids.type):
        yield from ((chunk, chunk.fill_null(0).to_numpy(zero_copy_only=False)) for chunk in ids.chunks)
        return
    import duckdb

    with duckdb.connect(":memory:") as connection:
        for chunk in ids.chunks:
            relation = connection.from_arrow(pa.table({"v": chunk}))
            hashed = relation.project("hash(v) AS h").to_arrow_table()["h"].to_numpy()
            yield chunk, hashed.view(np.int64)


def _together(rows: Codes, digest: Codes) -> Iterator[Codes]:
    """Cut rows into parts of bounded size, equal digests in one part, each part in the order of rows."""
    order = np.argsort(digest, kind="stable")
    first = np.flatnonzero(np.diff(digest[order], prepend=digest[order[0]] - 1) != 0)
    part = first // spool.BLOCK_ROWS
    cuts = first[np.flatnonzero(np.diff(part) > 0) + 1]
    yield from (np.sort(rows[piece]) for piece in np.split(order, cuts))


def _suspects(log: ActivityBuilder, ids: pa.ChunkedArray, rows: Codes) -> pa.Table:
    columns = {"event_id": ids.take(pa.array(rows))}
    for name in log.columns:
        if name in log.entries and name in log.spools:
            codes = log.spools[name].array()[rows]
            columns[name] = log.entries[name].values.take(pa.array(codes, mask=codes < 0))
        elif name == "duration_s":
            columns[name] = pa.array(log.spools[name].array()[rows])
        elif name in log.arrows and name != "event_id":
            columns[name] = _as_text(log, name, rows)
    for name in ("occurred_at", "known_at"):
        if name in log.columns:
            # A null is the smallest number here, and there too.
            columns[name] = pa.array(log.spools[name].array()[rows]).cast(UTC)
    return pa.table(columns)


def _as_text(log: ActivityBuilder, name: str, rows: Codes) -> pa.Array:
    """Return values in an order that does not depend on that of the rows: tags by their texts, not by their codes."""
    taken = log.arrows[name].chunks().take(pa.array(rows)).to_pylist()
    if name != "tags":
        return pa.array([None if value is None else str(value) for value in taken], pa.string())
    tags = log.entries["tags"].values.to_pylist()
    texts = [
        None if row is None else "\0".join(sorted(tags[code] for code in row if code is not None))
        for row in taken
    ]
    return pa.array(texts, pa.string())
