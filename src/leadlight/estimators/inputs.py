"""What estimators accept as X and y, and what they make of it."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_array, column_or_1d

from leadlight.errors import ColumnTypeError, InputError, LeadlightWarning, NotFittedError
from leadlight.runtime.align import align
from leadlight.runtime.encoding import Levels
from leadlight.runtime.frames import named_columns

Values = NDArray[np.float64]
Infinite = Literal["error", "missing"]


class UnfittedError(NotFittedError, SklearnNotFittedError):
    """Of leadlight's family and of scikit-learn's, whose tools look for their own."""


def check_fitted(estimator: Any) -> None:
    """Raise `NotFittedError` before `fit`."""
    if not hasattr(estimator, "classes_"):
        raise UnfittedError(f"This {type(estimator).__name__} is not fitted yet; call fit(X, y) first.")


def column_names(X: Any) -> list[str] | None:
    """Return the names of a table's columns, None for an array; a name that is there twice is a SchemaError."""
    table = named_columns(X)
    return None if table is None else list(table)


def matrix(
    X: Any,
    names: tuple[str, ...] | None,
    infinite: Infinite,
    levels: tuple[Levels | None, ...] = (),
    quiet: bool = False,
) -> Values:
    """Return X as float64 in the order of `names`; NaN is missing, categories are codes of `levels`.

    `quiet`: say nothing of values that are no level, for in training there are always some.
    """
    categories = any(known is not None for known in levels)
    if categories or (names is not None and column_names(X) is not None):
        columns = names if names is not None else tuple(f"f{j}" for j in range(len(levels)))
        with warnings.catch_warnings():
            if quiet:
                warnings.simplefilter("ignore", LeadlightWarning)
            return align(X, columns, infinite, levels if categories else None)
    try:
        values = check_array(X, dtype=np.float64, ensure_all_finite=False, order="C", ensure_min_samples=0)
    except TypeError as error:
        raise ColumnTypeError(str(error)) from error
    except ValueError as error:
        raise InputError(str(error)) from error
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
    if y is None:
        raise InputError("This estimator requires y to be passed, but the target y is None.")
    raw = y.to_numpy(object) if isinstance(y, pd.Series) else np.asarray(y, dtype=object)
    try:
        series = pd.Series(column_or_1d(raw, warn=True))
    except ValueError as error:
        raise InputError(str(error)) from error
    known = series.notna().to_numpy()
    values = series[known].infer_objects()
    try:
        classes = np.unique(values.to_numpy())
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise InputError(f"y mixes {' and '.join(kinds)}; give two classes of one kind.") from error
    if len(classes) > 2:
        kind = "multiclass"
        if classes.dtype.kind == "f" and (classes != np.round(classes)).any():
            kind = "continuous"
        raise InputError(
            f"y holds {len(classes)} classes, {classes[:5].tolist()}; a lead is bought or not: two. Only binary "
            f"classification is supported. The type of the target is {kind}."
        )
    if len(classes) < 2:
        raise InputError(
            f"y holds {len(classes)} class: {len(values)} labels, all {classes.tolist()[0] if len(classes) else 'missing'!r}; "
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


def per_row(values: Any, rows: int, name: str) -> NDArray[Any]:
    """Return an argument that has one entry for each row, or say that it has not."""
    found = np.asarray(values)
    if found.shape != (rows,):
        raise InputError(f"{name} has shape {found.shape}; give one entry for each of the {rows} rows.")
    return found


def shares(values: NDArray[Any], name: str) -> Values:
    """Return flags or weights as weights of which 0 leaves a row out; refuse negative and missing ones."""
    try:
        found = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} holds {values.dtype}; give True and False, or weights.") from error
    if not np.isfinite(found).all() or (found < 0).any():
        raise InputError(f"{name} must be finite and not negative; 0 or False leaves a row out.")
    return found


def index_level(X: Any, level: str) -> NDArray[Any] | None:
    """Return a level of a frame's index, None where there is none of that name."""
    index = getattr(X, "index", None)
    if isinstance(index, pd.Index) and level in index.names:
        values: NDArray[Any] = index.get_level_values(level).to_numpy()
        return values
    return None
