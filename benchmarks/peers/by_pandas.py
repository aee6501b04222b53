"""The shared columns by hand in pandas, as it is usually written and at its best, and in NumPy alone.

All walk the cutoffs over rows that are sorted by time, so that a window is a slice found by binary search.

"groupby" stays with frames: for each cutoff and window `groupby(["member", "code"]).size().unstack()`, for recencies
`groupby.last`, then one `reindex` and `concat`.

"bands" and "numpy" use that every member is asked for at every cutoff, so that counts fit a dense array. Windows are cut
into bands of age (7 days, 8 to 30, ...): a row is counted once for each cutoff, and window counts are sums over bands. What
is older than the longest window is added once, as it grows old. (member, action) is one integer key; "bands" counts keys
with pandas' `value_counts` (a hash table), "numpy" with `bincount` (an array of all keys). The newest row of each key is
kept from cutoff to cutoff. Observations at other times than a few common cutoffs cannot be computed in this way.

Visits are differences by member. Not timed: making the frames, whose codes are integers and whose tags are exploded.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from peers import cases
from peers.cases import Case

from leadlight.moments import DAY_US

Tally = Callable[[np.ndarray, int], np.ndarray]


def tally_pandas(key: np.ndarray, size: int) -> np.ndarray:
    """Count keys with pandas."""
    found = pd.Series(key, copy=False).value_counts(sort=False)
    dense = np.zeros(size, np.int64)
    dense[found.index.to_numpy()] = found.to_numpy()
    return dense


def tally_numpy(key: np.ndarray, size: int) -> np.ndarray:
    """Count keys with NumPy."""
    return np.bincount(key, minlength=size)


def starts_pandas(member: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return which rows begin a visit."""
    gap = pd.DataFrame({"member": member, "time": time}).groupby("member", sort=False)["time"].diff()
    return (gap.isna() | (gap > cases.VISIT_GAP_US)).to_numpy()


def starts_numpy(member: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return which rows begin a visit."""
    order = np.argsort(member, kind="stable")
    first = np.diff(member[order], prepend=-1) != 0
    found = np.empty(len(member), bool)
    found[order] = first | (np.diff(time[order], prepend=0) > cases.VISIT_GAP_US)
    return found


def prepare(case: Case) -> dict[str, Callable[[], np.ndarray]]:
    """Return the three calls that compute the columns."""
    log = case.log
    tags_a_row = np.diff(log.tag_offsets)
    wanted = log.tag_codes < len(cases.TAGS)
    rows = pd.DataFrame({"member": log.actor, "time": log.time, "code": log.action.astype(np.int64)})
    tags = pd.DataFrame(
        {
            "member": np.repeat(log.actor, tags_a_row)[wanted],
            "time": np.repeat(log.time, tags_a_row)[wanted],
            "code": log.tag_codes[wanted].astype(np.int64),
        }
    )
    return {
        "pandas, groupby": lambda: _frames(case, rows, tags),
        "pandas, bands": lambda: _columns(case, rows, tags, tally_pandas, starts_pandas),
        "NumPy, bands": lambda: _columns(case, rows, tags, tally_numpy, starts_numpy),
    }


def _columns(case: Case, rows: pd.DataFrame, tags: pd.DataFrame, tally: Tally, starts: Any) -> np.ndarray:
    shape = (case.cutoffs, case.members, cases.SHARED_COLUMNS)
    out = np.empty(shape, np.float32)
    bounds = np.cumsum([0, cases.COUNTS, cases.RECENCIES, cases.VISITS, cases.TAG_COUNTS])
    counts, recencies, visits, tagged = (out[:, :, a:b] for a, b in itertools.pairwise(bounds))
    counts = counts.reshape(*shape[:2], len(cases.ACTIONS) + 1, len(cases.WINDOWS))
    _count(case, rows, counts[:, :, 1:], cases.FINITE_US, tally)
    counts[:, :, 0] = counts[:, :, 1:].sum(axis=2)
    _recencies(case, rows, recencies)
    begins = rows[starts(rows["member"].to_numpy(), rows["time"].to_numpy())].assign(code=0)
    _count(case, begins, visits[:, :, None], cases.FINITE_US, tally)
    by_tag = tagged.reshape(*shape[:2], len(cases.TAGS), len(cases.TAG_WINDOWS))
    _count(case, tags, by_tag, cases.TAG_FINITE_US, tally)
    return out.reshape(-1, cases.SHARED_COLUMNS)


def _count(case: Case, frame: pd.DataFrame, out: np.ndarray, windows: tuple[int, ...], tally: Tally) -> None:
    """Fill out[cutoff, member, code, window]; the last window is all that was before the cutoff."""
    width = out.shape[2]
    size, shape = case.members * width, (case.members, width)
    time, key = frame["time"].to_numpy(), (frame["member"] * width + frame["code"]).to_numpy()
    old, done = np.zeros(size, np.int64), 0
    for k, cutoff in enumerate(case.cutoffs_us):
        edges = np.searchsorted(time, [cutoff, *(cutoff - w for w in windows)], "left")
        total = np.zeros(size, np.int64)
        for j in range(len(windows)):
            total += tally(key[edges[j + 1] : edges[j]], size)
            out[k, :, :, j] = total.reshape(shape)
        old += tally(key[done : edges[-1]], size)
        done = edges[-1]
        out[k, :, :, -1] = (total + old).reshape(shape)


def _recencies(case: Case, rows: pd.DataFrame, out: np.ndarray) -> None:
    width = len(cases.ACTIONS)
    time, key = rows["time"].to_numpy(), (rows["member"] * width + rows["code"]).to_numpy()
    newest, done = np.full(case.members * width, -1, np.int64), 0
    for k, cutoff in enumerate(case.cutoffs_us):
        end = np.searchsorted(time, cutoff, "left")
        # Rows are in order of time, and of equal keys the last one stays.
        newest[key[done:end]] = time[done:end]
        done = end
        table = newest.reshape(case.members, width)
        table = np.column_stack([table.max(axis=1), table])
        out[k] = np.where(table >= 0, (cutoff - table) / DAY_US, np.nan)


def _frames(case: Case, rows: pd.DataFrame, tags: pd.DataFrame) -> np.ndarray:
    begins = rows[starts_pandas(rows["member"].to_numpy(), rows["time"].to_numpy())].assign(code=0)
    actions = range(len(cases.ACTIONS))
    found = []
    for cutoff in case.cutoffs_us.tolist():
        by_action = [_sizes(case, rows, cutoff, w, actions) for w in (*cases.FINITE_US, None)]
        blocks = [np.column_stack([w.sum(axis=1) for w in by_action])]
        blocks += [np.column_stack([w[code] for w in by_action]) for code in actions]
        before = rows.iloc[: rows["time"].searchsorted(cutoff)]
        newest = before.groupby(["member", "code"], sort=False)["time"].last().unstack("code")
        newest = newest.reindex(index=range(case.members), columns=actions)
        newest.insert(0, "any", newest.max(axis=1))
        blocks.append((cutoff - newest.to_numpy()) / DAY_US)
        blocks.append(
            np.column_stack([_sizes(case, begins, cutoff, w, range(1))[0] for w in (*cases.FINITE_US, None)])
        )
        entries = range(len(cases.TAGS))
        by_tag = [_sizes(case, tags, cutoff, w, entries) for w in (*cases.TAG_FINITE_US, None)]
        blocks += [np.column_stack([w[code] for w in by_tag]) for code in entries]
        found.append(np.hstack(blocks).astype(np.float32))
    return np.vstack(found)


def _sizes(case: Case, frame: pd.DataFrame, cutoff: int, window: int | None, codes: range) -> pd.DataFrame:
    """Return counts in [cutoff - window, cutoff), a row for each member, a column for each code."""
    start = 0 if window is None else frame["time"].searchsorted(cutoff - window)
    rows = frame.iloc[start : frame["time"].searchsorted(cutoff)]
    found = rows.groupby(["member", "code"], sort=False).size().unstack("code", fill_value=0)
    return found.reindex(index=range(case.members), columns=codes, fill_value=0)
