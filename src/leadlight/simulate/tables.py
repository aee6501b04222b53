"""The canonical Arrow tables that a simulated community leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.simulate import names
from leadlight.simulate.behaviour import Events
from leadlight.simulate.parameters import (
    ACTIONS,
    JOB_FUNCTIONS,
    PROFILE_FIELDS,
    ROLES,
    WEEK_US,
    SimulationParameters,
)
from leadlight.simulate.sales import Deal, Sales
from leadlight.simulate.world import CUSTOMER_ROLE, World

Array = NDArray[Any]
STAMP = pa.timestamp("us", tz="UTC")
_DAY_US = 86_400_000_000
_VALUES = {
    "job_title": ("team lead", "head of operations", "analyst", "director", "engineer"),
    "company": ("(company name)",),
    "phone": ("(number given)",),
    "photo": ("(picture added)",),
    "interests": ("integrations", "reporting", "automation", "events"),
}


def activity_table(
    chunks: list[Events],
    world: World,
    start_us: int,
    parameters: SimulationParameters,
    rng: np.random.Generator,
) -> pa.Table:
    """Return the log, ordered by time.

    Parameters
    ----------
    chunks : list of dict
        What `Behaviour.week` returned for each week; weeks follow each other.
    start_us : int
        Microseconds of the first moment since 1970.
    """
    order = np.concatenate([np.argsort(c["time"], kind="stable") + o for c, o in _offsets(chunks)])
    events = {key: np.concatenate([c[key] for c in chunks])[order] for key in chunks[0]}
    count = len(order)
    end_us = start_us + len(chunks) * WEEK_US
    occurred = start_us + events["time"]
    known = occurred + (rng.exponential(0.5 * _DAY_US, count)).astype(np.int64)
    late = (rng.random(count) < parameters.late_log_share) & (known < end_us)
    other = events["other"]
    value, values = _field_values(events["field"], rng)
    tags = (*parameters.early_tags, *parameters.late_tags, *parameters.topic_tags)
    return pa.table(
        {
            "event_id": pa.array(np.arange(1, count + 1, dtype=np.int64)),
            "member_id": pa.array(world.member_id[events["member"]]),
            "occurred_at": pa.array(occurred, STAMP),
            "known_at": pa.array(known, STAMP, mask=~late),
            "action": _text(events["action"], ACTIONS),
            "tags": _tag_lists(events["tags"], tags),
            "group_id": _text(events["group"], parameters.groups),
            "other_member_id": pa.array(world.member_id[other], mask=other < 0),
            "other_role": _text(events["other_role"], ROLES),
            "other_job_function": _text(events["other_job"], JOB_FUNCTIONS),
            "other_domain": _text(events["other_domain"], world.domain),
            "duration_s": pa.array(events["duration"], mask=np.isnan(events["duration"])),
            "field": _text(events["field"], PROFILE_FIELDS),
            "value": _text(value, values),
            "source": _text(np.zeros(count, np.int64), ("simulated",)),
        }
    )


def members_table(
    world: World,
    role_from: list[tuple[int, int]],
    job_from: list[tuple[int, int, int]],
    start_us: int,
    end_us: int,
) -> pa.Table:
    """Return members with their history.

    Parameters
    ----------
    role_from : list of (account, week)
        Accounts whose members become customers at the start of a week.
    job_from : list of (member, week, job function code)
        Members who change function at the start of a week.
    end_us : int
        Who has not joined by then is left out.
    """
    joined = start_us + np.floor(world.joined * WEEK_US).astype(np.int64)
    changes = [(i, int(joined[i]), -1, -1) for i in range(len(joined))]
    for account, week in role_from:
        for one in range(int(world.first[account]), int(world.first[account] + world.size[account])):
            if not world.private[one]:
                changes.append((one, start_us + week * WEEK_US, CUSTOMER_ROLE, -1))
    changes += [(m, start_us + week * WEEK_US, -1, code) for m, week, code in job_from]
    changes.sort()
    role, job = world.role.copy(), world.job.copy()
    rows: dict[tuple[int, int], tuple[int, int]] = {}
    for one, valid_from, new_role, new_job in changes:
        if joined[one] >= end_us or valid_from >= end_us:
            continue
        role[one] = new_role if new_role >= 0 else role[one]
        job[one] = new_job if new_job >= 0 else job[one]
        rows[one, max(valid_from, int(joined[one]))] = (int(role[one]), int(job[one]))
    keys, facts = list(rows), list(rows.values())
    unordered = np.array([m for m, _ in keys], np.int64)
    order = np.lexsort((np.array([at for _, at in keys], np.int64), world.member_id[unordered]))
    member: Array = unordered[order]
    account_id = world.account_id
    return pa.table(
        {
            "member_id": pa.array(world.member_id[member]),
            "joined_at": pa.array(joined[member], STAMP),
            "valid_from": pa.array([keys[i][1] for i in order.tolist()], STAMP),
            "account_id": pa.array(
                [None if world.private[m] else account_id[world.account[m]] for m in member.tolist()],
                pa.string(),
            ),
            "email": pa.array([world.email[m] for m in member.tolist()], pa.string()),
            "email_domain": pa.array([world.email[m].split("@")[1] for m in member.tolist()], pa.string()),
            "role": pa.array([ROLES[facts[i][0]] for i in order.tolist()], pa.string()),
            "job_function": pa.array([JOB_FUNCTIONS[facts[i][1]] for i in order.tolist()], pa.string()),
            "consent": pa.array(np.ones(len(member), np.bool_), mask=world.refuses[member]),
        }
    )


def contacts_table(sales: Sales, start_us: int) -> pa.Table:
    """Return approaches, ordered by time; propensity (random ones) is the chance to be drawn that week."""
    contacts = sorted(sales.contacts, key=lambda c: (c.moment, c.member))
    return pa.table(
        {
            "member_id": pa.array([int(sales.world.member_id[c.member]) for c in contacts], pa.int64()),
            "contacted_at": pa.array([_stamp(c.moment, start_us) for c in contacts], STAMP),
            "chosen_by": pa.array([c.chosen_by for c in contacts], pa.string()),
            "propensity": pa.array([c.propensity for c in contacts], pa.float64()),
        }
    )


def deals_table(
    sales: Sales, start_us: int, end_us: int, parameters: SimulationParameters, rng: np.random.Generator
) -> pa.Table:
    """Return deals as a CRM exports them at the end of the log: messy keys, no outcome while open."""
    p, rows = parameters, []
    for deal in sorted(sales.deals, key=lambda d: (d.opened, d.account)):
        opened = _stamp(deal.opened, start_us)
        late = rng.random() < p.late_known_share
        delay = int(rng.exponential(p.late_known_days) * _DAY_US) + 1
        closed = _stamp(deal.closed, start_us) if np.isfinite(deal.closed) else end_us
        closed = max(closed, opened + 1)
        known = closed + delay if late else closed
        over = known < end_us
        size = float(sales.world.size[deal.account])
        amount = p.amount_median * size**0.4 * float(np.exp(p.amount_spread * rng.standard_normal()))
        email, domain = _crm_key(deal, sales.world, p, rng)
        outcome = ("won" if deal.won else "lost") if over else None
        rows.append(
            {
                "email": email,
                "domain": domain,
                "outcome": outcome,
                "opened_at": opened,
                "closed_at": closed if over else None,
                "amount": round(amount, -2) if outcome == "won" else None,
                "known_at": known if over and late else None,
            }
        )
    schema = {
        "email": pa.string(), "domain": pa.string(), "outcome": pa.string(), "opened_at": STAMP,
        "closed_at": STAMP, "amount": pa.float64(), "known_at": STAMP,
    }  # fmt: skip
    columns = {name: pa.array([r[name] for r in rows], kind) for name, kind in schema.items()}
    return pa.table(
        {"deal_id": pa.array([f"D-{i + 1:05d}" for i in range(len(rows))], pa.string()), **columns}
    )


def _crm_key(
    deal: Deal, world: World, p: SimulationParameters, rng: np.random.Generator
) -> tuple[str | None, str | None]:
    """Return e-mail and domain as somebody in sales typed them."""
    email, company = world.email[deal.member], world.domain[deal.account]
    kind = int((np.cumsum(p.deal_key) <= rng.random()).sum())
    listed = bool(world.listed[deal.account])
    if kind == 1 and listed:
        return None, str(rng.choice([company, company.upper(), f"www.{company}"]))
    name, at = email.split("@")
    if kind == 2:
        cut = int(rng.integers(1, len(name) - 1))
        return f"{name[:cut]}{name[cut + 1 :]}@{at.replace('.example', '-mail.example')}", None
    if kind == 3:
        return (
            f"{name}.private{rng.integers(100)}@{names.FREE_MAIL[int(rng.integers(len(names.FREE_MAIL)))]}",
            None,
        )
    if kind >= 4:
        return f"info@unknown-{rng.integers(10_000)}.example", None
    case, spaces, plus = rng.random(3) < np.asarray(p.email_mess)
    email = f"{name}+crm@{at}" if plus else email
    email = email.title() if case else email
    return (f" {email} " if spaces else email), (company if listed and rng.random() < 0.5 else None)


def _stamp(moment: float, start_us: int) -> int:
    return start_us + int(moment * WEEK_US)


def _offsets(chunks: list[Events]) -> list[tuple[Events, int]]:
    sizes = [len(c["time"]) for c in chunks]
    return list(zip(chunks, np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(int).tolist(), strict=True))


def _text(codes: Array, words: tuple[str, ...] | list[str]) -> pa.Array:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(words), pa.string())).cast(pa.string())


def _tag_lists(tags: Array, words: tuple[str, ...]) -> pa.Array:
    given = tags >= 0
    number = given.sum(axis=1)
    offsets = np.concatenate(([0], np.cumsum(number))).astype(np.int32)
    empty = pa.array(np.append(number == 0, False))  # a null offset makes the list null
    starts = pa.array(offsets, mask=np.asarray(empty))
    return pa.ListArray.from_arrays(starts, _text(tags[given], words))


def _field_values(field: Array, rng: np.random.Generator) -> tuple[Array, list[str]]:
    """Return a code per event and the words behind it: some value that suits the field."""
    words: list[str] = []
    code = np.full(len(field), -1, np.int64)
    for number, name in enumerate(PROFILE_FIELDS):
        mine = np.flatnonzero(field == number)
        code[mine] = len(words) + rng.integers(len(_VALUES[name]), size=len(mine))
        words += _VALUES[name]
    return code, words
