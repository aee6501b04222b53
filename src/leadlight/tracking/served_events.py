"""Events of several members in one frame, as a scoring server gets them; pandas is imported by who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from leadlight.errors import InputError, SchemaError
from leadlight.runtime import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from leadlight.runtime import Prediction

NUMBERS: Final = ("probability", "low", "high", "percentile")

FACTS: Final = ("joined_at", "email_domain")
"""The member's own facts, repeated on its rows."""

EVENT_COLUMNS: Final = (
    "member_id",
    "occurred_at",
    "action",
    "event_id",
    "known_at",
    "tags",
    "group_id",
    "other_member_id",
    "other_role",
    "other_job_function",
    "other_domain",
    "duration_s",
    "source",
    "content_id",
    "field",
    "value",
    *FACTS,
)


def are_events(frame: Any) -> bool:
    """Whether a frame holds events and not feature rows."""
    names = set(map(str, getattr(frame, "columns", ())))
    return {"occurred_at", "action"} <= names


def predict_events(scorer: Scorer, frame: pd.DataFrame, at: Any, reasons: int) -> pd.DataFrame:
    """Score each member that did something in the frame, all at one moment.

    Parameters
    ----------
    scorer : Scorer
    frame : DataFrame
        One row per event: member_id, occurred_at, action and what else `leadlight.runtime.events.encode_events` reads.
        Rows of others that name a member as other_member_id count as received by it. joined_at and email_domain, if
        there, are facts of the row's member: the first value that is not null.
    at : moment or None
        By default one microsecond after the newest event, of whomever.
    reasons : int

    Raises
    ------
    SchemaError
        There is no column member_id.
    InputError
        A member_id is null, or a value cannot be read.
    """
    import pandas as pd

    names = [name for name in EVENT_COLUMNS if name in frame.columns]
    if "member_id" not in names:
        raise SchemaError(f"Events need a column member_id; the frame has {list(map(str, frame.columns))}.")
    events = frame[names].reset_index(drop=True)
    who = events["member_id"]
    if who.isna().any():
        raise InputError(f"member_id is null in {int(who.isna().sum())} events; leave those rows out.")
    events = events.drop(columns=[name for name in FACTS if name in names])
    if "tags" in names:
        events["tags"] = [
            t if isinstance(t, list | tuple | np.ndarray | str) else None for t in events["tags"]
        ]
    own = who.groupby(who, sort=False).indices
    received: dict[Any, Any] = {}
    if "other_member_id" in names:
        other = events["other_member_id"]
        received = other.dropna().groupby(other.dropna(), sort=False).groups
    at_us = _newest(events) + 1 if at in (None, "") and len(events) else at
    found, members = [], list(own)
    for member in members:
        rows = np.union1d(own[member], np.asarray(received.get(member, ()), np.int64))
        facts: dict[str, Any] = {"member_id": member}
        for name in (n for n in FACTS if n in names):
            known = frame[name].iloc[own[member]].dropna()
            facts[name] = known.iloc[0] if len(known) else None
        found.append(scorer.predict(events.iloc[rows], facts, at=at_us, reasons=reasons))
    result = as_frame(found, scorer.version, None)
    result.insert(0, "member_id", pd.Series(members, dtype=who.dtype).to_numpy())
    result["cold_start"] = np.array([p.cold_start for p in found], bool)
    result["missing"] = pd.Series([list(p.missing) for p in found], dtype=object).to_numpy()
    return result


def _newest(events: pd.DataFrame) -> int:
    """Return the latest time at which an event happened or became known, microseconds; as the Scorer reads times."""
    from leadlight.runtime.fact_columns import times_us

    columns = [name for name in ("occurred_at", "known_at") if name in events]
    latest = [
        times_us(events[name].dropna().tolist(), name) for name in columns if events[name].notna().any()
    ]
    return max(int(us.max()) for us in latest)


def as_frame(found: Sequence[Prediction], version: str, index: Any) -> pd.DataFrame:
    """Return predictions as a table, one row each."""
    import pandas as pd

    columns: dict[str, Any] = {n: np.array([getattr(p, n) for p in found], float) for n in NUMBERS}
    columns["grade"] = pd.Series([p.grade for p in found], dtype=object).to_numpy()
    columns["qualified"] = np.array([p.qualified for p in found], bool)
    columns["reasons"] = pd.Series([[r.text for r in p.reasons] for p in found], dtype=object).to_numpy()
    columns["model_version"] = np.full(len(found), version, dtype=object)
    return pd.DataFrame(columns, index=index)
