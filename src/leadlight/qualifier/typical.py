"""What is typical: the middle of each feature among the members of the latest training cutoff."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ENOUGH_MEMBERS = 20
"""The middle of fewer would tell of one of them; a vocabulary needs as many."""


def typical(X: pd.DataFrame, latest: NDArray[np.bool_]) -> dict[str, float]:
    """Return the median of each column, a value that some member has, to six digits.

    Parameters
    ----------
    X : DataFrame of shape (n, columns)
        Training features.
    latest : bool array of shape (n,)
        Rows of the latest cutoff, which are the active members then, one each.

    Returns
    -------
    dict of column to float
        Without columns that fewer than half of the members have, such as the recency of a rare action; empty below 20
        members.
    """
    values = X.to_numpy(np.float64)[latest]
    if len(values) < ENOUGH_MEMBERS:
        return {}
    found = {}
    for name, column in zip(X.columns, values.T, strict=True):
        known = column[np.isfinite(column)]
        if 2 * len(known) >= len(column):
            found[str(name)] = float(f"{np.quantile(known, 0.5, method='inverted_cdf'):.6g}")
    return found
