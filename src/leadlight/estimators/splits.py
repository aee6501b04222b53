"""Cross-validation in time, with an embargo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.estimators.inputs import index_level
from leadlight.moments import Duration, duration_us
from leadlight.runtime.frames import named_columns


class TemporalSplit:
    """Train on earlier cutoffs, test on later ones, with room for the label windows between them.

    Parameters
    ----------
    n_splits : int, default=3
    embargo : duration, default="90d"
        A training row's cutoff lies at least this long before the first test cutoff; horizon + gap or more.

    Examples
    --------
    >>> import numpy as np, pandas as pd, leadlight as ll
    >>> frame = pd.DataFrame({"cutoff": pd.date_range("2024-01-01", periods=12, freq="30D")})
    >>> [(len(train), len(test)) for train, test in ll.TemporalSplit(2, "90d").split(frame)]
    [(2, 4), (6, 4)]
    """

    def __init__(self, n_splits: int = 3, embargo: Duration = "90d") -> None:
        self.n_splits = n_splits
        self.embargo = embargo

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits."""
        return self.n_splits

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (train, test) positions; the times are X's index level or column `cutoff`.

        Raises
        ------
        InputError
            If X has no cutoffs, or too few for the splits.
        """
        if not isinstance(self.n_splits, (int, np.integer)) or self.n_splits < 1:
            raise InputError(f"n_splits is {self.n_splits!r}; give a whole number of at least 1.")
        times = index_level(X, "cutoff")
        if times is None and X is not None and not isinstance(X, list):
            column = (named_columns(X) or {}).get("cutoff")
            times = None if column is None else np.asarray(column)
        if times is None:
            raise InputError("TemporalSplit needs X with an index level or a column 'cutoff'.")
        at = pd.to_datetime(times, utc=True).as_unit("us").asi8
        distinct = np.unique(at)
        if len(distinct) < self.n_splits + 1:
            raise InputError(f"{len(distinct)} cutoffs cannot make {self.n_splits} splits.")
        blocks = np.array_split(distinct, self.n_splits + 1)
        embargo = duration_us(self.embargo, name="embargo", zero=True)
        for block in blocks[1:]:
            train = np.flatnonzero(at + embargo <= block[0])
            test = np.flatnonzero((at >= block[0]) & (at <= block[-1]))
            if not len(train):
                raise InputError(
                    f"The embargo of {self.embargo} leaves no training rows before {pd.Timestamp(block[0], unit='us')}."
                )
            yield train, test
