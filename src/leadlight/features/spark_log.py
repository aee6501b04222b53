"""The log on a Spark cluster in its canonical form: the same conversion as on one machine, row by row, nothing lost unseen."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from leadlight.community.reading import CSV, find_files, open_table, renamed
from leadlight.community.tables import SCHEMAS, RowCheck, canonical_batch, require
from leadlight.community.values import Notation
from leadlight.errors import InputError, MissingDependencyError
from leadlight.features.spark_session import map_in_arrow, quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

TIMES = tuple(name for name, kind in SCHEMAS["activity"].items() if kind == "time")
REFUSED = "refused"
ILLEGAL = "PARQUET_TYPE_ILLEGAL"
NANOSECONDS = "spark.sql.legacy.parquet.nanosAsLong"


@dataclass(frozen=True)
class SparkLog:
    """A log on a cluster.

    Attributes
    ----------
    rows : pyspark.sql.DataFrame
        Canonical rows. Identifiers are text here, whatever they are in the source; whole numbers in their plain form.
    refused : pyspark.sql.DataFrame
        Rows that could not be used: refused (the reason), and a column ``row`` with what the source held, as JSON. It
        holds what they held, addresses too.
    names : tuple of str
        The source's own names of its columns.
    """

    rows: DataFrame
    refused: DataFrame
    names: tuple[str, ...]


def read_log(
    spark: SparkSession, source: Any, *, columns: Mapping[str, str] | None = None, tz: str = "UTC"
) -> SparkLog:
    """Read a log with a cluster.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    source : path, glob, list of paths, or pyspark.sql.DataFrame
        Parquet is read by Spark, from wherever it can read. CSV is read as on one machine, a file in each task, so every
        executor must see the files: one large file is one task.
    columns : mapping, optional
        Canonical name to your own, as in `Community`.
    tz : str
        Zone of times that name none. Spark's own session zone is never used.

    Returns
    -------
    SparkLog
        Kept by Spark (memory, then disk) once it was read; ``spark.catalog.clearCache()`` lets it go.

    Raises
    ------
    SchemaError
        If a required column is missing.
    InputError
        If there is no file, or times in nanoseconds are read with another `tz` than UTC: Spark does not tell which of
        them name a zone.
    MissingDependencyError
        Without pyspark (``pip install leadlight[spark]``).

    Notes
    -----
    Spark holds microseconds. It refuses Parquet files with nanoseconds unless ``spark.sql.legacy.parquet.nanosAsLong`` is
    set; it is set here where a file needs it, and the digits beyond microseconds are cut, as on one machine.
    """
    try:
        from pyspark.sql import functions as sf
        from pyspark.sql import types as st
    except ImportError as error:
        raise MissingDependencyError("Spark is not installed: pip install leadlight[spark]") from error
    columns = dict(columns or {})
    if _is_csv(source):
        files = find_files(source, "activity")
        opened = open_table(source, name="activity", columns=columns)
        own, names = tuple(opened.schema.names), opened.columns
        # Not more files to a task than can be helped: each is read to its end.
        raw = spark.createDataFrame([(file,) for file in files], "file string")
        raw = raw.repartition(len(files))
        convert = _convert_files(columns, tz)
    else:
        raw, nanoseconds = _frame(spark, source)
        own, names = tuple(raw.columns), renamed(raw.columns, "activity", columns)
        raw = raw.toDF(*names).select(*(quoted(c) for c in names if c in SCHEMAS["activity"]))
        convert = _convert_rows(_nanoseconds(raw, tz) if nanoseconds else (), tz)
    require(names, "activity")
    kept = [c for c in SCHEMAS["activity"] if c in names]
    fields = [st.StructField(c, _type(SCHEMAS["activity"][c])) for c in kept]
    schema = st.StructType(
        [*fields, st.StructField(REFUSED, st.StringType()), st.StructField("row", st.StringType())]
    )
    converted = map_in_arrow(raw, _in_schema(convert, kept), schema).persist()
    good = sf.col(REFUSED).isNull()
    return SparkLog(
        converted.where(good).select(*(quoted(c) for c in kept)),
        converted.where(~good).select(REFUSED, "row"),
        own,
    )


Convert = Callable[[pa.RecordBatch], Iterator[tuple[pa.Table, RowCheck, dict[str, pa.Array]]]]


def _convert_rows(nanoseconds: tuple[str, ...], tz: str) -> Convert:
    def convert(batch: pa.RecordBatch) -> Iterator[tuple[pa.Table, RowCheck, dict[str, pa.Array]]]:
        raw = pa.Table.from_batches([batch])
        for name in nanoseconds:
            place = raw.column_names.index(name)
            raw = raw.set_column(place, name, raw[name].cast(pa.timestamp("ns", tz="UTC")))
        check = RowCheck("activity")
        yield raw, check, canonical_batch(raw, check, Notation(tz))[1]

    return convert


def _convert_files(columns: dict[str, str], tz: str) -> Convert:
    def convert(batch: pa.RecordBatch) -> Iterator[tuple[pa.Table, RowCheck, dict[str, pa.Array]]]:
        for file in batch.column(0).to_pylist():
            check = RowCheck("activity")
            for raw in open_table(file, name="activity", columns=columns).batches():
                yield raw, check, canonical_batch(raw, check, Notation(tz))[1]

    return convert


def _in_schema(
    convert: Convert, kept: list[str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a task does: canonical columns, all rows, and of refused ones the reason and what they held."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for raw, check, columns in convert(batch):
                reasons = check.reasons(raw.num_rows)
                told = np.full(raw.num_rows, None, object)
                for at in np.flatnonzero(reasons != None):  # noqa: E711 - element by element
                    told[at] = json.dumps(raw.slice(int(at), 1).to_pylist()[0], default=str)
                arrays = [
                    _stored(columns[c], SCHEMAS["activity"][c])
                    if c in columns
                    else pa.nulls(raw.num_rows, ARROW[SCHEMAS["activity"][c]])
                    for c in kept
                ]
                arrays += [pa.array(reasons, pa.string()), pa.array(told, pa.string())]
                yield from (
                    pa.table(arrays, names=[*kept, REFUSED, "row"]).combine_chunks().to_batches(1 << 16)
                )

    return task


ARROW = {
    "id": pa.string(),
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "number": pa.float64(),
    "tags": pa.list_(pa.string()),
}


def _stored(values: pa.Array, kind: str) -> pa.Array:
    return values.cast(ARROW[kind])


def _type(kind: str) -> DataType:
    from pyspark.sql import types as st

    found: DataType = {
        "id": st.StringType(),
        "text": st.StringType(),
        "time": st.TimestampType(),
        "number": st.DoubleType(),
        "tags": st.ArrayType(st.StringType()),
    }[kind]
    return found


def _is_csv(source: Any) -> bool:
    one = source[0] if isinstance(source, list) and source else source
    return isinstance(one, (str, Path)) and str(one).lower().endswith(CSV)


def _frame(spark: SparkSession, source: Any) -> tuple[DataFrame, bool]:
    """Return the rows as Spark reads them, and whether whole numbers may be nanoseconds."""
    from pyspark.errors import AnalysisException

    if not isinstance(source, (str, Path, list)):
        return source, False
    paths = [_absolute(str(one)) for one in (source if isinstance(source, list) else [source])]
    before = str(spark.conf.get(NANOSECONDS))
    # Off while types are told: on, whole numbers and nanoseconds look alike.
    spark.conf.set(NANOSECONDS, "false")
    try:
        return _parquet(spark, paths), False
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error):
            raise InputError(f"No file for the activity table at {paths}.") from error
        if ILLEGAL not in str(error):
            raise InputError(f"The activity table cannot be read: {str(error).splitlines()[0]}") from error
        before = "true"
    finally:
        spark.conf.set(NANOSECONDS, before)
    return _parquet(spark, paths), True


def _absolute(path: str) -> str:
    """Return a path of this machine whole: Spark takes it to begin where its own process was started."""
    here = not Path(path).is_absolute() and (Path(path).exists() or bool(glob.glob(path, recursive=True)))
    return str(Path(path).absolute()) if here else path


def _parquet(spark: SparkSession, paths: list[str]) -> DataFrame:
    return spark.read.option("mergeSchema", "true").parquet(*paths)


def _nanoseconds(raw: DataFrame, tz: str) -> tuple[str, ...]:
    found = tuple(c for c, kind in raw.dtypes if c in TIMES and kind == "bigint")
    if found and tz != "UTC":
        raise InputError(
            f"{list(found)} are in nanoseconds, and Spark does not say whether they name a zone; write the files with "
            "microseconds, or use tz='UTC' if they do."
        )
    return found
