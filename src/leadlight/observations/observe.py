"""Pair members with cutoffs: for training with what happened after, for scoring without."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.errors import ImmatureLabelError, LeadlightWarning
from leadlight.moments import DAY_US, Duration, Moment, duration_us, moment_text, moment_us
from leadlight.observations.observations import Observations, Windows
from leadlight.observations.outcomes import Outcomes
from leadlight.observations.population import Population

Codes = NDArray[np.int64]
DEFAULT_ACTIVE = "180d"


def observe(
    community: Community,
    every: Duration = "30d",
    horizon: Duration = "90d",
    gap: Duration = "0d",
    active_within: Duration = DEFAULT_ACTIVE,
    *,
    enters_on: str | tuple[str, ...] | None = None,
    on: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    frozen_at: Moment | None = None,
    censored: bool = False,
) -> Observations:
    """Pair members with cutoffs and say what happened after each.

    Parameters
    ----------
    community : Community
    every : duration
        Distance of cutoffs; the first is the first UTC midnight after the first activity.
    horizon, gap : duration
        The label window is `[cutoff + gap, cutoff + gap + horizon)`.
    active_within : duration
        A member is in the population when it did something in `[cutoff - active_within, cutoff)`.
    enters_on : action or actions, optional
        A member enters with its first such action; by default with joining (or its first activity).
    on : action, optional
        One cutoff right after each such action (a microsecond later), instead of a calendar.
    start, end : moment, optional
        First cutoff, and the bound that cutoffs stay below.
    frozen_at : moment, optional
        What became known later is not used; by default the latest timestamp in activity, deals and contacts.
    censored : bool
        Also give rows whose window was still open, with label NA and `observed_until`.

    Returns
    -------
    Observations
        Sorted by cutoff, then member. Employees and members who refused are left out and counted; so is everybody
        from the first won deal on. A row is mature when the last microsecond of its window is not after `frozen_at`.

    Raises
    ------
    InputError
        If a duration or moment cannot be read, or `on` or `enters_on` names actions that the log does not hold.
    ImmatureLabelError
        If no window had ended when the data were frozen.
    """
    windows = Windows(
        duration_us(horizon, name="horizon"),
        duration_us(gap, name="gap", zero=True),
        duration_us(every, name="every"),
        duration_us(active_within, name="active_within"),
        community.frozen_us if frozen_at is None else moment_us(frozen_at, name="frozen_at"),
        () if enters_on is None else (enters_on,) if isinstance(enters_on, str) else tuple(enters_on),
    )
    people = Population(community, windows)
    member, cutoff = people.calendar_pairs(start, end) if on is None else people.event_pairs(on, start, end)
    outcomes = Outcomes(community, windows)
    kept = outcomes.first_won[member] >= cutoff
    return _label(people, outcomes, member[kept], cutoff[kept], censored=censored)


def population_at(community: Community, at: Moment, windows: Windows | None = None) -> Observations:
    """Return unlabelled rows of one cutoff: everybody who may be scored at a time, as `observe` would choose them.

    Members who bought before are in, flagged as customers; a warning says when the cutoff lies beyond the data.

    Parameters
    ----------
    community : Community
    at : moment
        The cutoff; only what was known before it is used.
    windows : Windows, optional
        Of the training rows, so that scoring sees the population that was trained on: `active_within_us` and
        `enters_on` are used. Without them: active within 180 days, entered with joining.

    Returns
    -------
    Observations
        Sorted by member. Employees and members who refused are left out.
    """
    at_us = moment_us(at, name="at")
    if at_us > community.frozen_us + 31 * DAY_US:
        warnings.warn(
            f"at={moment_text(at_us)} is more than a month after the last known fact ({moment_text(community.frozen_us)}).",
            LeadlightWarning,
            stacklevel=2,
        )
    windows = Windows() if windows is None else windows
    # Rows of the user's own say nothing about a population.
    within = windows.active_within_us or duration_us(DEFAULT_ACTIVE)
    windows = replace(windows, active_within_us=within, frozen_us=at_us - 1)
    people, outcomes = Population(community, windows), Outcomes(community, windows)
    member = people.at(at_us)
    member = member[people.eligible[member]]
    cutoff = np.full(len(member), at_us, np.int64)
    frame = outcomes.rows(member, cutoff, cutoff, cutoff + 1).drop(columns="observed_until")
    frame["customer"] |= outcomes.first_won[member] < at_us
    return Observations(frame, windows)


def _label(people: Population, outcomes: Outcomes, member: Codes, cutoff: Codes, *, censored: bool) -> Observations:
    windows = outcomes.windows
    opens = cutoff + windows.gap_us
    closes = opens + windows.horizon_us
    mature = closes <= windows.frozen_us + 1
    if len(member) and not mature.any() and not censored:
        raise ImmatureLabelError(
            f"All {len(member)} label windows were still open when the data were frozen "
            f"({moment_text(windows.frozen_us)}): horizon + gap is {(windows.horizon_us + windows.gap_us) / DAY_US:g} days. "
            "Use a shorter horizon, or censored=True."
        )
    in_gap = outcomes.first_won[member] < opens
    eligible = people.eligible[member]
    keep = eligible & ~in_gap & (mature | censored)
    frame = outcomes.rows(member, cutoff, opens, closes)
    members = people.community.members
    dropped = {
        "won_in_gap": eligible & in_gap,
        "window_open": eligible & ~mature,
        "employees": members.employee[member],
        "refused": members.refused[member] & ~members.employee[member],
    }
    counts = _counts(frame, keep, eligible, dropped)
    frame = frame[keep].reset_index(drop=True)
    return Observations(frame if censored else frame.drop(columns="observed_until"), windows, counts)


def _counts(
    frame: pd.DataFrame, keep: NDArray[np.bool_], eligible: NDArray[np.bool_], dropped: dict[str, NDArray[np.bool_]]
) -> pd.DataFrame:
    """Rows by cutoff: the population, what came of the rows that are kept, and what was dropped and why."""
    table = pd.DataFrame({"cutoff": frame["cutoff"], "population": eligible})
    for outcome in ("won", "lost", "open"):
        table[outcome] = keep & (frame["outcome"] == outcome).to_numpy(bool)
    table["contacted"] = keep & (frame["contacted"] == True).to_numpy(bool)  # noqa: E712 - a column of True, False, None
    return table.assign(**dropped).groupby("cutoff").sum()
