"""Tables of any library as named columns, by what they can do and not by what they are: nothing is imported for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from leadlight.errors import MissingDependencyError, SchemaError


def named_columns(table: Any) -> dict[str, Any] | None:
    """Return the columns of a table by name, each as its library keeps it; None if the columns have no names.

    Parameters
    ----------
    table : mapping of arrays, structured array, pandas, polars or Arrow table, or anything with `__arrow_c_stream__`

    Raises
    ------
    SchemaError
        Two columns have one name.
    MissingDependencyError
        The table offers nothing but an Arrow stream, and pyarrow is not installed.
    """
    # Methods are looked up on the type: a frame hands out a column of that name as an attribute of its own.
    kind = type(table)
    if isinstance(table, Mapping):
        names, columns = list(table), list(table.values())
    elif isinstance(table, np.ndarray):
        if table.dtype.names is None:
            return None
        names, columns = list(table.dtype.names), [table[name] for name in table.dtype.names]
    elif hasattr(kind, "iloc"):  # pandas
        names, columns = list(table.columns), [column for _, column in table.items()]
    elif hasattr(kind, "column_names") and hasattr(kind, "column"):  # Arrow
        names, columns = list(table.column_names), [table.column(i) for i in range(len(table.column_names))]
    elif hasattr(kind, "get_columns"):  # polars
        names, columns = list(table.columns), list(table.get_columns())
    elif hasattr(kind, "__arrow_c_stream__"):
        return named_columns(_pyarrow().table(table))
    else:
        return None
    names = [str(name) for name in names]
    repeated = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    if repeated:
        raise SchemaError(
            f"The table has more than one column {_listed(repeated)}; rename or drop one of each."
        )
    return dict(zip(names, columns, strict=True))


def names_of(table: Any) -> Collection[Any] | None:
    """Return the names of a table's columns without looking at them; None where there are none."""
    if isinstance(table, Mapping):
        return table.keys()
    kind = type(table)
    if isinstance(table, np.ndarray):
        names: tuple[str, ...] | None = table.dtype.names
        return names
    if hasattr(kind, "column_names"):  # Arrow
        return list(table.column_names)
    if hasattr(kind, "iloc") or hasattr(kind, "get_columns"):  # pandas, polars
        return [str(name) for name in table.columns]
    return None


def to_array(column: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return a column of any library as a NumPy array."""
    if hasattr(getattr(column, "type", None), "index_type"):
        # Arrow turns a missing entry of a dictionary into its first one.
        column = column.cast(column.type.value_type)
    convert = getattr(column, "to_numpy", None)
    if convert is None:
        if isinstance(column, list | tuple) and any(not _is_scalar(value) for value in column):
            return objects(column)
        return np.asarray(column)
    try:
        return np.asarray(convert())
    except (TypeError, ValueError, ArithmeticError) as error:
        # An Arrow array that is not a plain block of numbers asks for leave to copy.
        try:
            return np.asarray(convert(zero_copy_only=False))
        except TypeError:
            raise error from None


def objects(values: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return values as a 1-d array of objects, however deep they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values) if not len(values) or _is_scalar(values[0]) else [*values]
    return array


def is_null(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas' NA."""
    if type(value) is float:
        return value != value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(value != value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bytes) or not hasattr(value, "__len__")


def _pyarrow() -> Any:
    # By name, since serving must not depend on it.
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise MissingDependencyError(
            "This table can only be read as an Arrow stream, which needs pyarrow. Install it, or pass a dict of arrays."
        ) from error


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
