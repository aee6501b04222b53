"""What estimators accept as X and y, and what they make of it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from leadlight.errors import InputError, SchemaError
from leadlight.runtime.align import align

Values = NDArray[np.float64]
Infinite = Literal["error", "missing"]


def column_names(X: Any) -> list[str] | None:
    """Return the names of a frame's columns, None for an array."""
    if isinstance(X, dict):
        return [str(c) for c in X]
    names = getattr(X, "column_names", None) or getattr(X, "columns", None)
    if names is None:
        return None
    listed = [str(c) for c in names]
    repeated = sorted({c for c in listed if listed.count(c) > 1})
    if repeated:
        raise SchemaError(f"The frame holds columns twice: {repeated}; keep one of each.")
    return listed


def matrix(X: Any, names: tuple[str, ...] | None, infinite: Infinite) -> Values:
    """Return X as float64 in the order of `names`; NaN is missing."""
    if names is not None and column_names(X) is not None:
        return align(X, names, infinite)
    values = check_array(X, dtype=np.float64, ensure_all_finite=False, order="C", ensure_min_samples=0)
    if np.isinf(values).any():
        if infinite == "error":
            raise InputError(
                f"X holds {int(np.isinf(values).sum())} infinite values; clean them or pass infinite='missing'."
            )
        values = np.where(np.isinf(values), np.nan, values)
    result: Values = values
    return result


def labels(y: Any) -> tuple[Values, NDArray[Any], NDArray[np.bool_]]:
    """Return y as 0.0/1.0, its two classes, and which rows have a label.

    The positive class is the larger: 1 of {0, 1} and {-1, 1}, True, the last in the alphabet.
    """
    series = pd.Series(np.asarray(y, dtype=object).ravel() if not isinstance(y, pd.Series) else y.to_numpy(object))
    known = series.notna().to_numpy()
    values = series[known].infer_objects()
    classes = np.unique(values.to_numpy())
    if len(classes) > 2:
        raise InputError(f"y holds {len(classes)} classes, {list(classes[:5])}; a lead is bought or not: two.")
    if len(classes) < 2:
        raise InputError(
            f"y holds {len(classes)} class: {len(values)} labels, all {classes[0] if len(classes) else 'missing'!r}; "
            "there is nothing to learn to tell apart."
        )
    coded = np.zeros(len(series))
    coded[known] = (values == classes[1]).to_numpy(float)
    return coded, classes, known


def weights(sample_weight: Any, rows: int) -> Values:
    """Return weights, 1 where none are given; refuse negative, NaN and all-zero ones."""
    if sample_weight is None:
        return np.ones(rows)
    found = np.asarray(sample_weight, float).ravel()
    if len(found) != rows:
        raise InputError(f"sample_weight has {len(found)} entries for {rows} rows.")
    if not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise InputError("sample_weight must be finite, not negative, and not all zero.")
    return found


def index_level(X: Any, level: str) -> NDArray[Any] | None:
    """Return a level of a frame's index, None where there is none of that name."""
    index = getattr(X, "index", None)
    if isinstance(index, pd.Index) and level in index.names:
        values: NDArray[Any] = index.get_level_values(level).to_numpy()
        return values
    return None
