"""How the training rows were spread: what monitoring compares later populations with. Aggregates, nothing of a member."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.features.batch import Elsewhere
from leadlight.moments import DAY_US
from leadlight.plan import Plan
from leadlight.runtime.model import PROFILE_WIDTH

Values = NDArray[np.float64]

BINS: Final = 10
EDGES: Final = BINS - 1
FEWEST_ROWS: Final = 200
"""With fewer a tenth would be less than 20 rows: then no profile is kept."""

ENOUGH_ROWS: Final = 1_000
"""The latest cutoffs that hold so many rows are profiled: counts since joining grow from date to date."""


def profiled_rows(cutoff_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the rows of the latest cutoffs that hold `ENOUGH_ROWS` rows together, or all."""
    cutoffs, counts = np.unique(cutoff_us, return_counts=True)
    held = np.cumsum(counts[::-1])
    last = min(int(np.searchsorted(held, ENOUGH_ROWS)), len(cutoffs) - 1)
    marked: NDArray[np.bool_] = cutoff_us >= cutoffs[::-1][last]
    return marked


def profile_of(X: pd.DataFrame | NDArray[Any]) -> Values | None:
    """Return the spread of each column over tenths.

    Parameters
    ----------
    X : array of shape (n, columns)
        NaN is missing.

    Returns
    -------
    float64 array of shape (columns, 20) or None
        Nine inner edges (distinct, rising, the rest NaN), the share of the rows in each bin `(edge, edge]`, and the share
        that is missing: shares add up to 1. None below `FEWEST_ROWS` rows.
    """
    values = np.asarray(X, float)
    if len(values) < FEWEST_ROWS:
        return None
    profile = np.full((values.shape[1], PROFILE_WIDTH), np.nan)
    profile[:, EDGES:] = 0.0
    for line, column in zip(profile, values.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf"))
            line[: len(edges)] = edges
        line[EDGES:] = shares(line[:EDGES], column)
    return profile


def shares(edges: Values, column: Values) -> Values:
    """Return the share of rows in each bin between the edges (NaN: none), and last that of missing ones, shape (11,)."""
    known = ~np.isnan(column)
    bins = np.searchsorted(edges[~np.isnan(edges)], column[known], "left")
    counts = np.append(np.bincount(bins, minlength=BINS), len(column) - known.sum())
    found: Values = counts / max(len(column), 1)
    return found


def other_tags(community: Community, plan: Plan, at_us: int, within_us: int) -> tuple[int, float]:
    """Return how often tags were used in `[at - within, at)`, and the share of them that the plan does not know.

    NaN where there is none, or the plan knows no tag.
    """
    known = plan.vocabularies.get("tag", ())
    if isinstance(community, Elsewhere):
        uses, strange_uses = community.tag_uses(known, at_us, within_us) if known else (0, 0)
        return uses, strange_uses / uses if uses else float("nan")
    log = community.log
    if log.tag_codes is None or log.tag_offsets is None or not known:
        return 0, float("nan")
    time = np.asarray(log.time)
    visible = time if log.visible_from is None else np.asarray(log.visible_from)
    used = np.repeat((time >= at_us - within_us) & (visible < at_us), np.diff(log.tag_offsets))
    entries = log.dictionaries["tag"]
    strange = np.array([entry not in set(known) for entry in entries], bool)
    codes = np.asarray(log.tag_codes)[used]
    return len(codes), float(strange[codes].mean()) if len(codes) else float("nan")


def summary_of(
    community: Community,
    plan: Plan,
    cutoff_us: NDArray[np.int64],
    cold: NDArray[np.bool_],
    within_us: int,
) -> dict[str, Any]:
    """Return what the bundle says beside the profile: rows, members a date, cold starts, tags that are not known."""
    last = int(cutoff_us.max())
    return {
        "rows": len(cutoff_us),
        "members": len(cutoff_us) / len(np.unique(cutoff_us)),
        "cold_starts": float(cold.mean()),
        "other_tags": other_tags(community, plan, last, within_us or 180 * DAY_US)[1],
    }
