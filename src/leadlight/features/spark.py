"""The same plan and kernel on a Spark cluster: for logs that outgrow one machine.

Two shuffles. The first brings every member's rows (those that the member gave and those that others gave to the member) into one
task, which does what one machine does with its whole log: `Community`, then `build_features`. The second does the same by
account, for the columns about colleagues. The kernel counts in integers, so the result does not depend on the division.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leadlight.community import Community
from leadlight.community.matching import FREE_MAIL, email_domain, normal_domain, normal_email
from leadlight.community.tables import REQUIRED, SCHEMAS
from leadlight.errors import InputError, LeadlightWarning, MissingDependencyError, SchemaError, closest
from leadlight.features.batch import build_features
from leadlight.features.spark_session import map_in_arrow, quoted
from leadlight.observations import Observations
from leadlight.plan import Column as PlannedColumn
from leadlight.plan import Plan

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EVENTS_PER_TASK = 2_000_000
"""Rows of the log that a task works on: some 400 MB while it does. A member or an account with more has a task of its own."""

TASK, KIND = "task", "kind"
EVENT, FACT, ASKED = 0, 1, 2
KEY = ("member_id", "cutoff")
MOST_PARTITIONS = 20_000
"""Each of the map side's tasks writes a block for each partition: more of them are more files than a shuffle stands."""

OUT_ROWS = 1 << 14
"""Rows of a batch of the result."""


def build_features_spark(
    activity: DataFrame,
    observations: DataFrame,
    plan: Plan,
    *,
    members: DataFrame | None = None,
    events_per_task: int = EVENTS_PER_TASK,
) -> DataFrame:
    """Compute the plan's columns for every observation, on a cluster.

    Parameters
    ----------
    activity : pyspark.sql.DataFrame
        The log with its canonical columns: member_id, occurred_at, action, ... Rows that cannot be read are left out, as
        `Community` does.
    observations : pyspark.sql.DataFrame
        member_id and cutoff (timestamp), each pair once.
    plan : Plan
        Compiled before the training period ends, for instance on a sample of members.
    members : pyspark.sql.DataFrame, optional
        Facts, with valid_from where they are dated; accounts come from account_id here, never from a domain.
    events_per_task : int
        How many rows of the log a task should work on.

    Returns
    -------
    pyspark.sql.DataFrame
        member_id, cutoff, and a float column for each of the plan's, null where missing; in no order. Equal to
        `build_features` on the same tables, bit for bit.

    Raises
    ------
    MissingDependencyError
        Without pyspark (``pip install leadlight[spark]``).
    SchemaError
        If a required column is missing.
    InputError
        If the log holds addresses in a column email (give them in `members`), or the plan asks for colleagues of the same
        domain.

    Notes
    -----
    An ``event_id`` that is there twice counts once where both rows are of one member. An ``event_id`` that two members
    share counts for each of them here, and once on one machine: clean such a log first.
    """
    try:
        from pyspark.sql import functions as sf
    except ImportError as error:
        raise MissingDependencyError("Spark is not installed: pip install leadlight[spark]") from error
    if not isinstance(plan, Plan):
        raise InputError(f"plan is a {type(plan).__name__}; compile the catalogue first.")
    events = _canonical(activity, "activity")
    facts = None if members is None else _canonical(members, "members")
    asked = _observed(observations)
    if "email" in events.columns:
        raise InputError("The activity table has a column email; give addresses in the table of members.")
    _same_types(events, asked, facts)
    peers = _sub_plan(plan, [c for c in plan.columns if c.operation == "peers"])
    own = _sub_plan(plan, [c for c in plan.columns if c.operation != "peers"])
    found = _own(events, asked, facts, own, events_per_task)
    facts = None if facts is None else _with_companies(facts)
    if peers.columns and facts is not None and "account_id" in facts.columns:
        found = found.join(_colleagues(events, asked, facts, peers, events_per_task), list(KEY), "left")
    held = set(found.columns)
    missing = sf.lit(None).cast("float")
    named = [sf.col(quoted(c)) if c in held else missing.alias(c) for c in (*KEY, *plan.column_names)]
    return found.select(*named)


def _own(
    events: DataFrame, asked: DataFrame, facts: DataFrame | None, plan: Plan, per_task: int
) -> DataFrame:
    """Return the columns that a member's own rows tell."""
    from pyspark.sql import functions as sf

    received = "other_member_id" in events.columns and any(key.side == "received" for key in plan.keys)
    by_domain = any(key.attribute == "same_domain" for key in plan.keys)
    given = events.select(sf.col("member_id").alias("_who"))
    if received:
        given = given.unionByName(events.select(sf.col("other_member_id").alias("_who")))
    task_of, tasks = _tasks(given.where(sf.col("_who").isNotNull()), per_task)
    wanted = [task_of("member_id")]
    if received:
        wanted.append(sf.when(sf.col("other_member_id").isNotNull(), task_of("other_member_id")))
    sent = events.withColumn(TASK, sf.explode(sf.array_distinct(sf.array_compact(sf.array(*wanted)))))
    parts = [_part(sent, EVENT), _part(asked.withColumn(TASK, task_of("member_id")), ASKED)]
    if facts is not None:
        facts = facts.drop("account_id", "role", "consent")
        parts.append(_part(facts.withColumn(TASK, task_of("member_id")), FACT))
        if by_domain and "other_member_id" in events.columns:
            # Whether a counterpart is of the same company is told by the counterpart's own facts.
            met = sent.select(TASK, sf.col("other_member_id").alias("member_id")).where(
                "member_id IS NOT NULL"
            )
            met = met.distinct().where(sf.col(TASK) != task_of("member_id"))
            parts.append(_part(met.join(facts, "member_id"), FACT))
    return _run(parts, tasks, plan, _names(events, facts), _everything)


def _colleagues(
    events: DataFrame, asked: DataFrame, facts: DataFrame, plan: Plan, per_task: int
) -> DataFrame:
    """Return the columns about colleagues, for members who had an account at the cutoff."""
    from pyspark.sql import functions as sf

    counted = {plan.keys[k].attribute for column in plan.columns for k in column.keys}
    if "same_domain" in counted:
        raise InputError("The plan counts what colleagues do within their own domain; Spark does not.")
    facts = facts.drop("email", "email_domain")
    held = facts.where("account_id IS NOT NULL").select("member_id", "account_id").distinct()
    acted = events.join(held, "member_id").select(sf.col("account_id").alias("_who"))
    task_of, tasks = _tasks(acted, per_task)
    where = held.select("member_id", task_of("account_id").alias(TASK)).distinct()
    parts = [
        _part(table.join(where, "member_id"), kind)
        for table, kind in ((events, EVENT), (facts, FACT), (asked, ASKED))
    ]
    accounts = held.select(sf.col("account_id"), task_of("account_id").alias(TASK)).distinct()
    parts.append(_part(accounts.withColumn("member_id", sf.lit(None).cast(_type(held, "member_id"))), ASKED))
    return _run(parts, tasks, plan, _names(events, facts), _of_accounts)


def _tasks(who: DataFrame, per_task: int) -> tuple[Callable[[str], Column], int]:
    """Return how a member or an account becomes the number of a task (one of its own if it has many rows), and how many there are."""
    from pyspark.sql import functions as sf

    counted = who.groupBy("_who").agg(sf.count("*").alias("rows"))
    total = sum(row["rows"] or 0 for row in counted.agg(sf.sum("rows").alias("rows")).collect())
    shared = max(1, -(-int(total) // per_task))
    heavy = [row["_who"] for row in counted.where(sf.col("rows") > per_task // 2).select("_who").collect()]
    alone = {value: shared + place for place, value in enumerate(heavy)}

    def task_of(name: str) -> Column:
        one = sf.pmod(sf.xxhash64(sf.col(name)), sf.lit(shared)).cast("int")
        if not alone:
            return one
        known = sf.create_map(*(sf.lit(v) for pair in alone.items() for v in pair))
        return sf.coalesce(sf.element_at(known, sf.col(name)), one)

    return task_of, shared + len(heavy)


def _part(table: DataFrame, kind: int) -> DataFrame:
    from pyspark.sql import functions as sf

    return table.withColumn(KIND, sf.lit(kind).cast("tinyint"))


def _names(events: DataFrame, facts: DataFrame | None) -> dict[str, list[str]]:
    return {"activity": events.columns, "members": ["member_id"] if facts is None else facts.columns}


def _run(
    parts: list[DataFrame], tasks: int, plan: Plan, columns: dict[str, list[str]], work: Callable[..., Any]
) -> DataFrame:
    """Bring the parts of each task together and do the work of one machine there."""
    from functools import reduce

    from pyspark.sql import types as st

    rows = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts)
    asked = next(part for part in parts if "cutoff" in part.columns)
    key = [
        st.StructField("member_id", asked.schema["member_id"].dataType),
        st.StructField("cutoff", st.TimestampType()),
    ]
    schema = st.StructType([*key, *(st.StructField(name, st.FloatType()) for name in plan.column_names)])

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _by_task(batches):
            yield from work(table, plan, columns)

    # Sorted, so that a partition that several tasks fall into holds one of them in memory at a time.
    spread = rows.repartition(min(tasks, MOST_PARTITIONS), TASK).sortWithinPartitions(TASK)
    return map_in_arrow(spread, task, schema)


def _by_task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows of one task after the other, of batches that are sorted by task."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        at = 0
        numbers = batch.column(batch.schema.get_field_index(TASK)).to_numpy(zero_copy_only=False)
        for stop in [*(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)]:
            if held and held[0][TASK][0].as_py() != numbers[at]:
                yield pa.Table.from_batches(held)
                held = []
            held.append(batch.slice(at, int(stop) - at))
            at = int(stop)
    if held:
        yield pa.Table.from_batches(held)


def _everything(table: pa.Table, plan: Plan, columns: dict[str, list[str]]) -> Iterator[pa.RecordBatch]:
    asked = table.filter(pc.equal(table[KIND], ASKED)).select(list(KEY))
    if asked.num_rows:
        _, values = _features(table, asked, plan, columns)
        yield from _result(asked, values, plan)


def _of_accounts(table: pa.Table, plan: Plan, columns: dict[str, list[str]]) -> Iterator[pa.RecordBatch]:
    rows = table.filter(pc.equal(table[KIND], ASKED))
    asked = rows.filter(pc.is_valid(rows["member_id"])).select(list(KEY))
    if not asked.num_rows:
        return
    here = rows.filter(pc.is_null(rows["member_id"]))["account_id"]
    community, values = _features(table, asked, plan, columns)
    whole = community.members.account_ids.inferred_type == "integer"
    ours = pd.Index([int(a) if whole else a for a in here.to_pylist()])
    here_codes = community.members.account_ids.get_indexer(ours)
    codes = community.codes(_identifiers(asked["member_id"], community))
    at = asked["cutoff"].cast(pa.int64()).to_numpy()
    keep = np.zeros(len(at), bool)
    # Who was elsewhere at the cutoff is answered where that account is.
    for cutoff in np.unique(at):
        some = at == cutoff
        keep[some] = np.isin(community.peer_account_at(int(cutoff))[codes[some]], here_codes[here_codes >= 0])
    yield from _result(asked.filter(pa.array(keep)), values[keep], plan)


def _features(
    table: pa.Table, asked: pa.Table, plan: Plan, columns: dict[str, list[str]]
) -> tuple[Community, np.ndarray[Any, np.dtype[np.float32]]]:
    events = table.filter(pc.equal(table[KIND], EVENT)).select(columns["activity"])
    facts = table.filter(pc.equal(table[KIND], FACT)).select(columns["members"])
    # Everybody who is asked about is a member, one without a row of the log or a fact too; a second row of a member would
    # be its newest, and say that nothing is known of it.
    told = pc.is_in(asked["member_id"], value_set=facts["member_id"].combine_chunks())
    others = asked.filter(pc.invert(told)).select(["member_id"])
    known = pa.concat_tables([facts, others], promote_options="default")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        community = Community(activity=events, members=known.select(columns["members"]))
    frame = pd.DataFrame(
        {"member_id": _identifiers(asked["member_id"], community), "cutoff": _times(asked["cutoff"])}
    )
    values = build_features(community, Observations.from_frame(frame), plan)
    return community, values.to_numpy()


def _identifiers(ids: pa.ChunkedArray, community: Community) -> pd.Index[Any]:
    """Return identifiers of the type that the community took for them."""
    whole = community.members.ids.inferred_type == "integer"
    return pd.Index([int(i) if whole else str(i) for i in ids.to_pylist()])


def _times(times: pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(times.cast(pa.int64()).to_numpy().view("datetime64[us]")).dt.tz_localize("UTC")


def _result(
    asked: pa.Table, values: np.ndarray[Any, np.dtype[np.float32]], plan: Plan
) -> Iterator[pa.RecordBatch]:
    names = plan.column_names
    columns = [pa.array(values[:, j], pa.float32(), mask=np.isnan(values[:, j])) for j in range(len(names))]
    keys = [asked[name].combine_chunks() for name in KEY]
    found = pa.table([*keys, *columns], names=[*KEY, *names])
    yield from found.to_batches(OUT_ROWS)


def _sub_plan(plan: Plan, columns: list[PlannedColumn]) -> Plan:
    """Return the plan of some columns; keys keep their places."""
    return replace(plan, columns=tuple(columns), behaviours=())


def _same_types(*tables: DataFrame | None) -> None:
    types = {t.schema["member_id"].dataType.simpleString() for t in tables if t is not None}
    if len(types) > 1:
        raise SchemaError(f"member_id is of types {sorted(types)} in the tables; cast it to one.")


def _with_companies(facts: DataFrame) -> DataFrame:
    """Return facts with accounts; without any that always held a company's domain is the account, as in `Community`."""
    if not {"email", "email_domain"} & set(facts.columns):
        return facts
    if "account_id" in facts.columns:
        always = facts.where("valid_from IS NULL") if "valid_from" in facts.columns else facts
        if always.isEmpty() or not always.where("account_id IS NOT NULL").isEmpty():
            return facts
    from pyspark.sql import types as st

    def named(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            told = batch.to_pydict()
            nothing = [None] * batch.num_rows
            given = told.get("account_id", nothing)
            both = zip(told.get("email_domain", nothing), told.get("email", nothing), strict=True)
            domains = [normal_domain(d) or email_domain(normal_email(e)) for d, e in both]
            accounts = [
                str(a) if a is not None else None if d in FREE_MAIL else d
                for a, d in zip(given, domains, strict=True)
            ]
            others = batch.drop_columns(["account_id"]) if "account_id" in told else batch
            yield others.append_column("account_id", pa.array(accounts, pa.string()))

    schema = st.StructType(
        [*(f for f in facts.schema if f.name != "account_id"), st.StructField("account_id", st.StringType())]
    )
    return map_in_arrow(facts, named, schema)


def _canonical(table: DataFrame, name: str) -> DataFrame:
    """Return the canonical columns of a table."""
    missing = [c for c in REQUIRED[name] if c not in table.columns]
    if missing:
        raise SchemaError(
            f"The {name} table lacks {missing[0]!r}{closest(missing[0], table.columns)}; it has {table.columns}."
        )
    return table.select(*(quoted(c) for c in table.columns if c in SCHEMAS[name]))


def _observed(table: DataFrame) -> DataFrame:
    missing = [c for c in KEY if c not in table.columns]
    if missing:
        raise SchemaError(f"observations lack {missing}; they have {table.columns}.")
    kind = _type(table, "cutoff").simpleString()
    if kind != "timestamp":
        raise SchemaError(
            f"The cutoffs of the observations are of type {kind}; a cutoff is a timestamp with a zone, which Spark calls "
            "timestamp."
        )
    return table.select(*KEY)


def _type(table: DataFrame, column: str) -> Any:
    return table.schema[column].dataType
