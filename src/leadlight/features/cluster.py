"""A community whose log stays on a Spark cluster: members, deals and labels here, features there, the same numbers.

`observe`, `population_at`, `evaluate` and `LeadQualifier` take it as any other community. Of the log they need who was active when, and
of that only the extremes: the first time that each member was seen, and for each cutoff the newest row that is known before it.
Those rows come here, and nothing is rounded, so the observations are those of one machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.arguments import check_columns_argument
from leadlight.community.counting import NOTHING_STATED
from leadlight.community.matching import Match
from leadlight.community.reading import Source, open_table
from leadlight.errors import InputError
from leadlight.features.batch import Elsewhere
from leadlight.features.spark import EVENTS_PER_TASK, build_features_spark
from leadlight.features.spark_log import SparkLog, read_log
from leadlight.features.spark_repeats import without_repeats
from leadlight.kernels.log import EncodedLog
from leadlight.moments import moment_text
from leadlight.plan import Plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Codes = NDArray[np.int64]
UTC = pa.timestamp("us", tz="UTC")
COLUMNS = {
    "tag": "tags",
    "group": "group_id",
    "role": "other_role",
    "job_function": "other_job_function",
    "field": "field",
}


class SparkCommunity(Elsewhere, Community):
    """A community whose log a cluster reads.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    activity : path, glob, list of paths, pyspark.sql.DataFrame
        See `leadlight.features.spark_log.read_log`.
    members, deals, deal_contacts, contacts, columns, match, tz, strict
        As in `Community`; read on this machine, and kept in its memory.
    events_per_task : int
        How many rows of the log a task should work on.

    Attributes
    ----------
    log_on_spark : SparkLog
        The rows, and those that could not be used.

    Raises
    ------
    InputError
        If the log holds addresses (a column email, or as identifiers), or `strict` and a row cannot be used.

    Notes
    -----
    Every member's identifier is held here, some 300 bytes of memory each, and observations times columns times four bytes of
    features. `rejects` counts the rows of the log that could not be used, without a sample: a row has no number on a cluster.
    What needs the whole log on this machine (`log`, `activity`, evidence, `forget`) says that it does not have it.

    Examples
    --------
    >>> community = SparkCommunity(
    ...     spark, "s3a://bucket/log/", members="members.csv", deals="deals.csv"
    ... )  # doctest: +SKIP
    >>> qualifier = LeadQualifier().fit(community, observe(community))  # doctest: +SKIP
    """

    def __init__(
        self,
        spark: SparkSession,
        activity: Any,
        members: Any = None,
        deals: Any = None,
        deal_contacts: Any = None,
        contacts: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        match: Match = "email",
        tz: str = "UTC",
        strict: bool = False,
        events_per_task: int = EVENTS_PER_TASK,
    ) -> None:
        self._spark, self._per_task = spark, events_per_task
        self._vocabularies: dict[Any, tuple[str, ...]] = {}
        self.log_on_spark: SparkLog = read_log(spark, activity, columns=columns, tz=tz)
        if "email" in self.log_on_spark.rows.columns:
            raise InputError("The activity table has a column email; give addresses in the table of members.")
        refused = self._refused(strict)
        self._rows, repeated = without_repeats(self.log_on_spark.rows)
        self._read_totals()
        tables = {"members": members, "deals": deals, "deal_contacts": deal_contacts, "contacts": contacts}
        opened = {n: open_table(t, name=n, columns=columns) for n, t in tables.items() if t is not None}
        held = {name: table.schema.names for name, table in opened.items()}
        check_columns_argument(columns, {"activity": self.log_on_spark.names, **held})
        super().__init__(
            self._outline(),
            **{name: _renamed(table) for name, table in opened.items()},
            match=match,
            tz=tz,
            strict=strict,
        )
        if any("@" in one for one in self._ids):
            raise InputError(
                "The log names members by address; on Spark give identifiers, and addresses in the table of members."
            )
        self.repeated_events = repeated
        self.note_rejects("activity", refused)

    def action_counts(self, before: int | None = None) -> dict[str, int]:
        """Return each action that was known before a time with its number of rows at any, the most frequent first."""
        known = {
            action for action, first in self._first_of_action if before is None or first["_known"] < before
        }
        return {action: rows for action, rows in self._by_action.items() if action in known}

    def _refused(self, strict: bool) -> dict[str, tuple[int, list[int]]]:
        counted = self.log_on_spark.refused.groupBy("refused").count().orderBy("refused").collect()
        if counted and strict:
            raise InputError(f"{counted[0]['count']} rows of the activity table: {counted[0]['refused']}.")
        return {row["refused"]: (int(row["count"]), []) for row in counted}

    def _read_totals(self) -> None:
        """Ask the cluster for what one number, one row or one line for each member tells."""
        from pyspark.sql import functions as sf

        held = self.log_on_spark.rows.columns
        time = sf.unix_micros("occurred_at")
        known = sf.greatest(time, sf.unix_micros("known_at")) if "known_at" in held else time
        rows = self._rows.withColumn("_time", time).withColumn("_known", known)
        entry = sf.struct("_known", "_time", "member_id")
        by_action = (
            rows.groupBy("action").agg(sf.min(entry).alias("first"), sf.count("*").alias("rows")).collect()
        )
        if not by_action:
            raise InputError("The activity table has no row that can be used.")
        self.actions = tuple(sorted(row["action"] for row in by_action))
        counted = sorted((-int(row["rows"]), row["action"]) for row in by_action)
        self._by_action = {action: -rows for rows, action in counted}
        self._count = sum(int(row["rows"]) for row in by_action)
        codes = self._spark.createDataFrame(list(enumerate(self.actions)), "_action int, action string")
        rows = rows.join(sf.broadcast(codes), "action")
        self._timed = rows
        one = sf.struct("_time", "_known", "_action", "member_id")
        ends = rows.agg(
            sf.min(one).alias("a"),
            sf.max(one).alias("b"),
            sf.max(sf.struct("_known", "_time", "_action", "member_id")).alias("c"),
        ).collect()[0]
        self._ends = [ends[name] for name in "abc"]
        self._first_of_action = [(row["action"], row["first"]) for row in by_action]
        number = sf.xxhash64(sf.col("_time"), sf.col("_action").cast("bigint"))
        each = rows.groupBy("member_id").agg(
            sf.min(sf.struct("_known", "_time", "_action")).alias("first"),
            sf.count("*").alias("rows"),
            # In halves, whose sums stay within what a bigint holds.
            sf.sum(number.bitwiseAND(sf.lit(0xFFFFFFFF))).alias("low"),
            sf.sum(sf.shiftrightunsigned(number, 32)).alias("high"),
        )
        self._each = each.select(
            "member_id", "first._known", "first._time", "first._action", "rows", "low", "high"
        ).toArrow()
        self._met = _distinct(rows, "other_member_id") if "other_member_id" in held else None
        self._sources = _distinct(rows, "source") if "source" in held else None

    def _outline(self) -> pa.Table:
        """Return rows of the log that name every member and show its first and last times, and how it says what it is."""
        told = [
            (m, t, k, self.actions[a])
            for m, t, k, a in zip(
                *(self._each[c].to_pylist() for c in ("member_id", "_time", "_known", "_action")), strict=True
            )
        ]
        told += [(e["member_id"], e["_time"], e["_known"], self.actions[e["_action"]]) for e in self._ends]
        told += [(e["member_id"], e["_time"], e["_known"], action) for action, e in self._first_of_action]
        known_row = told[0]
        met = [] if self._met is None else self._met
        sources = [] if self._sources is None else self._sources
        lists = list(zip(*told, *[known_row] * (len(met) + len(sources)), strict=True))
        nobody = [None] * len(told)
        table = {
            "member_id": pa.array(lists[0], pa.string()),
            "occurred_at": pa.array(lists[1], pa.int64()).cast(UTC),
            "known_at": pa.array(lists[2], pa.int64()).cast(UTC),
            "action": pa.array(lists[3], pa.string()),
        }
        if self._met is not None:
            table["other_member_id"] = pa.array([*nobody, *met, *[None] * len(sources)], pa.string())
        if self._sources is not None:
            table["source"] = pa.array([*nobody, *[None] * len(met), *sources], pa.string())
        return pa.table(table)

    @cached_property
    def _ids(self) -> list[str]:
        """Each member's identifier as the cluster holds it."""
        return [str(one) for one in self.members.ids]

    def _elsewhere(self) -> NoReturn:
        raise InputError(
            "The log is on the cluster (log_on_spark.rows); this needs it on this machine, in a Community."
        )

    @property
    def log(self) -> EncodedLog:
        """Not on this machine."""
        self._elsewhere()

    @property
    def activity(self) -> pa.Table:
        """Not on this machine."""
        self._elsewhere()

    def forget(self, member_id: Any) -> int:
        """Not possible here: erase the member where the log lies."""
        self._elsewhere()

    def _member_digests(self) -> tuple[Codes, NDArray[np.uint64]]:
        code = self._codes(self._each["member_id"])
        counts, sums = np.zeros(len(self.members), np.int64), np.zeros(len(self.members), np.uint64)
        low, high = (self._each[c].to_numpy().astype(np.uint64) for c in ("low", "high"))
        counts[code], sums[code] = self._each["rows"].to_numpy(), low + (high << np.uint64(32))
        return counts, sums

    def _codes(self, ids: pa.ChunkedArray) -> Codes:
        found: Codes = pd.Index(self._ids).get_indexer(pd.Index(ids.to_pylist())).astype(np.int64)
        return found

    def acted(self, cutoffs: Codes | None, windows: Any) -> EncodedLog:
        """Return the rows that make a difference at these cutoffs: no more than one for each member and cutoff.

        Raises
        ------
        InputError
            If the cutoffs are those of events, or not at equal distances.
        """
        from pyspark.sql import functions as sf

        if cutoffs is None:
            raise InputError("Cutoffs at events (on=) need the log on this machine; use a calendar on Spark.")
        steps = np.unique(np.diff(cutoffs))
        if len(steps) > 1:
            raise InputError("On Spark cutoffs lie at equal distances.")
        rows = self._timed.where(sf.col("_known") <= sf.lit(int(windows.frozen_us)))
        last = sf.max(sf.struct("_time", "_known", "_action")).alias("one")
        parts = []
        if len(cutoffs):
            first, step = int(cutoffs[0]), int(steps[0]) if len(steps) else 1
            # A row counts from the first cutoff after it is known; of those of one such cutoff the newest counts longest.
            since = sf.expr(f"CASE WHEN _known < {first} THEN 0 ELSE (_known - {first}) div {step} + 1 END")
            newest = rows.withColumn("_since", since).where(sf.col("_since") < len(cutoffs))
            parts.append(newest.groupBy("member_id", "_since").agg(last).select("member_id", "one.*"))
        if windows.enters_on:
            entering = rows.where(sf.col("action").isin(list(windows.enters_on)))
            soonest = sf.min(sf.struct("_known", "_time")).alias("one")
            parts.append(
                entering.groupBy("member_id", "_action").agg(soonest).select("member_id", "one.*", "_action")
            )
        names = ("member_id", "_time", "_known", "_action")
        tables = [self._each.select(names), *(part.select(*names).toArrow() for part in parts)]
        member, time, known, action = (
            pa.chunked_array([c for table in tables for c in table[name].chunks], tables[0][name].type)
            for name in names
        )
        return EncodedLog(
            actor=self._codes(member),
            time=time.to_numpy(),
            action=action.to_numpy().astype(np.int64),
            visible_from=known.to_numpy(),
            dictionaries={"action": self.actions},
        )

    def vocabulary(
        self,
        attribute: str,
        *,
        action: str | tuple[str, ...] | None = None,
        before: int | None = None,
        top: int = 20,
        min_members: int = 20,
    ) -> tuple[str, ...]:
        """Return the entries that most rows hold; see `Community.vocabulary`."""
        asked = (attribute, action, before, top, min_members)
        if asked not in self._vocabularies:
            self._vocabularies[asked] = self._most_used(*asked)
        return self._vocabularies[asked]

    def _most_used(
        self,
        attribute: str,
        action: str | tuple[str, ...] | None,
        before: int | None,
        top: int,
        min_members: int,
    ) -> tuple[str, ...]:
        from pyspark.sql import functions as sf

        column = COLUMNS[attribute]
        if column not in self._timed.columns:
            return ()
        rows = self._timed
        if action is not None:
            rows = rows.where(sf.col("action").isin([action] if isinstance(action, str) else list(action)))
        if before is not None:
            rows = rows.where(sf.col("_known") < sf.lit(int(before)))
        entry = sf.explode(sf.array_distinct(column)) if attribute == "tag" else sf.col(column)
        held = rows.select("member_id", entry.alias("entry")).where("entry IS NOT NULL")
        counted = held.groupBy("entry").agg(
            sf.count("*").alias("rows"), sf.count_distinct("member_id").alias("users")
        )
        enough = counted.where(sf.col("users") >= max(min_members, 1))
        ranked = enough.orderBy(sf.desc("rows"), sf.asc("entry")).limit(top).collect()
        return tuple(row["entry"] for row in ranked)

    def stated(self, attribute: str, since: tuple[Codes, Codes]) -> pd.DataFrame:
        """Return what the log states of the members that its rows name; see `Community.stated`."""
        from pyspark.sql import functions as sf

        column = COLUMNS[attribute]
        if not {column, "other_member_id"} <= set(self._timed.columns):
            return NOTHING_STATED
        bounds = pd.DataFrame({"member": since[0], "at": since[1]}).groupby("member")["at"].agg(list)
        lists = pa.table(
            {
                "other_member_id": pa.array(self._ids, pa.string()).take(
                    pa.array(bounds.index.to_numpy(np.int64))
                ),
                "_bounds": pa.array(bounds.tolist(), pa.list_(pa.int64())),
            }
        )
        rows = self._timed.where(sf.col(column).isNotNull() & sf.col("other_member_id").isNotNull())
        rows = rows.join(self._spark.createDataFrame(lists), "other_member_id", "left")
        passed = sf.size(sf.filter("_bounds", lambda bound: bound <= sf.col("_time")))
        rows = rows.withColumn("part", sf.when(sf.col("_bounds").isNull(), 0).otherwise(passed))
        found = (
            rows.groupBy("other_member_id", sf.col(column).alias("value"), "part")
            .agg(sf.min("_time").alias("first"), sf.max("_time").alias("last"), sf.count("*").alias("rows"))
            .toArrow()
        )
        told = found.drop_columns("other_member_id").to_pandas()
        told.insert(0, "member", self._codes(found["other_member_id"]))
        return told.sort_values(["member", "value", "part"], ignore_index=True)

    def tag_uses(self, known: tuple[str, ...], at_us: int, within_us: int) -> tuple[int, int]:
        """Return how often tags were used in `[at - within, at)`, and how often such as are not among `known`."""
        from pyspark.sql import functions as sf

        if "tags" not in self._timed.columns:
            return 0, 0
        lately = (sf.col("_time") >= sf.lit(at_us - within_us)) & (sf.col("_known") < sf.lit(at_us))
        used = self._timed.where(lately).select(sf.explode(sf.array_distinct("tags")).alias("entry"))
        used = used.where("entry IS NOT NULL")
        strange = sf.sum((~sf.col("entry").isin(list(known))).cast("bigint"))
        row = used.agg(sf.count("*").alias("uses"), strange.alias("strange")).collect()[0]
        return int(row["uses"]), int(row["strange"] or 0)

    def write_features(self, codes: Codes, cutoffs: Codes, plan: Plan, out: NDArray[np.float32]) -> None:
        """Have the cluster make the features, and put them in order here."""
        ids = pa.array(self._ids, pa.string())
        asked = pa.table({"member_id": ids.take(pa.array(codes)), "cutoff": pa.array(cutoffs).cast(UTC)})
        found = build_features_spark(
            self._rows,
            self._spark.createDataFrame(asked),
            plan,
            members=self._facts(),
            events_per_task=self._per_task,
        ).toArrow()
        # Where each row belongs: by member and cutoff, of which each pair is there once.
        order = np.lexsort((cutoffs, codes))
        mine = np.lexsort((found["cutoff"].cast(pa.int64()).to_numpy(), self._codes(found["member_id"])))
        if len(order) != len(mine):
            raise InputError(
                f"{len(codes)} rows were asked for and {len(mine)} came back; some are there twice."
            )
        for place, name in enumerate(plan.column_names):
            values = found[name].to_numpy()
            out[order, place] = values[mine]

    def _facts(self) -> DataFrame | None:
        members = self._others.get("members")
        if members is None:
            return None
        place = members.column_names.index("member_id")
        return self._spark.createDataFrame(
            members.set_column(place, "member_id", members["member_id"].cast(pa.string()))
        )

    def __repr__(self) -> str:
        stamp = "simulated, " if self.simulated else ""
        first, last = (moment_text(us)[:10] for us in (self.start_us, int(self._activity.time.max())))
        return (
            f"Community({stamp}{self._count} events of {len(self.members)} members, {first} to {last}, "
            f"{len(self.deals)} deals)"
        )


def _renamed(table: Source) -> pa.RecordBatchReader:
    """Return a table under canonical names, read once: the log's own names are not among those of its outline."""
    schema = pa.schema(list(zip(table.columns, table.schema.types, strict=True)))
    return pa.RecordBatchReader.from_batches(schema, (b.rename_columns(table.columns) for b in table.raw))


def _distinct(rows: DataFrame, column: str) -> list[str]:
    return [row[column] for row in rows.select(column).where(f"{column} IS NOT NULL").distinct().collect()]
