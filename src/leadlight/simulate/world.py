"""The people and companies of the simulated community, before anybody does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate import names
from leadlight.simulate.parameters import (
    CUSTOMER,
    EMPLOYEE,
    INTEREST,
    JOB_FUNCTIONS,
    NONE,
    ORDINARY,
    QUIET,
    RESEARCHER,
    ROLES,
    SETTLED,
    TALKATIVE,
    SimulationParameters,
)
from leadlight.simulate.stages import Journeys

Array = NDArray[Any]
PROSPECT_ROLE, CUSTOMER_ROLE, PARTNER_ROLE, EMPLOYEE_ROLE = range(len(ROLES))


@dataclass
class World:
    """Arrays over members (contiguous by account) and accounts.

    A person without a company is an account of one that never buys and is not `listed`. `joined` is in weeks
    from the start of the log, negative for those who came before it.
    """

    member_id: Array  # int64, a permutation: says nothing about the rest
    account: Array  # index of the account
    trait: Array
    in_group: Array  # bool: takes part in buying
    role: Array  # code in ROLES at the start
    job: Array  # code in JOB_FUNCTIONS at the start
    joined: Array  # float weeks
    refuses: Array  # bool
    private: Array  # bool: registered with a free-mail address
    email: list[str]
    first: Array  # per account: index of the first member
    size: Array  # per account
    kind: Array  # per account: class of intensity
    listed: Array  # per account: bool, has an account_id
    domain: list[str]  # per account: company domain, a free-mail domain for persons

    @property
    def account_id(self) -> list[str | None]:
        """Identifier of each account, None where the person has no company."""
        return [f"acc-{i + 1:05d}" if listed else None for i, listed in enumerate(self.listed.tolist())]


def build_world(
    members: int, weeks: int, parameters: SimulationParameters, rng: np.random.Generator
) -> World:
    """Draw accounts, members and their lasting traits.

    Parameters
    ----------
    members, weeks : int
    """
    p = parameters
    sizes, kinds, roles, listed = _draw_accounts(members, p, rng)
    account = np.repeat(np.arange(len(sizes)), sizes)
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    kind, role = kinds[account], roles[account]
    trait = _draw_traits(kind, role, p, rng)

    place = np.arange(members) - first[account]
    in_group = (place == 0) | ((place <= 4) & (rng.random(members) < p.group_extra))
    in_group &= kind > 0
    before = rng.random(members) < p.joined_before_share
    joined = np.where(before, -p.joined_before_weeks, float(weeks)) * rng.random(members)
    joined[first[role[first] == EMPLOYEE_ROLE]] = -1.0  # the host is there from the beginning
    job = rng.choice(len(JOB_FUNCTIONS), members, p=_shares(p.job_function_share)).astype(np.int8)
    job[trait == RESEARCHER] = len(JOB_FUNCTIONS) - 1
    company = listed[account]
    private = ~company | (
        company & (role != EMPLOYEE_ROLE) & (rng.random(members) < p.account_free_mail_share)
    )
    order = rng.permutation(names.plain_name_count()).tolist()
    domain = names.company_domains(len(sizes), order)
    domain[0] = names.HOST_DOMAIN
    free = rng.integers(len(names.FREE_MAIL), size=members)
    for one in np.flatnonzero(~listed).tolist():
        domain[one] = names.FREE_MAIL[free[first[one]]]
    at = [names.FREE_MAIL[f] if own else domain[a] for f, own, a in zip(free, private, account, strict=True)]
    return World(
        member_id=100_001 + rng.permutation(members).astype(np.int64),
        account=account, trait=trait, in_group=in_group, role=role.astype(np.int8), job=job, joined=joined,
        refuses=(rng.random(members) < p.refusal_share) & (role != EMPLOYEE_ROLE), private=private,
        email=_draw_emails(at, rng), first=first, size=sizes, kind=kinds, listed=listed, domain=domain,
    )  # fmt: skip


def join_on_need(
    world: World, journeys: Journeys, parameters: SimulationParameters, rng: np.random.Generator
) -> None:
    """Bring some buyers who would have joined later into the community when their interest begins."""
    weeks = journeys.state.shape[1]
    interested = (journeys.state >= INTEREST) & (journeys.state != SETTLED)
    begins = np.where(interested.any(axis=1), interested.argmax(axis=1), weeks)[world.account]
    arrival = begins + 5.0 * rng.random(len(begins))
    moves = world.in_group & (arrival < world.joined) & (rng.random(len(begins)) < parameters.join_on_need)
    world.joined[moves] = arrival[moves]


def _draw_accounts(
    members: int, p: SimulationParameters, rng: np.random.Generator
) -> tuple[Array, Array, Array, Array]:
    """Return size, intensity class, role and whether it is a company, per account; the host comes first."""
    host = max(1, round(p.host_share * members))
    people = max(host + 1, round(p.account_member_share * members))
    law = np.arange(1, p.account_size_max + 1) ** -p.account_size_exponent
    drawn = rng.choice(np.arange(1, p.account_size_max + 1), size=people, p=law / law.sum())
    sizes = drawn[: int(np.searchsorted(np.cumsum(drawn), people - host)) + 1]
    sizes[-1] -= int(sizes.sum()) - (people - host)
    companies, persons = len(sizes), members - people
    kinds = rng.choice(len(p.intensity), companies, p=_shares(p.intensity_share))
    relation = rng.random(companies)
    roles = np.zeros(companies, np.int64)
    roles[relation < p.customer_account_share] = CUSTOMER_ROLE
    roles[relation > 1 - p.partner_account_share] = PARTNER_ROLE
    kinds[roles != PROSPECT_ROLE] = NONE
    return (
        np.concatenate(([host], sizes, np.ones(persons, np.int64))),
        np.concatenate(([0], kinds, np.zeros(persons, np.int64))),
        np.concatenate(([EMPLOYEE_ROLE], roles, np.zeros(persons, np.int64))),
        np.concatenate((np.ones(companies + 1, np.bool_), np.zeros(persons, np.bool_))),
    )


def _draw_traits(kind: Array, role: Array, p: SimulationParameters, rng: np.random.Generator) -> Array:
    draw = rng.random(len(kind))
    trait = np.full(len(kind), ORDINARY, np.int8)
    never = kind == 0
    trait[never & (draw < p.talkative_share)] = TALKATIVE
    trait[never & (draw > 1 - p.researcher_share)] = RESEARCHER
    trait[~never & (draw < p.quiet_share)] = QUIET
    trait[role == CUSTOMER_ROLE] = CUSTOMER
    trait[role == EMPLOYEE_ROLE] = EMPLOYEE
    return trait


def _draw_emails(at: list[str], rng: np.random.Generator) -> list[str]:
    firsts = rng.integers(len(names.FIRST_NAMES), size=len(at)).tolist()
    lasts = rng.integers(len(names.LAST_NAMES), size=len(at)).tolist()
    seen: dict[str, int] = {}
    found = []
    for one, two, domain in zip(firsts, lasts, at, strict=True):
        name = f"{names.FIRST_NAMES[one]}.{names.LAST_NAMES[two]}"
        key = f"{name}@{domain}"
        seen[key] = seen.get(key, 0) + 1
        found.append(key if seen[key] == 1 else f"{name}{seen[key]}@{domain}")
    return found


def _shares(weights: tuple[float, ...]) -> Array:
    total = np.asarray(weights, dtype=float)
    return np.asarray(total / total.sum())
