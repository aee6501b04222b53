"""Pair members with cutoffs: for training with what happened after, for scoring without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from leadlight.community import Community
from leadlight.errors import ImmatureLabelError, warn
from leadlight.moments import DAY_US, Duration, Moment, duration_us, moment_text, moment_us
from leadlight.observations.observations import Observations
from leadlight.observations.outcomes import Outcomes, frame_of, times
from leadlight.observations.population import Population, calendar
from leadlight.observations.windows import Bools, Codes, Windows, span_us

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
    cool_off: Duration | None = None,
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
    cool_off : duration, optional
        A member comes back into the population this long after its last won deal: a cutoff is left out when a deal was
        won before it and less than the cool-off before it. By default a member never comes back. Deals of an account
        count for all members whom they reach.

    Returns
    -------
    Observations
        Sorted by cutoff, then member. Employees and members who refused are left out and counted; so is everybody
        from the first won deal on (until `cool_off` after the last). A row is mature when the last microsecond of its window is not after `frozen_at`.

    Raises
    ------
    InputError
        If a duration or moment cannot be read, a duration is longer than some 3,000 years, or `on` or `enters_on` names actions that the log does not hold.
    ImmatureLabelError
        If no window had ended when the data were frozen.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [{"member_id": name, "occurred_at": "2024-01-10", "action": "view"} for name in ("ann", "bob")]
    >>> deals = [{"member_id": "ann", "outcome": "won", "closed_at": "2024-02-20"}]
    >>> community = ll.Community(log, deals=deals, frozen_at="2024-06-01")
    >>> rows = ll.observe(community, every="30d", horizon="90d").to_pandas()
    >>> list(zip(rows["member_id"], rows["cutoff"].dt.strftime("%Y-%m-%d"), rows["label"]))
    [('ann', '2024-01-11', 1), ('bob', '2024-01-11', 0), ('ann', '2024-02-10', 1), ('bob', '2024-02-10', 0)]
    """
    windows = Windows(
        span_us(horizon, "horizon"),
        span_us(gap, "gap", zero=True),
        span_us(every, "every"),
        span_us(active_within, "active_within"),
        community.frozen_us if frozen_at is None else moment_us(frozen_at, name="frozen_at"),
        () if enters_on is None else (enters_on,) if isinstance(enters_on, str) else tuple(enters_on),
        None if cool_off is None else span_us(cool_off, "cool_off", zero=True),
    )
    if on is None:
        cutoffs = calendar(community, windows, start, end)
        people = Population(community, windows, cutoffs)
        member, cutoff = people.active_pairs(cutoffs)
    else:
        cutoffs, people = np.empty(0, np.int64), Population(community, windows)
        member, cutoff = people.event_pairs(on, start, end)
    outcomes = Outcomes.of(community, windows.frozen_us)
    return _label(people, outcomes, member, cutoff, cutoffs, censored=censored)


def population_at(community: Community, at: Moment, windows: Windows | None = None) -> Observations:
    """Return unlabelled rows of one cutoff: everybody who may be scored at a time, as `observe` would choose them.

    Members who bought before are in, flagged as customers (with a cool-off: who bought less than that before; who bought
    earlier is a prospect again unless the members table says customer). A warning says when the cutoff lies beyond the
    data.

    Parameters
    ----------
    community : Community
    at : moment
        The cutoff; only what was known before it is used.
    windows : Windows, optional
        Of the training rows, so that scoring sees the population that was trained on: `active_within_us`,
        `enters_on` and `cool_off_us` are used. Without them: active within 180 days, entered with joining.

    Returns
    -------
    Observations
        Sorted by member. Employees and members who refused are left out.
    """
    at_us = moment_us(at, name="at")
    if at_us > community.frozen_us + 31 * DAY_US:
        warn(
            f"at={moment_text(at_us)} is more than a month after the last known fact ({moment_text(community.frozen_us)})."
        )
    windows = Windows() if windows is None else windows
    # Rows of the user's own say nothing about a population.
    within = windows.active_within_us or duration_us(DEFAULT_ACTIVE)
    windows = replace(windows, active_within_us=within, frozen_us=at_us - 1)
    people = Population(community, windows, np.array([at_us], np.int64))
    outcomes = Outcomes.of(community, windows.frozen_us)
    member = people.at(at_us)
    member = member[people.eligible[member]]
    cutoff = np.full(len(member), at_us, np.int64)
    # The shortest window that has not ended: nothing is labelled.
    frame = frame_of(community, outcomes, replace(windows, gap_us=0, horizon_us=1), member, cutoff)
    frame["customer"] |= outcomes.bought(member, cutoff, windows.cool_off_us)
    return Observations(frame.drop(columns="observed_until"), windows, outcomes=outcomes)


def _label(
    people: Population, outcomes: Outcomes, member: Codes, cutoff: Codes, cutoffs: Codes, *, censored: bool
) -> Observations:
    """Label the pairs of the population, and count all others by the first reason that keeps them out."""
    windows, members = people.windows, people.community.members
    eligible, entered = people.eligible[member], people.entered[member] < cutoff
    bought = outcomes.bought(member, cutoff, windows.cool_off_us)
    population = eligible & entered & ~bought
    opens = cutoff + windows.gap_us
    in_gap = population & (outcomes.won_in(member, cutoff, opens) < opens)
    mature = opens + windows.horizon_us <= windows.seen_until_us
    if population.any() and not (population & mature).any() and not censored:
        raise ImmatureLabelError(
            f"All {int(population.sum())} label windows were still open when the data were frozen "
            f"({moment_text(windows.frozen_us)}): horizon + gap is {windows.reach_us / DAY_US:g} days. "
            "Use a shorter horizon, or censored=True."
        )
    dropped = {
        "won_in_gap": in_gap,
        "window_open": population & ~in_gap & ~mature,
        "after_won": eligible & entered & bought,
        "not_entered": eligible & ~entered,
        "employees": members.employee[member],
        "refused": members.refused[member] & ~members.employee[member],
    }
    counts = _dropped(dropped, cutoff, cutoffs)
    if len(cutoffs):
        counts["inactive"] = _inactive(people, cutoff[eligible & entered], cutoffs)
    counts.index = times(counts.index.to_numpy(np.int64)).rename("cutoff")
    rows = population & ~in_gap & (mature | censored)
    some = counts.to_numpy().any(axis=1) | counts.index.isin(times(np.unique(cutoff[rows])))
    frame = frame_of(people.community, outcomes, windows, member[rows], cutoff[rows])
    frame = frame if censored else frame.drop(columns="observed_until")
    return Observations(frame, windows, counts[some], outcomes=outcomes)


def _dropped(masks: dict[str, Bools], cutoff: Codes, cutoffs: Codes) -> pd.DataFrame:
    at = cutoffs if len(cutoffs) else np.unique(cutoff)
    codes = np.searchsorted(at, cutoff)
    return pd.DataFrame({n: np.bincount(codes[m], minlength=len(at)) for n, m in masks.items()}, index=at)


def _inactive(people: Population, active: Codes, cutoffs: Codes) -> Codes:
    """How many had entered before each cutoff and may be approached, less those who were active."""
    entered = np.sort(people.entered[people.eligible])
    count = np.bincount(np.searchsorted(cutoffs, active), minlength=len(cutoffs))
    return (np.searchsorted(entered, cutoffs) - count).astype(np.int64)
