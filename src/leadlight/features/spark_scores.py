"""A bundle over feature rows on a Spark cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from leadlight.errors import MissingDependencyError, SchemaError, closest
from leadlight.features.spark_session import map_in_arrow
from leadlight.runtime import Scorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NUMBERS = ("probability", "low", "high", "percentile")


def score_spark(scorer: Scorer, features: DataFrame) -> DataFrame:
    """Score feature rows on a cluster; the bundle travels with the work. Executors need leadlight itself.

    Parameters
    ----------
    scorer : Scorer
    features : pyspark.sql.DataFrame
        The model's columns by name (null is missing), as `build_features_spark` makes them; other columns, such as member_id
        and cutoff, are kept.

    Returns
    -------
    pyspark.sql.DataFrame
        The other columns, and probability, low, high, percentile, grade, qualified, model_version: those of
        `Scorer.predict_rows` on the same rows, bit for bit on one kind of machine.

    Raises
    ------
    MissingDependencyError
        Without pyspark (``pip install leadlight[spark]``).
    SchemaError
        If a column of the model is missing.
    """
    try:
        from pyspark.sql import types as st
    except ImportError as error:
        raise MissingDependencyError("Spark is not installed: pip install leadlight[spark]") from error
    missing = [c for c in scorer.columns if c not in features.columns]
    if missing:
        raise SchemaError(
            f"The rows lack {len(missing)} of the model's {len(scorer.columns)} columns: "
            f"{missing[0]!r}{closest(missing[0], features.columns)}."
        )
    files = scorer.files()
    place = {name: i for i, name in enumerate(features.columns)}
    wanted = [place[c] for c in scorer.columns]
    kept = [c for c in features.columns if c not in set(scorer.columns)]
    schema = st.StructType(
        [
            *(features.schema[c] for c in kept),
            *(st.StructField(name, st.DoubleType()) for name in NUMBERS),
            st.StructField("grade", st.StringType()),
            st.StructField("qualified", st.BooleanType()),
            st.StructField("model_version", st.StringType()),
        ]
    )

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        here = Scorer.from_files(files)
        for batch in batches:
            if not batch.num_rows:
                continue
            rows = np.column_stack([_numbers(batch.column(i)) for i in wanted])
            model = here.model
            p, low, high = model.scores(rows)
            found = [p, low, high, model.percentile(p)]
            yield pa.record_batch(
                [
                    *(batch.column(place[c]) for c in kept),
                    *(pa.array(values, pa.float64()) for values in found),
                    pa.array([str(grade) for grade in model.grade(p)], pa.string()),
                    pa.array(np.asarray(model.qualified(p), bool)),
                    pa.array([here.version] * len(p), pa.string()),
                ],
                names=schema.names,
            )

    # A dot in a name, as in "tag.visa_count_90d", means a field of a structure to Spark.
    return map_in_arrow(features.toDF(*(f"c{i}" for i in range(len(place)))), work, schema)


def _numbers(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = column.cast(pa.float64()).to_numpy(
        zero_copy_only=False
    )
    return found
