"""The log and the members of a simulated community as canonical Arrow tables."""

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
from leadlight.simulate.world import CUSTOMER_ROLE, World

Array = NDArray[Any]
STAMP = pa.timestamp("us", tz="UTC")
_DAY_US = 86_400_000_000


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
            "content_id": pa.array(events["content"], mask=events["content"] < 0),
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
        colleagues = range(int(world.first[account]), int(world.first[account] + world.size[account]))
        at = start_us + week * WEEK_US
        changes += [(one, at, CUSTOMER_ROLE, -1) for one in colleagues if not world.private[one]]
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
        code[mine] = len(words) + rng.integers(len(names.PROFILE_VALUES[name]), size=len(mine))
        words += names.PROFILE_VALUES[name]
    return code, words
