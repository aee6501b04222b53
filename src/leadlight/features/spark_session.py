"""Small things that everything on Spark needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


def map_in_arrow(
    table: DataFrame, work: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]], schema: StructType
) -> DataFrame:
    """Call a function on the rows of each partition, as Arrow batches."""
    with warnings.catch_warnings():
        # Spark 4 warns of pandas 3 wherever it meets Python; no pandas takes part in Arrow batches.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        return table.mapInArrow(work, schema)


def quoted(name: str) -> str:
    """Return a column's name as Spark reads it: a dot would mean a field of a structure."""
    return "`" + name.replace("`", "``") + "`"
