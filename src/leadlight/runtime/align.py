"""A feature table of any library -> the float64 matrix that the model reads, with columns found by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import ColumnTypeError, InputError, SchemaError, closest, warn
from leadlight.kernels.native import native_kernels
from leadlight.runtime.encoding import Levels, category_codes
from leadlight.runtime.frames import is_null, named_columns, names_of, to_array

Floats = NDArray[np.float64]
Infinite = Literal["error", "missing"]

_SHOWN = 5
_PLAIN = frozenset({float, np.float64})


def align(
    X: Any,
    columns: Sequence[str],
    infinite: Infinite = "error",
    levels: Sequence[Levels | None] | None = None,
) -> Floats:
    """Return the named columns of a table as numbers, in the order of the model.

    Parameters
    ----------
    X : table of shape (n, k)
        pandas, polars or Arrow table, dict of arrays, structured array, anything with `__arrow_c_stream__`: columns
        are found by name, in any order. A plain 2-d array or a list of rows has no names and must have exactly
        `len(columns)` columns in their order.
    columns : sequence of str
        The columns that the model was trained on.
    infinite : {"error", "missing"}
        What plus and minus infinity are.
    levels : sequence, one entry for each column, optional
        The known values of a column of categories, None for a column of numbers; see `leadlight.runtime.encoding`.

    Returns
    -------
    float64 array of shape (n, len(columns)), C order
        NaN where a value is None, NaN or NA. A category is the position of its value in `levels`, or their number if it
        is not among them. No rows are fine. It may be X itself: do not change it.

    Raises
    ------
    SchemaError
        A column is missing or there twice, columns differ in length, or an array without names has another width.
    ColumnTypeError
        A column holds times or nested values, or a column of numbers holds text.
    InputError
        A value is infinite, or `infinite` is neither word.

    Warns
    -----
    LeadlightWarning
        Once, if the table has columns that the model does not know; they are ignored. Once, if columns of categories hold
        values that were unseen or rare in training; they are counted as "other".
    """
    if infinite not in ("error", "missing"):
        raise InputError(f"infinite is {infinite!r}; give 'error' or 'missing'.")
    ready = None if levels is not None else _ready(X, columns)
    if ready is not None and not any_infinite(ready):
        return ready
    columns = list(columns)
    table = named_columns(X)
    known: list[Levels | None] = [None] * len(columns) if levels is None else list(levels)
    others: dict[str, int] = {}
    values = _unnamed(X, columns, known, others) if table is None else _named(table, columns, known, others)
    if others:
        warn(
            f"{sum(others.values())} values were unseen or rare in training, in {_listed(sorted(others))}; they are counted "
            'as "other".'
        )
    if any_infinite(values):
        bad = np.isinf(values)
        if infinite == "error":
            found = [columns[j] for j in np.flatnonzero(bad.any(axis=0))]
            raise InputError(
                f"{int(bad.sum())} values are infinite, in {_listed(found)}. Replace them by numbers, "
                "or have them read as missing with infinite='missing'."
            )
        values[bad] = np.nan
    return values


def is_rows(given: Any, columns: Sequence[str]) -> bool:
    """Whether something is feature rows rather than events: an array, or a table that names a column and no event's."""
    if isinstance(given, np.ndarray) and given.dtype.names is None:
        return True
    names = names_of(given)
    if names is None or "occurred_at" in names or "action" in names:
        return False
    return any(name in names for name in columns)


def as_table(rows: Any) -> Any:
    """Return feature rows as `align` takes them: an array of one dimension is one row."""
    return (
        rows[None] if isinstance(rows, np.ndarray) and rows.dtype.names is None and rows.ndim == 1 else rows
    )


def any_infinite(X: Floats) -> bool:
    """Whether a C-contiguous X holds plus or minus infinity."""
    native = native_kernels()
    return bool(np.isinf(X).any() if native is None else native.has_infinity(X))


def _ready(X: Any, columns: Sequence[str]) -> Floats | None:
    """Return what needs no more work than to be looked at: a matrix as the model reads it, or one row as a dict of floats."""
    kind = type(X)
    if kind is np.ndarray:
        plain = X.dtype == np.float64 and X.ndim == 2 and X.shape[1] == len(columns)
        return X if plain and X.flags.c_contiguous and X.dtype.isnative else None
    if kind is dict and len(X) == len(columns):
        values = list(map(X.get, columns))
        if set(map(type, values)) <= _PLAIN:
            return np.array([values], np.float64)
    return None


def _named(
    table: dict[str, Any], columns: list[str], known: list[Levels | None], others: dict[str, int]
) -> Floats:
    missing = [name for name in columns if name not in table]
    if missing:
        hints = ", ".join(f"{name!r}{closest(name, table)}" for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise SchemaError(
            f"X lacks {len(missing)} of the model's {len(columns)} columns: {hints}{more}. "
            "Build X with the plan that the model was trained with."
        )
    extra = sorted(set(table) - set(columns))
    if extra:
        warn(f"X has {len(extra)} columns that the model does not know; ignored: {_listed(extra)}.")
    arrays = [
        _column(to_array(table[name]), name, levels, others)
        for name, levels in zip(columns, known, strict=True)
    ]
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) > 1:
        raise SchemaError(
            f"The columns of X have different lengths: {lengths}. Give every column one value per row."
        )
    values = np.empty((lengths[0] if lengths else 0, len(columns)))
    for j, array in enumerate(arrays):
        values[:, j] = array
    return values


def _unnamed(X: Any, columns: list[str], known: list[Levels | None], others: dict[str, int]) -> Floats:
    wanted = f"(n, {len(columns)})"
    if isinstance(X, str | bytes) or not (hasattr(X, "__array__") or isinstance(X, list | tuple)):
        raise ColumnTypeError(
            f"X is a {type(X).__name__}; give a table with named columns, or an array of shape {wanted}."
        )
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise SchemaError(f"The rows of X differ in length; give an array of shape {wanted}.") from error
    if array.ndim == 1 and not len(array):
        array = array.reshape(0, len(columns)) if isinstance(X, list | tuple) else array
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise SchemaError(
            f"X has shape {array.shape} and no column names; the model needs shape {wanted}. "
            "Pass a table with names, or exactly the model's columns in their order."
        )
    if array.dtype.kind in "biuf" and not any(levels is not None for levels in known):
        return np.array(array, dtype=np.float64, order="C")
    values = np.empty(array.shape)
    for j, (name, levels) in enumerate(zip(columns, known, strict=True)):
        values[:, j] = _column(array[:, j], name, levels, others)
    return values


def _column(array: NDArray[Any], name: str, levels: Levels | None, others: dict[str, int]) -> Floats:
    """Return one column as numbers or codes; values of no level are counted in `others`."""
    if levels is None:
        return _numbers(array, name)
    codes, unseen = category_codes(array, name, levels)
    # A column without a known value, such as an identifier, says nothing in any case.
    if unseen and levels:
        others[name] = unseen
    return codes


def _numbers(array: NDArray[Any], name: str) -> Floats:
    """Return one column as float64, or say why it is no column of numbers."""
    if array.ndim > 1:
        raise ColumnTypeError(
            f"Column {name!r} holds nested values (shape {array.shape}); a feature is one number per row."
        )
    array = np.atleast_1d(array)
    kind = array.dtype.kind
    if kind in "biuf":
        return array.astype(np.float64)
    if kind in "Mm":
        raise ColumnTypeError(
            f"Column {name!r} holds times ({array.dtype}); turn it into a number, such as days before the cutoff."
        )
    if kind == "O":
        return np.array([_number(value, name) for value in array], dtype=np.float64)
    what = "text" if kind in "UST" else str(array.dtype)
    raise ColumnTypeError(
        f"Column {name!r} holds {what}; the model reads numbers. Encode it as it was for training."
    )


def _number(value: Any, name: str) -> float:
    if is_null(value):
        return np.nan
    if isinstance(value, str | bytes):
        raise ColumnTypeError(
            f"Column {name!r} holds text; the model reads numbers. Encode it as it was for training."
        )
    if (
        hasattr(value, "isoformat")
        or isinstance(value, np.datetime64 | np.timedelta64)
        or hasattr(value, "total_seconds")
    ):
        raise ColumnTypeError(
            f"Column {name!r} holds times; turn it into a number, such as days before the cutoff."
        )
    if hasattr(value, "__len__") or not hasattr(value, "__float__"):
        raise ColumnTypeError(
            f"Column {name!r} holds a {type(value).__name__}; a feature is one number per row."
        )
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
