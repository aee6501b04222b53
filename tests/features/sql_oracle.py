"""The features once more, in plain SQL over the canonical tables: what every other implementation must equal.

Nothing of the kernels is used. Rows that were known before each cutoff are joined to the observation, then every column is
an aggregate over them, written down from the plan. Times are BIGINT microseconds, because DuckDB's time zones need an
extension. Integers stay integers, and divisions are those of the definitions in the same order, so that results are equal
to the last bit. Entropy is Shannon's formula as it stands and may differ by one unit in the last place of a float32.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leadlight.community import Community
from leadlight.community.matching import FREE_MAIL
from leadlight.observations import Observations
from leadlight.plan import Column, Key, Plan

ALL = 0
DAY = "8.64e10"  # written with an exponent it is a DOUBLE, else DuckDB takes it for a DECIMAL
NEVER = -(2**63)

# Which column of the activity an attribute is compared with.
COLUMN = {
    "tag": "tags",
    "group": "group_id",
    "role": "other_role",
    "job_function": "other_job_function",
    "field": "field",
}
ACTIVITY = {
    "known_at": "BIGINT",
    "tags": "VARCHAR[]",
    "group_id": "VARCHAR",
    "other_member_id": None,
    "other_role": "VARCHAR",
    "other_job_function": "VARCHAR",
    "other_domain": "VARCHAR",
    "duration_s": "DOUBLE",
    "field": "VARCHAR",
    "value": "VARCHAR",
}
PEOPLE = {
    "joined_at": "BIGINT",
    "valid_from": "BIGINT",
    "account_id": "VARCHAR",
    "email": "VARCHAR",
    "email_domain": "VARCHAR",
    "role": "VARCHAR",
}

MACROS = r"""
CREATE MACRO bare(raw) AS rtrim(regexp_replace(split_part(split_part(
    regexp_replace(lower(trim(raw)), '^[a-z]+://', ''), '/', 1), ':', 1), '^www\.', ''), '.');
CREATE MACRO host(raw) AS CASE WHEN contains(bare(raw), '.') AND NOT regexp_matches(bare(raw), '[@ ]') THEN bare(raw) END;
CREATE MACRO mail_host(raw) AS nullif(regexp_extract(lower(trim(raw)), '@([^@]+)$', 1), '');
CREATE MACRO bits(counts) AS -list_sum(list_transform(list_filter(counts::BIGINT[], lambda c: c > 0),
    lambda c: c / list_sum(counts::BIGINT[]) * log2(c / list_sum(counts::BIGINT[]))));
"""

PERSON = """
CREATE TABLE person AS
SELECT *, CASE WHEN (SELECT count(account_id) FROM people) > 0 THEN account_id
               WHEN NOT list_contains($free, domain) THEN domain END AS account
FROM (SELECT member_id, coalesce(valid_from, $never) AS since, place, joined_at, role, account_id,
             coalesce(host(email_domain), mail_host(email)) AS domain FROM people)
"""

# A domain is that of the time of the row: the last that began at it or before.
HOME = """
CREATE TABLE home AS SELECT member_id, since, arg_max({domain: domain}, place).domain AS domain FROM person GROUP BY ALL
"""

EVENT = """
CREATE VIEW event AS
SELECT e.member_id, e.other_member_id, e.action, e.occurred_at AS time, greatest(e.occurred_at, e.known_at) AS visible,
    e.tags, e.group_id, e.other_role, e.other_job_function, e.field, {filled} AS filled,
    round_even(least(greatest(coalesce(e.duration_s, 0), 0), 1e9) * 1000, 0)::BIGINT AS ms, {same_domain} AS same_domain
FROM activity e {homes}
"""
SAME_DOMAIN = """coalesce(mine.domain = CASE WHEN e.other_domain IS NULL THEN theirs.domain ELSE host(e.other_domain) END,
    false)"""
HOMES = """
ASOF LEFT JOIN home mine ON e.member_id = mine.member_id AND e.occurred_at >= mine.since
ASOF LEFT JOIN home theirs ON e.other_member_id = theirs.member_id AND e.occurred_at >= theirs.since
"""

GIVEN = """
CREATE TABLE given AS
SELECT o.i, o.cutoff, e.*,
    coalesce(e.time - lag(e.time) OVER (PARTITION BY o.i ORDER BY e.time) > {gap}, true) AS starts,
    e.time = max(e.time) OVER (PARTITION BY o.i) AS newest
FROM observation o JOIN event e ON e.member_id = o.member_id AND e.visible < o.cutoff
"""
RECEIVED = """
CREATE TABLE received AS
SELECT o.i, o.cutoff, e.*
FROM observation o JOIN event e ON e.other_member_id = o.member_id AND e.visible < o.cutoff
WHERE e.member_id <> e.other_member_id
"""

# Where everybody belonged just before each cutoff; employees of the host are nobody's colleagues.
STANDING = """
CREATE TABLE standing AS
SELECT cutoff, member_id, CASE WHEN role = 'employee' THEN NULL ELSE account END AS account
FROM (SELECT DISTINCT cutoff FROM observation) JOIN person ON since < cutoff
QUALIFY row_number() OVER (PARTITION BY cutoff, member_id ORDER BY since DESC, place DESC) = 1
"""
COLLEAGUE = """
CREATE TABLE colleague AS
SELECT o.i, o.cutoff, e.*
FROM observation o
JOIN standing me ON me.cutoff = o.cutoff AND me.member_id = o.member_id
JOIN standing them ON them.cutoff = o.cutoff AND them.account = me.account AND them.member_id <> o.member_id
JOIN event e ON e.member_id = them.member_id AND e.visible < o.cutoff
"""
JOINED = """
SELECT o.i, arg_min(p.joined_at, (p.since, p.place)) FILTER (WHERE p.joined_at IS NOT NULL) AS joined
FROM observation o JOIN person p ON p.member_id = o.member_id AND p.since < o.cutoff GROUP BY o.i
"""


def oracle(community: Community, observations: Observations, plan: Plan) -> pd.DataFrame:
    """Return what `build_features` must return: float32, index (member_id, cutoff), NaN is missing."""
    with duckdb.connect(config={"threads": 2}) as connection:
        _load(connection, community, observations)
        connection.execute(GIVEN.format(gap=plan.session_gap_us))
        connection.execute(RECEIVED)
        connection.execute(STANDING)
        connection.execute(COLLEAGUE)
        query = _Query(plan, _known(community, connection))
        sql = query.text([OPERATIONS[c.operation](query, c) for c in plan.columns])
        found = connection.sql(sql).to_arrow_table()
    values = [column.to_numpy().astype(np.float32) for column in found.drop_columns(["i"]).columns]
    table = np.stack(values, axis=1) if values else np.empty((len(observations), 0), np.float32)
    return pd.DataFrame(table, index=observations.index, columns=pd.Index(plan.column_names))


def _load(connection: duckdb.DuckDBPyConnection, community: Community, observations: Observations) -> None:
    activity = community.activity
    ids = activity.schema.field("member_id").type
    people = community._tables.get("members")
    if people is None:
        people = pa.table({"member_id": pa.array([], ids)})
    people = _as_bigints(people).append_column("place", pa.array(range(people.num_rows), pa.int64()))
    rows = pa.table(
        {
            "i": pa.array(range(len(observations)), pa.int64()),
            "member_id": pa.array(observations.frame["member_id"].tolist(), ids),
            "cutoff": pa.array(observations.cutoff_us, pa.int64()),
        }
    )
    connection.execute(MACROS)
    connection.register("raw_activity", _as_bigints(activity))
    connection.register("raw_people", people)
    connection.register("raw_observation", rows)
    # Filled up, so that a query may name every column; what the log never says is left out of the plan's columns later.
    other = "BIGINT" if pa.types.is_int64(ids) else "VARCHAR"
    needed = {name: kind or other for name, kind in ACTIVITY.items()}
    connection.execute(f"CREATE VIEW activity AS {_filled_up('raw_activity', activity, needed)}")
    connection.execute(f"CREATE TABLE people AS {_filled_up('raw_people', people, PEOPLE)}")
    connection.execute("CREATE TABLE observation AS SELECT * FROM raw_observation")
    connection.execute(PERSON, {"never": NEVER, "free": sorted(FREE_MAIL)})
    connection.execute(HOME)
    domains = _any_domain(connection)
    connection.execute(
        EVENT.format(
            filled="e.value IS NOT NULL" if "value" in activity.column_names else "true",
            same_domain=SAME_DOMAIN if domains else "false",
            homes=HOMES if domains else "",
        )
    )


def _as_bigints(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(at, field.name, pc.cast(table[field.name], pa.int64()))
    return table


def _filled_up(name: str, table: pa.Table, needed: dict[str, str]) -> str:
    absent = [
        f"NULL::{kind} AS {column}" for column, kind in needed.items() if column not in table.column_names
    ]
    return f"SELECT {', '.join(['*', *absent])} FROM {name}"


def _any_domain(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count(domain) FROM person").fetchall()[0][0])


def _known(community: Community, connection: duckdb.DuckDBPyConnection) -> set[str]:
    known = set(community.activity.column_names)
    return known | {"same_domain"} if _any_domain(connection) else known


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


class _Query:
    """The aggregates that the columns ask for, one alias each, by the rows that they are over."""

    def __init__(self, plan: Plan, known: set[str]) -> None:
        self.plan, self.known = plan, known
        self.asked: dict[str, dict[str, str]] = {"given": {}, "received": {}, "colleague": {}}

    def ask(self, rows: str, aggregate: str, where: str = "true") -> str:
        """Return the name of an aggregate over the rows of an observation; NULL where there is no row."""
        names = self.asked[rows]
        return f"{rows}_.{names.setdefault(f'{aggregate} FILTER (WHERE {where})', f'a{len(names)}')}"

    def text(self, columns: list[str | None]) -> str:
        """Return the whole query: aggregates of each kind of rows first, then a left join to the observations."""
        parts, joins = [f"joined_ AS ({JOINED})"], "LEFT JOIN joined_ USING (i)"
        for rows, names in self.asked.items():
            chosen = ", ".join(["i", *(f"{aggregate} AS {name}" for aggregate, name in names.items())])
            parts.append(f"{rows}_ AS (SELECT {chosen} FROM {rows} GROUP BY i)")
            joins += f" LEFT JOIN {rows}_ USING (i)"
        values = [f"({'NULL' if sql is None else sql})::DOUBLE AS c{j}" for j, sql in enumerate(columns)]
        return f"""WITH {", ".join(parts)} SELECT {", ".join(["o.i", *values])} FROM observation o
            LEFT JOIN standing me ON me.member_id = o.member_id AND me.cutoff = o.cutoff {joins} ORDER BY o.i"""

    def key(self, k: int) -> Key:
        return self.plan.keys[k]

    def can_say(self, k: int) -> bool:
        """Whether the log holds what the key is about: what it never says is missing, not zero."""
        key = self.key(k)
        needs = [COLUMN.get(key.attribute, key.attribute)] if key.attribute is not None else []
        return {*needs, *(["other_member_id"] if key.side == "received" else [])} <= self.known

    def matches(self, k: int) -> str:
        key = self.key(k)
        parts = [] if key.action is None else [f"action = {_text(key.action)}"]
        if key.attribute == "same_domain":
            parts.append("same_domain")
        elif key.attribute == "tag":
            parts.append(f"coalesce(list_contains(tags, {_text(str(key.value))}), false)")
        elif key.attribute is not None:
            parts.append(f"{COLUMN[key.attribute]} = {_text(str(key.value))}")
        return " AND ".join(parts) or "true"

    def count(self, k: int, window: int, rows: str | None = None) -> str:
        # Counted before the left join, which would count the row of NULLs of an observation without rows.
        where = f"{self.matches(k)} AND {inside(window)}"
        return f"coalesce({self.ask(rows or self.key(k).side, 'count(*)', where)}, 0)"

    def total(self, keys: tuple[int, ...], window: int) -> str | None:
        if not keys or not all(map(self.can_say, keys)):
            return None
        return "(" + " + ".join(self.count(k, window) for k in keys) + ")"


def inside(window: int) -> str:
    """Return the condition that a row is in the window `[cutoff - window, cutoff)`; rows end at the cutoff already."""
    return "true" if window == ALL else f"time >= cutoff - {window}"


def _count(q: _Query, c: Column) -> str | None:
    return q.total(c.keys, c.windows[0])


def _sum_duration(q: _Query, c: Column) -> str | None:
    k = c.keys[0]
    if not q.can_say(k) or "duration_s" not in q.known:
        return None
    spent = q.ask(q.key(k).side, "sum(ms)", f"{q.matches(k)} AND {inside(c.windows[0])}")
    return f"coalesce({spent}, 0)::BIGINT / 1e3"


def _recency(q: _Query, c: Column) -> str | None:
    k = c.keys[0]
    return f"(o.cutoff - {q.ask(q.key(k).side, 'max(time)', q.matches(k))}) / {DAY}" if q.can_say(k) else None


def _first_time(q: _Query, c: Column) -> str | None:
    ever, recent = q.total(c.keys, ALL), q.total(c.keys, c.windows[0])
    return None if ever is None else f"({ever} > 0 AND {ever} = {recent})::INT"


def _trend(q: _Query, c: Column) -> str | None:
    recent, both = q.total(c.keys, c.windows[0]), q.total(c.keys, 2 * c.windows[0])
    return None if recent is None else f"({recent} + 1) / ({both} - {recent} + 1)"


def _ratio(q: _Query, c: Column) -> str | None:
    above, below = q.total(c.keys[: c.split], c.windows[0]), q.total(c.keys[c.split :], c.windows[-1])
    return None if above is None or below is None else f"CASE WHEN {below} > 0 THEN {above} / {below} END"


def _distinct(q: _Query, c: Column) -> str | None:
    if not all(map(q.can_say, c.keys)):
        return None
    return " + ".join(["0", *(f"({q.count(k, c.windows[0])} > 0)::INT" for k in c.keys)])


def _entropy(q: _Query, c: Column) -> str | None:
    if not c.keys or not all(map(q.can_say, c.keys)):
        return None
    return f"bits([{', '.join(q.count(k, c.windows[0]) for k in c.keys)}])"


def _visits(q: _Query, c: Column) -> str:
    return f"coalesce({q.ask('given', 'count(*)', f'starts AND {inside(c.windows[0])}')}, 0)"


def _visits_per_month(q: _Query, c: Column) -> str:
    months = f"greatest((o.cutoff - {q.ask('given', 'min(time)')}) / 2.592e12, 1e0)"
    return f"coalesce({q.ask('given', 'count(*)', 'starts')} / {months}, 0)"


def _last_visit(q: _Query, c: Column) -> str:
    stay = f"least({q.ask('given', 'max(time)')} + 1000 * {q.ask('given', 'max(ms)', 'newest')}, o.cutoff)"
    return f"({stay} - {q.ask('given', 'max(time)', 'starts')}) / 1e6"


def _completeness(q: _Query, c: Column) -> str | None:
    if not c.keys or not all(map(q.can_say, c.keys)) or "field" not in q.known:
        return None
    newest = [
        q.ask("given", "max({'t': time, 'ms': ms, 'filled': filled})", q.matches(k)) + "['filled']"
        for k in c.keys
    ]
    return f"({' + '.join(f'coalesce({n}, false)::INT' for n in newest)}) / {len(c.keys)}"


def _surprise(q: _Query, c: Column) -> str | None:
    recent, ever = q.total(c.keys, c.windows[0]), q.total(c.keys, ALL)
    if recent is None:
        return None
    first = q.ask(q.key(c.keys[0]).side, "min(time)")
    before = f"((o.cutoff - {first}) / {c.windows[0]} - 1e0)"
    expected = f"(({ever} - {recent}) / {before})"
    return f"CASE WHEN {before} > 0 THEN ({recent} - {expected}) / sqrt({expected} + 1e0) END"


def _peers(q: _Query, c: Column) -> str | None:
    if not all(map(q.can_say, c.keys)):
        return None
    counts = [q.count(k, c.windows[0], "colleague") for k in c.keys]
    return f"CASE WHEN me.account IS NOT NULL THEN {' + '.join(['0', *counts])} END"


def _tenure(q: _Query, c: Column) -> str:
    return f"CASE WHEN joined_.joined < o.cutoff THEN (o.cutoff - joined_.joined) / {DAY} END"


OPERATIONS: dict[str, Callable[[_Query, Column], str | None]] = {
    "count": _count,
    "sum_duration": _sum_duration,
    "recency": _recency,
    "first_time": _first_time,
    "trend": _trend,
    "ratio": _ratio,
    "distinct": _distinct,
    "entropy": _entropy,
    "visits": _visits,
    "visits_per_month": _visits_per_month,
    "last_visit": _last_visit,
    "completeness": _completeness,
    "surprise": _surprise,
    "peers": _peers,
    "tenure": _tenure,
}
