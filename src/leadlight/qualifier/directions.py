"""Directions by behaviour: from "more questions never count against" to the columns that must obey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leadlight.errors import InputError, closest
from leadlight.plan import Plan

DIRECTIONS: Final = {
    "count": 1,
    "sum_duration": 1,
    "visits": 1,
    "visits_per_month": 1,
    "distinct": 1,
    "completeness": 1,
    "peers": 1,
    "recency": -1,
}
"""Which way a column goes when there is more of what it measures. A recency is days since the last time, so it falls.

The others have none and stay free. A trend, a surprise and a first time set the behaviour against the member's own past:
they fall when there was more of it earlier. A ratio or a share sets it against something else, the entropy says how it is
spread, and the length of the last visit and the time since joining are no amount of anything."""


def column_signs(monotone: Mapping[str, int] | None, plan: Plan) -> dict[str, int]:
    """Return the sign of each column that a direction by behaviour (or column) sets.

    Parameters
    ----------
    monotone : mapping of str to int
        Behaviour or column -> 1 (more never lowers the score), -1 (more never raises it) or 0 (free). A behaviour's
        sign is turned round on its recencies and reaches no column without a direction; a column's own is taken as it
        is and goes before that of its behaviour.
    plan : Plan

    Raises
    ------
    InputError
        A name is not known, a sign is none, or a behaviour has columns but none with a direction.
    """
    given = dict(monotone or {})
    behaviours = {b.name: b.columns for b in plan.behaviours}
    operation = {c.name: c.operation for c in plan.columns}
    signs: dict[str, int] = {}
    for name, sign in given.items():
        if name not in behaviours and name not in operation:
            raise InputError(
                f"monotone names {name!r}, which is no behaviour of the catalogue and no column of its plan"
                f"{closest(str(name), [*behaviours, *operation])}."
            )
        if isinstance(sign, bool) or sign not in (-1, 0, 1):
            raise InputError(
                f"monotone[{name!r}] is {sign!r}; use 1 where more of it never lowers the score, -1 where it never raises it."
            )
        if name not in behaviours:
            continue
        held = {c: sign * DIRECTIONS[operation[c]] for c in behaviours[name] if operation[c] in DIRECTIONS}
        if sign and behaviours[name] and not held:
            raise InputError(
                f"monotone names {name!r}, which measures nothing that has a direction; name the columns instead: "
                f"{', '.join(behaviours[name][:3])}."
            )
        signs |= held
    # Whoever names a column means that column, whatever was said of its behaviour.
    return signs | {name: int(sign) for name, sign in given.items() if name in operation}
