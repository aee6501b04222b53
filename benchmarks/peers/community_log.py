"""A skewed community log of any size: integer arrays for the sweep, and the same rows as Parquet for everybody else.

2.5 years of visits (runs of rows some 100 seconds apart), ordered by time, of members whose activity is log-normal: half of
them make 9% of the rows. A row has two tags of 60 on average; 12 groups, 4 roles, 8 job functions, 6 profile fields; four of five
members belong to an account of five. Everything follows from the seed, a chunk of time at a time, so that memory stays
bounded while a large log is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leadlight.kernels.log import EncodedLog
from leadlight.moments import DAY_US

VERSION = 1
"""Part of the name of cached files: change it with anything that changes the rows."""

START_US, DAYS = 18_993 * DAY_US, 912
CHUNK_ROWS = 2_000_000
# Sorted, as the encoder of a community sorts them.
ACTION_SHARES = {
    "answer": 0.08,
    "comment": 0.09,
    "connect": 0.04,
    "download": 0.05,
    "forward": 0.02,
    "invite": 0.01,
    "join_group": 0.02,
    "post": 0.05,
    "profile_update": 0.02,
    "question": 0.06,
    "search": 0.14,
    "view": 0.42,
}
ACTIONS = tuple(ACTION_SHARES)
TAGS = tuple(f"tag-{i:02d}" for i in range(60))
NAMES = {
    "action": ACTIONS,
    "tag": TAGS,
    "group": tuple(f"group-{i:02d}" for i in range(12)),
    "role": ("customer", "employee", "partner", "prospect"),
    "job_function": tuple(
        sorted(["engineering", "finance", "legal", "marketing", "operations", "people", "sales", "support"])
    ),
    "field": ("company", "job", "phone", "photo", "place", "web"),
}
IN_GROUPS = ("join_group", "post", "question")
WITH_OTHERS = ("answer", "comment", "connect", "forward", "invite")
TIMED = ("download", "search", "view")
TAGS_A_ROW = (0.1, 0.25, 0.3, 0.25, 0.1)
ACCOUNT_SIZE = 5


@dataclass(frozen=True)
class Members:
    """Account (-1 for none), joining time (UTC microseconds) and share of the activity of members 0 to n - 1."""

    account: np.ndarray
    joined: np.ndarray
    weight: np.ndarray


def draw_members(count: int, seed: int) -> Members:
    """Return the members of a log."""
    rng = np.random.default_rng([seed, 1])
    code = np.arange(count, dtype=np.int64)
    account = np.where(code % 25 < 20, code // ACCOUNT_SIZE, -1)
    weight = rng.lognormal(0.0, 1.3, count)
    return Members(account, START_US - rng.integers(0, 730 * DAY_US, count), weight / weight.sum())


def draw_chunks(events: int, members: Members, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield the rows of the log in chunks of time: codes as in `NAMES`, -1 for none; `tags` with `tags_a_row`."""
    chunks = -(-events // CHUNK_ROWS)
    bounds = np.linspace(0, events, chunks + 1).astype(np.int64)
    cumulative = np.cumsum(members.weight)
    for k, rows in enumerate(np.diff(bounds)):
        span = (START_US + DAYS * DAY_US * k // chunks, START_US + DAYS * DAY_US * (k + 1) // chunks)
        yield _chunk(np.random.default_rng([seed, 2, k]), int(rows), members, cumulative, span)


def _chunk(rng, rows, members, cumulative, span):
    visits = int(rows * 0.305) + 1000
    length = rng.geometric(0.3, visits)
    visit = np.repeat(np.arange(visits), length)[:rows]
    first = np.cumsum(length) - length
    step = np.cumsum(rng.exponential(100e6, rows).astype(np.int64) + 1)
    begun = rng.integers(*span, visits)
    time = begun[visit] + step - step[np.minimum(first, rows - 1)][visit]
    actor = np.minimum(np.searchsorted(cumulative, rng.random(visits)), len(cumulative) - 1)[visit]
    order = np.argsort(time, kind="stable")
    # A visit ends with its chunk, so that the whole log is ordered by time.
    time, actor = np.minimum(time[order], span[1] - 1), actor[order]
    action = _draw(rng, rows, tuple(ACTION_SHARES.values()))
    meets, timed = _among(action, WITH_OTHERS), _among(action, TIMED)
    colleague = actor // ACCOUNT_SIZE * ACCOUNT_SIZE + (actor + 1) % ACCOUNT_SIZE
    stranger = (actor + rng.integers(1, len(cumulative), rows)) % len(cumulative)
    other = np.where(rng.random(rows) < 0.2, np.minimum(colleague, len(cumulative) - 1), stranger)
    other = np.where(meets, other, -1)
    update = _among(action, ("profile_update",))
    account = members.account
    same = meets & (account[actor] >= 0) & (account[actor] == account[other])
    return {
        "actor": actor,
        "time": time,
        "action": action,
        "other": other,
        "group": np.where(_among(action, IN_GROUPS), _skewed(rng, rows, 12), -1).astype(np.int8),
        "role": np.where(meets, _draw(rng, rows, (0.2, 0.1, 0.1, 0.6)), -1).astype(np.int8),
        "job_function": np.where(meets, _skewed(rng, rows, 8), -1).astype(np.int8),
        "field_code": np.where(update, _skewed(rng, rows, 6), -1).astype(np.int8),
        "filled": update & (rng.random(rows) < 0.85),
        "same_domain": same,
        "duration_ms": np.where(timed, (rng.lognormal(3.5, 1.0, rows) * 1000).astype(np.int64), 0),
        **_tags(rng, rows),
    }


def _tags(rng, rows):
    count = _draw(rng, rows, TAGS_A_ROW).astype(np.int64)
    first, step = _skewed(rng, rows, len(TAGS)), np.array([7, 11, 13], np.int64)[rng.integers(0, 3, rows)]
    ends = np.cumsum(count)
    within = np.arange(ends[-1]) - np.repeat(ends - count, count)
    # Steps that have no factor in common with 60 never hit a tag of the row twice.
    codes = (np.repeat(first.astype(np.int64), count) + within * np.repeat(step, count)) % len(TAGS)
    return {"tags": codes.astype(np.int8), "tags_a_row": count}


def _draw(rng, rows, shares):
    return np.minimum(np.searchsorted(np.cumsum(shares), rng.random(rows)), len(shares) - 1).astype(np.int8)


def _skewed(rng, rows, entries):
    return (rng.random(rows) ** 2 * entries).astype(np.int8)


def _among(action, names):
    return np.isin(np.arange(len(ACTIONS)), [ACTIONS.index(n) for n in names])[action]


def encode(chunks: Iterator[dict[str, np.ndarray]], events: int, codes: type = np.int32) -> EncodedLog:
    """Return the log as the sweep reads it, its small codes of type `codes`."""
    kinds = {"actor": np.int64, "time": np.int64, "other": np.int64, "duration_ms": np.int64}
    kinds |= dict.fromkeys(("action", "group", "role", "job_function", "field_code"), codes)
    kinds |= {"filled": np.bool_, "same_domain": np.bool_}
    arrays = {name: np.empty(events, kind) for name, kind in kinds.items()}
    offsets, tags = np.zeros(events + 1, np.int64), np.empty(events * 21 // 10 + 1000, codes)
    at = 0
    for chunk in chunks:
        rows = slice(at, at + len(chunk["time"]))
        for name, array in arrays.items():
            array[rows] = chunk[name]
        np.cumsum(chunk["tags_a_row"], out=offsets[at + 1 : rows.stop + 1])
        offsets[at + 1 : rows.stop + 1] += offsets[at]
        tags[offsets[at] : offsets[rows.stop]] = chunk["tags"]
        at = rows.stop
    return EncodedLog(**arrays, tag_offsets=offsets, tag_codes=tags[: offsets[-1]], dictionaries=NAMES)


def write_parquet(chunks: Iterator[dict[str, np.ndarray]], path: Path) -> None:
    """Write the rows as a canonical activity table."""
    with pq.ParquetWriter(path, _table(next(iter(draw_chunks(1, draw_members(5, 0), 0)))).schema) as writer:
        for chunk in chunks:
            writer.write_table(_table(chunk), row_group_size=250_000)


def _table(chunk):
    def named(name, codes):
        taken = pa.array(codes, mask=codes < 0) if (codes < 0).any() else pa.array(codes)
        return pa.array(NAMES[name]).take(taken)

    offsets = np.concatenate([[0], np.cumsum(chunk["tags_a_row"])]).astype(np.int32)
    seconds, filled = chunk["duration_ms"] / 1000.0, chunk["filled"]
    return pa.table(
        {
            "member_id": chunk["actor"],
            # Without a zone, which leadlight reads as UTC: the SQL of the peers need not know about zones.
            "occurred_at": pa.array(chunk["time"]).cast(pa.timestamp("us")),
            "action": named("action", chunk["action"]),
            "tags": pa.ListArray.from_arrays(offsets, named("tag", chunk["tags"])),
            "group_id": named("group", chunk["group"]),
            "other_member_id": pa.array(chunk["other"], mask=chunk["other"] < 0),
            "other_role": named("role", chunk["role"]),
            "other_job_function": named("job_function", chunk["job_function"]),
            "duration_s": pa.array(seconds, mask=seconds == 0),
            "field": named("field", chunk["field_code"]),
            "value": pa.array(np.where(filled, "given", ""), mask=~filled),
        }
    )


def members_table(members: Members) -> pa.Table:
    """Return the members as a canonical table; an account is a company with a domain of its own."""
    account = members.account
    return pa.table(
        {
            "member_id": np.arange(len(account)),
            "joined_at": pa.array(members.joined).cast(pa.timestamp("us")),
            "account_id": pa.array(account, mask=account < 0),
            "email_domain": pa.array([f"a{a}.example" if a >= 0 else None for a in account.tolist()]),
        }
    )


def cached(folder: Path, events: int, members: int, seed: int) -> Path:
    """Return the Parquet file of a log in `folder`, made where it is not there yet."""
    path = folder / f"activity-v{VERSION}-{events}-{members}-{seed}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write_parquet(draw_chunks(events, draw_members(members, seed), seed), part)
        part.rename(path)
    return path
