"""A plan over a whole log, for many observations at once."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.behaviours import Catalogue
from leadlight.community import Community
from leadlight.community.counting import part_of, rows_of_parts, rows_per_member
from leadlight.errors import InputError
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.native import native_kernels
from leadlight.kernels.sweep import sweep
from leadlight.observations import Observations
from leadlight.plan import Plan

Codes = NDArray[np.int64]
_LOG = logging.getLogger(__name__)


EVENTS_AT_ONCE = 1_000_000
"""Rows of the log that the reference sweeps at once; a longer log is taken in parts, each that of whole members.

It holds a running sum of 8 bytes for each of them and each key of the plan: 2.4 GB for 300 keys."""

NATIVE_EVENTS_AT_ONCE = 20_000_000
"""The native kernel packs four million rows at a time by itself; parts bound its index, some 30 bytes a row."""

ROWS_AT_ONCE = 1 << 18
"""Observations that are swept at once where their rows of the result lie apart."""


class Elsewhere(ABC):
    """The part of a `Community` whose log is not on this machine: it makes the features where the log is."""

    @abstractmethod
    def write_features(self, codes: Codes, cutoffs: Codes, plan: Plan, out: NDArray[np.float32]) -> None:
        """Write the plan's columns of each (member, cutoff) into `out`, in their order."""

    @abstractmethod
    def tag_uses(self, known: tuple[str, ...], at_us: int, within_us: int) -> tuple[int, int]:
        """Return how often tags were used in `[at - within, at)`, and how often such as are not among `known`."""


def _check_actions(plan: Plan, community: Community) -> None:
    """Raise `InputError` for a log that was read without the names of actions that the plan was made with."""
    if not plan.own_actions or community.own_actions:
        return
    unread = set(plan.own_actions) & set(community.action_counts())
    if unread:
        raise InputError(
            f"The model calls the log's action {min(unread)!r} {plan.own_actions[min(unread)]!r}. Read the log as it was read "
            f"for training: Community(..., values={{'action': {dict(plan.own_actions)}}})."
        )


def build_features(
    community: Community,
    observations: Observations,
    plan: Plan | Catalogue,
    *,
    out: NDArray[np.float32] | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Compute the plan's columns for every observation.

    Parameters
    ----------
    community : Community
    observations : Observations
        Of the same community.
    plan : Plan or Catalogue
        A catalogue is compiled before the latest cutoff given. For training and test use one plan, compiled before
        the training period ends.
    out : float32 array of shape (observations, columns), optional
        Written in place, part by part: `np.lib.format.open_memmap` makes one on disk for a result that memory does not
        hold. By default a new array.
    threads : int
        Threads of the native kernel; the result does not depend on it.

    Returns
    -------
    DataFrame of float32, shape (observations, columns)
        In the order of the observations, index (member_id, cutoff). Each row uses only what was known before its cutoff;
        NaN is missing. With `out` it is a view of that array: nothing is copied, and it lives as long as the array.

    Raises
    ------
    InputError
        If `plan` is neither, a member is not of this community, or `out` does not fit.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Count("question", window=("2d", "30d")),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_count_2d': 1.0, 'question_count_30d': 3.0}
    """
    cutoffs = observations.cutoff_us
    if isinstance(plan, Catalogue):
        plan = plan.compile(community, int(cutoffs.max()) if len(cutoffs) else None)
    if not isinstance(plan, Plan):
        raise InputError(f"plan is a {type(plan).__name__}; give a Plan or a Catalogue.")
    _check_actions(plan, community)
    codes = community.codes(observations.frame["member_id"])
    values = _checked(out, (len(codes), len(plan.columns)))
    if isinstance(community, Elsewhere):
        community.write_features(codes, cutoffs, plan, values)
        return pd.DataFrame(values, index=observations.index, columns=pd.Index(plan.column_names), copy=False)
    joined = community.members.joined_at(codes, cutoffs)
    done, began = 0, time.monotonic()
    for rows, account_of in _by_accounts(community, codes, cutoffs):
        for some, log in _by_members(community, codes, rows, account_of):
            for block in _blocks(some):
                # A slice is written where it lies; rows that lie apart are swept, then put in their places.
                target = values[block] if isinstance(block, slice) else None
                found = sweep(
                    plan,
                    log,
                    codes[block],
                    cutoffs[block],
                    account_of=account_of,
                    joined=joined[block],
                    out=target,
                    threads=threads,
                )
                if target is None:
                    values[block] = found
                done += len(found)
                _LOG.info(
                    "features: %d of %d rows, %d columns, %.1f s",
                    done,
                    len(codes),
                    len(plan.columns),
                    time.monotonic() - began,
                )
    return pd.DataFrame(values, index=observations.index, columns=pd.Index(plan.column_names), copy=False)


def _checked(out: NDArray[np.float32] | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    if out is None:
        return np.empty(shape, np.float32)
    if not isinstance(out, np.ndarray):
        raise InputError(f"out is a {type(out).__name__}; give a NumPy array, such as a memory map.")
    if out.shape != shape or out.dtype != np.float32 or not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError(
            f"out is {out.dtype} of shape {out.shape}; give a writable float32 array of shape {shape} in C order."
        )
    # A plain array over the same memory: operations on a memory map make memory maps.
    return out.view(np.ndarray)


def _blocks(rows: Codes) -> Iterator[slice | Codes]:
    """Yield one slice where the rows are consecutive, else parts of them."""
    if not len(rows):
        return
    if rows[-1] - rows[0] == len(rows) - 1:
        yield slice(int(rows[0]), int(rows[-1]) + 1)
        return
    yield from (rows[at : at + ROWS_AT_ONCE] for at in range(0, len(rows), ROWS_AT_ONCE))


def _by_members(
    community: Community, codes: Codes, rows: Codes, account_of: Codes | None
) -> Iterator[tuple[Codes, EncodedLog]]:
    """Yield observations with the part of the log that tells all about them; a short log is one part."""
    log = community.log
    at_once = EVENTS_AT_ONCE if native_kernels() is None else NATIVE_EVENTS_AT_ONCE
    if len(log) <= at_once:
        yield rows, log
        return
    members = len(community.members)
    # Who shares an account is in one part, since each counts as the others' colleague.
    owner = np.arange(members, dtype=np.int64)
    if account_of is not None:
        owner = np.where(account_of >= 0, account_of + members, owner)
    size = rows_per_member(log.actor, members)
    if log.other is not None:
        size += rows_per_member(log.other, members)
    part = np.full(int(owner.max(initial=-1)) + 1, -1, np.int64)
    asked = np.unique(owner[codes[rows]])
    part[asked] = part_of(np.bincount(owner, size, minlength=len(part))[asked].astype(np.int64), at_once)
    part = part[owner]
    columns = [log.actor] if log.other is None else [log.actor, log.other]
    of_rows = part[codes[rows]]
    order = np.argsort(of_rows, kind="stable")
    pieces = np.split(rows[order], np.flatnonzero(np.diff(of_rows[order])) + 1)
    for some, events in zip(pieces, rows_of_parts(part, *columns), strict=True):
        yield some, some_of(log, events)


def some_of(log: EncodedLog, rows: NDArray[np.integer[Any]]) -> EncodedLog:
    """Return some rows of a log, with its dictionaries."""
    taken = {
        one.name: getattr(log, one.name)[rows]
        for one in fields(log)
        if isinstance(getattr(log, one.name), np.ndarray) and not one.name.startswith("tag_")
    }
    if log.tag_offsets is not None and log.tag_codes is not None:
        start = log.tag_offsets[rows]
        size = log.tag_offsets[1:][rows] - start
        offsets = np.append(0, np.cumsum(size))
        taken["tag_offsets"] = offsets
        taken["tag_codes"] = log.tag_codes[
            np.repeat(start - offsets[:-1], size) + np.arange(offsets[-1], dtype=np.int64)
        ]
    return replace(log, **taken)


def _by_accounts(community: Community, codes: Codes, cutoffs: Codes) -> Iterator[tuple[Codes, Codes | None]]:
    """Yield the rows that see the same accounts, and those accounts: facts join as of the cutoff."""
    everything = np.arange(len(codes), dtype=np.int64)
    if not community.has_accounts or not len(codes):
        yield everything, None
        return
    member, at = community.members.account_changes()
    if not len(at):
        yield everything, community.peer_account_at(int(cutoffs.max()))
        return
    # A change counts where its member was seen or asked for before it; most begin with the member.
    seen = community.first_seen_us.copy()
    np.minimum.at(seen, codes, cutoffs - 1)
    epoch = np.searchsorted(np.unique(at[seen[member] <= at]), cutoffs, "left")
    for one in np.unique(epoch):
        rows = everything[epoch == one]
        yield rows, community.peer_account_at(int(cutoffs[rows].max()))
