"""A business-to-business community with deals, in which the truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from leadlight.errors import InputError
from leadlight.simulate.behaviour import Behaviour
from leadlight.simulate.content import Content
from leadlight.simulate.frozen import FROZEN_DIGEST, digest
from leadlight.simulate.parameters import WEEK_US, SimulationParameters
from leadlight.simulate.sales import Sales
from leadlight.simulate.stages import stage_law, walk_stages
from leadlight.simulate.truth import Truth
from leadlight.simulate.world import CUSTOMER_ROLE, build_world, join_on_need

if TYPE_CHECKING:
    import pyarrow as pa

    from leadlight.community import Community

__all__ = [
    "FROZEN_DIGEST",
    "SimulationParameters",
    "Truth",
    "digest",
    "simulate_community",
    "simulate_tables",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def simulate_community(
    members: int = 20_000,
    weeks: int = 130,
    seed: int = 0,
    *,
    markov: bool = True,
    start: str | datetime = "2024-01-01",
    parameters: SimulationParameters | None = None,
) -> tuple[Community, Truth]:
    """Simulate a community whose buyers are known.

    Companies pass through hidden buying stages; a few of their members show it, noisily, in what they do
    here. Sales approaches whom its hand-set points name, a few at random, and those who ask; only who was
    approached can close a deal.

    Parameters
    ----------
    members : int, default=20_000
        People who join before the end, at least 10.
    weeks : int, default=130
        Length of the log, at least 4.
    seed : int, default=0
        Equal arguments give equal tables.
    markov : bool, default=True
        False: the time spent in a stage is not geometric and stages may be skipped.
    start : str or datetime, default="2024-01-01"
        First moment of the log; naive times are UTC.
    parameters : SimulationParameters, optional
        Everything else, described in ``docs/simulator.md``; ``digest(parameters)`` names it.

    Returns
    -------
    community : Community
        Every row of its log has ``source="simulated"``.
    truth : Truth
        ``truth.at(cutoff)`` says who was in which stage and who would have bought.

    Raises
    ------
    InputError
        If a number is too small or the start is no time.

    Examples
    --------
    >>> import leadlight as ll
    >>> community, truth = ll.simulate_community(members=200, weeks=30, seed=1)
    >>> community
    Community(simulated, 4187 events of 200 members, 2024-01-01 to 2024-07-28, 1 deals)
    >>> truth.at("2024-05-01").columns.tolist()
    ['member_id', 'stage', 'probability', 'would_buy']
    """
    from leadlight.community import Community

    tables, truth = simulate_tables(members, weeks, seed, markov=markov, start=start, parameters=parameters)
    return Community(**tables, match="email"), truth


def simulate_tables(
    members: int = 20_000,
    weeks: int = 130,
    seed: int = 0,
    *,
    markov: bool = True,
    start: str | datetime = "2024-01-01",
    parameters: SimulationParameters | None = None,
) -> tuple[dict[str, pa.Table], Truth]:
    """Return the canonical Arrow tables of `simulate_community`, by name, and the truth.

    Takes the same arguments. The tables are `activity`, `members`, `deals`, `deal_contacts` and `contacts`; timestamps
    are UTC microseconds within ``[start, start + weeks)``, apart from `joined_at` of those who had joined before.
    """
    from leadlight.simulate import crm, tables

    first = _check(members, weeks, start)
    p = parameters or SimulationParameters()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(8)]
    law = stage_law(p, markov=markov)
    world = build_world(members, weeks, p, streams[0])
    journeys = walk_stages(law, np.asarray(p.intensity)[world.kind], weeks + p.truth_weeks, p, streams[1])
    join_on_need(world, journeys, p, streams[2])
    behaviour = Behaviour(world, weeks, first.weekday(), p, streams[3], Content(p, streams[6]))
    sales = Sales(world, journeys, weeks, first.weekday(), p, streams[4])

    log, role_from, job_from = [], [], []
    converted = np.zeros(len(world.size), np.bool_)
    for week in range(weeks):
        due = ~converted & (np.ceil(sales.customer_from) + p.role_delay_weeks - 1 <= week)
        converted |= due
        role_from += [(account, week) for account in np.flatnonzero(due).tolist()]
        behaviour.role[due[world.account] & ~world.private] = CUSTOMER_ROLE
        events, moved = behaviour.week(week, journeys.state[:, week], sales.customer_from <= week)
        job_from += [(m, week + 1, int(behaviour.job[m])) for m in moved.tolist()]
        sales.week(week, events, behaviour.role)
        log.append(events)

    start_us = (first - _EPOCH) // timedelta(microseconds=1)
    end_us = start_us + weeks * WEEK_US
    found = {
        "activity": tables.activity_table(log, world, start_us, p, streams[5]),
        "members": tables.members_table(world, role_from, job_from, start_us, end_us),
        "deals": crm.deals_table(sales, start_us, end_us, p, streams[5]),
        "deal_contacts": crm.deal_contacts_table(sales, p, streams[7]),
        "contacts": crm.contacts_table(sales, start_us),
    }
    return found, Truth(first, first + timedelta(weeks=weeks), p, world, law, journeys, sales)


def _check(members: int, weeks: int, start: str | datetime) -> datetime:
    if members < 10:
        raise InputError(f"members={members} is too few for accounts, a host and sales. Pass at least 10.")
    if weeks < 4:
        raise InputError(f"weeks={weeks} is too short for anything to happen. Pass at least 4.")
    try:
        first = datetime.fromisoformat(start) if isinstance(start, str) else start
    except ValueError as error:
        raise InputError(f"start={start!r} is not a time. Write it as '2024-01-01'.") from error
    return first.replace(tzinfo=UTC) if first.tzinfo is None else first.astimezone(UTC)
