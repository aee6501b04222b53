"""What dates tell the audit: values from after the cutoff, and tables that are a photograph of one day."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.estimators.inputs import per_row
from leadlight.evaluation.audit_outcome import Finding

ISO_DATE: Final = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?"
FEWEST_ROWS: Final = 20
FEWEST_MEMBERS: Final = 50
FEWEST_VALUES: Final = 10
"""Below these a column that stays the same may do so by chance: a seldom action, a code of few values."""


def as_moments(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of dates, or of text that is ISO 8601 throughout, in UTC; None for any other."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return None
    filled = column.dropna()
    if not len(filled) or not filled.astype(str).str.fullmatch(ISO_DATE).all():
        return None
    dates = pd.to_datetime(column.astype(object), utc=True, format="ISO8601", errors="coerce")
    return dates if bool((dates.notna() == column.notna()).all()) else None


def moments(values: Any, rows: int) -> NDArray[np.datetime64] | None:
    """Return one cutoff per row in UTC; None where none are given.

    Raises
    ------
    InputError
        If they are of another length, cannot be read as times, or one is missing.
    """
    if values is None:
        return None
    spread = np.full(rows, values, object) if np.ndim(values) == 0 else per_row(values, rows, "cutoffs")
    try:
        series = pd.Series(spread).infer_objects()
        # As everywhere in this package an int is taken as microseconds.
        unit = "us" if pd.api.types.is_integer_dtype(series) else None
        found = pd.to_datetime(series, utc=True, unit=unit)
    except (ValueError, TypeError) as error:
        raise InputError(f"cutoffs cannot be read as times: {error}.") from error
    if found.isna().any():
        raise InputError(f"{int(found.isna().sum())} cutoffs are missing; give one for each row.")
    result: NDArray[np.datetime64] = found.dt.tz_localize(None).to_numpy("datetime64[us]")
    return result


def date_findings(dates: pd.Series[Any], cutoffs: NDArray[np.datetime64] | None) -> list[Finding]:
    """Return what a column of dates shows: values at or after the cutoff, or one day for all rows."""
    found = []
    if cutoffs is not None:
        late = dates.dt.tz_localize(None).to_numpy("datetime64[us]") >= cutoffs
        if late.any():
            text = f"{int(late.sum())} of {len(dates)} rows are dated at or after their cutoff"
            found.append(Finding("late", text, fails=True))
    if dates.notna().sum() >= FEWEST_ROWS and dates.dt.floor("D").nunique() == 1:
        day = dates.dropna().iloc[0].date().isoformat()
        found.append(
            Finding("snapshot", f"all its dates are {day}, as in an export of that day", fails=False)
        )
    return found


def never_changes(
    column: pd.Series[Any], members: NDArray[Any], cutoffs: NDArray[np.datetime64]
) -> list[Finding]:
    """Hint at a number that is the same at all cutoffs of every member: today's value, perhaps."""
    if not pd.api.types.is_numeric_dtype(column) or column.nunique() < FEWEST_VALUES:
        return []
    rows = pd.DataFrame({"member": members, "cutoff": cutoffs, "value": column.to_numpy()})
    grouped = rows.groupby("member")
    repeated = grouped["cutoff"].nunique() > 1
    values = grouped["value"].nunique(dropna=False)[repeated]
    if len(values) < FEWEST_MEMBERS or (values > 1).any():
        return []
    text = f"it has the same value at all cutoffs of each of {len(values)} members: is it today's?"
    return [Finding("snapshot", text, fails=False)]
