"""The shared columns by hand in Polars: one lazy plan over all cutoffs, run by the streaming engine.

For each cutoff the rows before it are cut into bands of age (7 days, 8 to 30, ...) and counted by one integer key of member,
action and band; window counts are running sums over bands. (A conditional sum for each window takes three times as long.)
The branches are concatenated, so that the engine may run them side by side. Long results become columns by scattering them
into a dense array, which is cheaper than `pivot`. Visits are a shifted
difference over members. Not timed: making the frames, whose codes are integers and whose tags are exploded.
"""

import itertools
from collections.abc import Callable

import numpy as np
import polars as pl
from peers import cases
from peers.cases import Case

from leadlight.moments import DAY_US


def prepare(case: Case) -> Callable[[], np.ndarray]:
    """Return the call that computes the columns."""
    log = case.log
    tags_a_row = np.diff(log.tag_offsets)
    wanted = log.tag_codes < len(cases.TAGS)
    rows = pl.DataFrame(
        {"member": log.actor.astype(np.int32), "time": log.time, "code": log.action.astype(np.int8)}
    )
    tags = pl.DataFrame(
        {
            "member": np.repeat(log.actor, tags_a_row)[wanted].astype(np.int32),
            "time": np.repeat(log.time, tags_a_row)[wanted],
            "code": log.tag_codes[wanted].astype(np.int8),
        }
    )
    rows, tags = (frame.with_columns(pl.col("time").set_sorted()) for frame in (rows, tags))
    return lambda: _columns(case, rows, tags)


def _columns(case: Case, rows: pl.DataFrame, tags: pl.DataFrame) -> np.ndarray:
    gap = pl.col("time").diff().over("member")
    begins = rows.lazy().filter((gap > cases.VISIT_GAP_US).fill_null(value=True))
    begins = begins.with_columns(code=pl.lit(0, pl.Int8))
    actions, entries = len(cases.ACTIONS), len(cases.TAGS)
    plans = [
        _counted(case, rows.lazy(), actions, cases.FINITE_US),
        _counted(case, begins, 1, cases.FINITE_US),
        _counted(case, tags.lazy(), entries, cases.TAG_FINITE_US),
    ]
    by_action, by_visit, by_tag = pl.collect_all(plans, engine="streaming")
    shape = (case.cutoffs * case.members, cases.SHARED_COLUMNS)
    out = np.zeros(shape, np.float32)
    bounds = np.cumsum([0, cases.COUNTS, cases.RECENCIES, cases.VISITS, cases.TAG_COUNTS])
    counts, recencies, visits, tagged = (out[:, a:b] for a, b in itertools.pairwise(bounds))
    counts = counts.reshape(shape[0], actions + 1, len(cases.WINDOWS))
    row, code, _ = _scatter(case, by_action, counts[:, 1:])
    counts[:, 0] = counts[:, 1:].sum(axis=1)
    newest = np.full((shape[0], actions), -1, np.int64)
    np.maximum.at(newest, (row, code), by_action["newest"].to_numpy())
    newest = np.column_stack([newest.max(axis=1), newest])
    recencies[:] = np.where(newest >= 0, (case.cutoff[:, None] - newest) / DAY_US, np.nan)
    _scatter(case, by_visit, visits[:, None])
    _scatter(case, by_tag, tagged.reshape(shape[0], entries, len(cases.TAG_WINDOWS)))
    return out


def _counted(case: Case, rows: pl.LazyFrame, codes: int, windows: tuple[int, ...]) -> pl.LazyFrame:
    """Return k (the cutoff), key (of member, code and band), n, and the newest time."""
    parts = []
    for k, cutoff in enumerate(case.cutoffs_us.tolist()):
        band = pl.sum_horizontal((pl.col("time") < cutoff - w).cast(pl.Int64) for w in windows)
        key = (pl.col("member").cast(pl.Int64) * codes + pl.col("code")) * (len(windows) + 1) + band
        parts.append(
            rows.filter(pl.col("time") < cutoff)
            .select(key.alias("key"), "time")
            .group_by("key")
            .agg(pl.len().alias("n"), pl.col("time").max().alias("newest"))
            .with_columns(k=pl.lit(k, pl.Int64))
        )
    return pl.concat(parts)


def _scatter(case: Case, found: pl.DataFrame, out: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put counts into out[row, code, window]; return the row, code and band of each count."""
    codes, bands = out.shape[1:]
    rest, band = np.divmod(found["key"].to_numpy(), bands)
    member, code = np.divmod(rest, codes)
    row = found["k"].to_numpy() * case.members + member
    out[row, code, band] = found["n"].to_numpy()
    np.cumsum(out, axis=2, out=out)
    return row, code, band
