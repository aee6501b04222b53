"""Activity to features: the reference of the sweep, in NumPy.

For every observation (entity, cutoff) and every key of the plan it needs the number of rows in `[cutoff - window, cutoff)`.
Rows are sorted by entity and time once; a window is then a pair of positions, shared by all keys, and a count is the
difference of a running sum at the two. Accumulators are integers, so the order of rows never matters.

A row is visible at a cutoff when max(occurred_at, known_at) < cutoff; windows go by occurred_at. Observations of entities
with rows that became known late take an exact path: their rows are filtered for each cutoff, then swept as if each
observation were an entity of its own. An observation at whose cutoff all that had happened was known takes the short path.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.columns import fill_columns
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.start import Start
from leadlight.kernels.stream import Stream
from leadlight.plan import Plan

BLOCK_ROWS = 1 << 16
"""Observations swept at once: bounds the memory of the intermediate counts."""

LATE_PAIRS = 1 << 22
"""Pairs of (late observation, row of the log) expanded at once."""

Codes = NDArray[np.int64]


def sweep(
    plan: Plan,
    log: EncodedLog,
    entity: Codes,
    cutoff: Codes,
    *,
    account_of: Codes | None = None,
    joined: Codes | None = None,
    out: NDArray[np.float32] | None = None,
    start: Start | None = None,
) -> NDArray[np.float32]:
    """Compute the plan's columns for each observation.

    Parameters
    ----------
    plan : Plan
    log : EncodedLog
    entity : int64 array of shape (rows,)
        Member code of each observation, as in `log.actor`.
    cutoff : int64 array of shape (rows,)
        UTC microseconds; a row at the cutoff is out, one exactly a window before it is in.
    account_of : int64 array, optional
        Account code of every member code, -1 for none (and for employees, who are nobody's peers).
    joined : int64 array of shape (rows,), optional
        When the member of the observation joined; the smallest int64 means unknown.
    out : float32 array of shape (rows, columns), optional
        Written in place and returned.
    start : Start, optional
        What the history of the one member amounts to that the log no longer holds.

    Returns
    -------
    float32 array of shape (rows, columns)
        In the order of the observations; NaN is missing.
    """
    rows = len(entity)
    if out is None:
        out = np.empty((rows, len(plan.columns)), np.float32)
    late = _late(log, entity, cutoff, account_of)
    order = np.lexsort((cutoff, entity))
    prompt = order[~late[order]]
    for block in _blocks(prompt, entity):
        _sweep_prompt(plan, log, entity, cutoff, account_of, joined, block, out, start)
    for block in _late_blocks(np.flatnonzero(late), log, entity, account_of):
        _sweep_late(plan, log, entity, cutoff, account_of, joined, block, out, start)
    return out


def _blocks(order: Codes, entity: Codes) -> Iterator[Codes]:
    """Cut observations, sorted by entity, into blocks of bounded size."""
    for start in range(0, len(order), BLOCK_ROWS):
        yield order[start : start + BLOCK_ROWS]


def _sweep_prompt(
    plan: Plan,
    log: EncodedLog,
    entity: Codes,
    cutoff: Codes,
    account_of: Codes | None,
    joined: Codes | None,
    block: Codes,
    out: NDArray[np.float32],
    start: Start | None,
) -> None:
    members = entity[block]
    accounts = None if account_of is None else account_of[members]
    streams = {
        "given": Stream.of_rows(log, *_rows_of(log.actor, members)),
        "received": None if log.other is None else Stream.of_rows(log, *_received(log, members)),
        "account": None,
    }
    if account_of is not None and accounts is not None:
        row_account = _account_of_rows(log, account_of)
        streams["account"] = Stream.of_rows(log, *_rows_of(row_account, accounts))
    born = None if joined is None else joined[block]
    fill_columns(plan, log, streams, members, accounts, cutoff[block], born, out, block, start)


def _sweep_late(
    plan: Plan,
    log: EncodedLog,
    entity: Codes,
    cutoff: Codes,
    account_of: Codes | None,
    joined: Codes | None,
    block: Codes,
    out: NDArray[np.float32],
    start: Start | None,
) -> None:
    members, cutoffs = entity[block], cutoff[block]
    own = np.arange(len(block), dtype=np.int64)
    streams: dict[str, Stream | None] = {"received": None, "account": None}
    streams["given"] = Stream.of_rows(log, *_known_pairs(log, log.actor, members, cutoffs))
    if log.other is not None:
        other = np.where(log.other == log.actor, -1, log.other)
        streams["received"] = Stream.of_rows(log, *_known_pairs(log, other, members, cutoffs))
    accounts = None
    if account_of is not None:
        accounts = np.where(account_of[members] >= 0, own, -1)
        row_account = _account_of_rows(log, account_of)
        streams["account"] = Stream.of_rows(
            log, *_known_pairs(log, row_account, account_of[members], cutoffs)
        )
    born = None if joined is None else joined[block]
    fill_columns(plan, log, streams, own, accounts, cutoffs, born, out, block, start)


def _late(log: EncodedLog, entity: Codes, cutoff: Codes, account_of: Codes | None) -> NDArray[np.bool_]:
    """Which observations have a row that had happened by the cutoff and was not known yet."""
    late = np.zeros(len(entity), bool)
    if log.visible_from is None:
        return late
    rows = np.flatnonzero(log.visible_from > log.time)
    time, visible = log.time[rows], log.visible_from[rows]
    late |= _hidden(log.actor[rows], time, visible, entity, cutoff)
    if log.other is not None:
        late |= _hidden(log.other[rows], time, visible, entity, cutoff)
    if account_of is not None:
        accounts = account_of[entity]
        hidden = _hidden(_account_of_rows(log, account_of)[rows], time, visible, accounts, cutoff)
        late |= hidden & (accounts >= 0)
    return late


def _hidden(code: Codes, time: Codes, visible: Codes, wanted: Codes, cutoff: Codes) -> NDArray[np.bool_]:
    """Whether fewer rows of an entity are visible at the cutoff than have happened by it."""
    found: NDArray[np.bool_] = _before(code, time, wanted, cutoff) != _before(code, visible, wanted, cutoff)
    return found


def _before(code: Codes, time: Codes, wanted: Codes, cutoff: Codes) -> Codes:
    """Number of rows of each wanted entity with a time before the cutoff, up to a constant of the entity."""
    times = np.unique(time)
    composite = np.sort(code * (len(times) + 1) + np.searchsorted(times, time))
    return np.searchsorted(composite, wanted * (len(times) + 1) + np.searchsorted(times, cutoff))


def _late_blocks(late: Codes, log: EncodedLog, entity: Codes, account_of: Codes | None) -> Iterator[Codes]:
    """Cut late observations so that each block expands to a bounded number of pairs."""
    if not len(late):
        return
    members = int(entity.max()) + 1
    size = np.bincount(log.actor[log.actor >= 0], minlength=members)[entity[late]] + 1
    if log.other is not None:
        size = size + np.bincount(log.other[log.other >= 0], minlength=members)[entity[late]]
    if account_of is not None:
        row_account = _account_of_rows(log, account_of)
        per_account = np.bincount(row_account[row_account >= 0], minlength=int(account_of.max(initial=0)) + 1)
        accounts = account_of[entity[late]]
        size = size + np.where(accounts >= 0, per_account[accounts], 0)
    group = np.cumsum(size) // LATE_PAIRS
    yield from np.split(late, np.flatnonzero(np.diff(group)) + 1)


def _rows_of(code: Codes, wanted: Codes) -> tuple[Codes, Codes]:
    """Rows whose code is wanted, as (entity, row)."""
    rows = np.flatnonzero((code >= 0) & np.isin(code, wanted))
    return code[rows].astype(np.int64), rows


def _received(log: EncodedLog, members: Codes) -> tuple[Codes, Codes]:
    """Rows that others directed at these members; what one does to oneself is not received."""
    if log.other is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return _rows_of(np.where(log.other == log.actor, -1, log.other), members)


def _account_of_rows(log: EncodedLog, account_of: Codes) -> Codes:
    if not len(account_of):
        return np.full(len(log), -1, np.int64)
    return np.where(log.actor >= 0, account_of[np.maximum(log.actor, 0)], -1)


def _known_pairs(log: EncodedLog, code: Codes, wanted: Codes, cutoff: Codes) -> tuple[Codes, Codes]:
    """Rows known before each observation's cutoff, as (observation, row)."""
    if log.visible_from is None:
        raise ValueError("a log without late rows has no late path")
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    start = np.searchsorted(ordered, wanted, "left")
    stop = np.where(wanted >= 0, np.searchsorted(ordered, wanted, "right"), start)
    length = stop - start
    observation = np.repeat(np.arange(len(wanted), dtype=np.int64), length)
    within = np.arange(len(observation)) - np.repeat(np.cumsum(length) - length, length)
    rows = order[np.repeat(start, length) + within]
    known = log.visible_from[rows] < cutoff[observation]
    return observation[known], rows[known]
