"""Rows of a log on a cluster that repeat an event of another row, whoever's it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIRST = ("known_at", "occurred_at", "action", "member_id", "event_id")


def without_repeats(rows: DataFrame) -> tuple[DataFrame, int]:
    """Return the rows without those that repeat an event_id, and how many these are; the row known earliest stays.

    The same row stays as on one machine: equals go by time, action, member, and then by all else.

    Parameters
    ----------
    rows : pyspark.sql.DataFrame
        Of `leadlight.features.spark_log.read_log`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    if "event_id" not in rows.columns:
        return rows, 0
    counted = rows.where("event_id IS NOT NULL").groupBy("event_id").agg(sf.count("*").alias("_rows"))
    twice = counted.where("_rows > 1").persist()
    found = twice.agg(sf.sum("_rows").alias("rows"), sf.count("*").alias("events")).collect()[0]
    if not found["events"]:
        twice.unpersist()
        return rows, 0
    known = sf.col("occurred_at")
    if "known_at" in rows.columns:
        known = sf.greatest(known, sf.col("known_at"))
    whole = rows.where("NOT member_id RLIKE '^(0|-?[1-9][0-9]{0,18})$'").isEmpty()
    order = [known, sf.col("occurred_at"), sf.col("action")]
    # Numbers have the order of numbers where all identifiers are some, as `Community` then takes them.
    order.append(sf.col("member_id").cast("decimal(20, 0)") if whole else sf.col("member_id"))
    for name in reversed([c for c in rows.columns if c not in FIRST]):
        value = sf.col(name)
        order.append(sf.array_join(sf.sort_array(sf.array_compact(value)), "\0") if name == "tags" else value)
    place = sf.row_number().over(Window.partitionBy("event_id").orderBy(*(o.asc_nulls_last() for o in order)))
    repeated = rows.join(twice.select("event_id"), "event_id", "left_semi").withColumn("_place", place)
    others = rows.join(twice.select("event_id"), "event_id", "left_anti")
    kept = others.unionByName(repeated.where("_place = 1").drop("_place")).persist()
    return kept, int(found["rows"] - found["events"])
