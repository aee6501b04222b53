"""Who could have been approached at random in a window of time, and what a random approach weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate.sales import OFFICE_HOURS

if TYPE_CHECKING:
    from leadlight.simulate.sales import Sales

Array = NDArray[Any]


def explored(sales: Sales, begin: float, end: float) -> dict[str, Array]:
    """Return per member what the random draws within ``[begin, end)``, in weeks from the start, amount to.

    Returns
    -------
    dict of ndarray of shape (members,)
        The columns of `Truth.exploration`.
    """
    weeks = np.arange(int(begin), min(int(np.ceil(end)), sales.weeks))
    inside = np.array([_office_share(w, begin, end, sales.workdays) for w in weeks.tolist()])
    eligible = sales.eligible[weeks]
    chance = sales.draw_chance[weeks] * inside
    length = float(inside.sum())
    draws = np.zeros(eligible.shape[1], np.int64)
    weight = np.zeros(eligible.shape[1])
    for contact in sales.contacts:
        if contact.propensity is not None and begin <= contact.moment < end:
            draws[contact.member] += 1
            weight[contact.member] += 1.0 / (contact.propensity * length)
    return {
        "eligible": inside @ eligible / length if length > 0 else np.zeros(len(draws)),
        "propensity": 1.0 - np.exp(np.log1p(-chance) @ eligible),
        "draws": draws,
        "weight": weight,
    }


def _office_share(week: int, begin: float, end: float, workdays: list[int]) -> float:
    """Return the share of a week's office hours that lie within ``[begin, end)``."""
    opens = week + (np.array(workdays) + OFFICE_HOURS[0] / 24.0) / 7.0
    closes = week + (np.array(workdays) + OFFICE_HOURS[1] / 24.0) / 7.0
    inside = np.clip(np.minimum(closes, end) - np.maximum(opens, begin), 0.0, None)
    return float((inside / (closes - opens)).mean())
