"""Draws of whole accounts, and 95 % intervals from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import t as student

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

CELLS = 4_000_000
"""Numbers held at once while sums are redrawn."""


def account_codes(groups: NDArray[Any]) -> Codes:
    """Return the account of each row as a number from 0."""
    return np.unique(groups.astype(str), return_inverse=True)[1].astype(np.int64)


class Redraws:
    """How often each account stands in each bootstrap draw; draw 0 is the sample as it is.

    The rows of one account repeat each other, so that whole accounts are drawn with replacement, the same for every model
    and every figure: differences are paired.

    Attributes
    ----------
    codes : int64 array of shape (n,)
        The account of each row.
    count : int
        Number of accounts.
    times : uint16 array of shape (rounds + 1, count)
    """

    def __init__(self, groups: NDArray[Any], rounds: int, seed: int) -> None:
        self.codes = account_codes(groups)
        self.count = int(self.codes.max()) + 1 if len(self.codes) else 0
        rng = np.random.default_rng(seed)
        self.times = np.ones((1 + (rounds if self.count else 0), self.count), np.uint16)
        for draw in self.times[1:]:
            draw[:] = np.bincount(rng.integers(0, self.count, self.count), minlength=self.count)

    def __len__(self) -> int:
        return len(self.times)

    def sums(self, values: Values) -> Values:
        """Return the sum of row values in each draw, shape (rounds + 1,)."""
        return self.of_accounts(self.per_account(values))

    def per_account(self, values: Values) -> Values:
        """Return the sum of row values of each account, shape (count,)."""
        return np.bincount(self.codes, values, self.count).astype(float)

    def of_accounts(self, values: Values) -> Values:
        """Return the sum of account values in each draw, shape (rounds + 1,)."""
        found: Values = np.concatenate([self.times[part].astype(float) @ values for part in self.parts()])
        return found

    def parts(self, width: int = 0) -> Iterator[slice]:
        """Yield slices of draws that fit memory where each draw has `width` numbers."""
        step = max(1, CELLS // max(width, self.count, 1))
        for start in range(0, len(self.times), step):
            yield slice(start, start + step)

    def columns(self, column: Codes, values: Values, width: int) -> csr_array:
        """Return row values as a sparse matrix of accounts by columns, for `times[part] @ matrix`."""
        return csr_array((values, (self.codes, column)), shape=(self.count, width))


def effective(sizes: Values) -> float:
    """Return how many equal accounts carry as much information as accounts with so many positives (Kish 1965)."""
    square = float((sizes**2).sum())
    return float(sizes.sum()) ** 2 / square if square > 0 else 0.0


def interval(draws: Values, scale: str, accounts: float, spread: float = 0.0) -> tuple[float, float]:
    """Return the 95 % interval of a figure whose draws are given, the first of them the figure itself.

    Plain percentiles of draws cover too little where a few accounts hold the positives: measured on the simulator with 28
    buyers, 82 to 94 %. Instead the standard error of the draws is used on a scale on which the figure is nearly normal,
    with Student's t for as many accounts as effectively hold positives. The figure always lies within.

    Parameters
    ----------
    draws : float64 array of shape (rounds + 1,)
    scale : {"odds", "share", "count", "plain"}
        "odds": log-odds, for areas. "share": Wilson's way, for as many trials as its variance is worth. "count": the same for a
        count whose variance is a multiple of its mean. "plain": as it is, for differences and what may be negative.
    accounts : float
        Effective number of accounts with positives.
    spread : float
        Rows that one more account would bring: the variance by mean of a count of which none was seen (at least 1), and what is
        added to the variance of a "plain" difference of counts, which few accounts decide (after Agresti and Caffo 2000).

    Returns
    -------
    low, high : float
        NaN where there are no draws or the figure is undefined.
    """
    value, redrawn = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(value) or len(redrawn) < 2:
        return float("nan"), float("nan")
    # A count of one or two has a known law; of their spread between accounts nothing is known.
    q = float(student.ppf(0.975, max(accounts - 1.0, 3.0 if scale == "count" else 1.0)))
    if scale == "count":
        ratio = float(redrawn.var()) / value if value > 0 else max(spread, 1.0)
        middle, half = value + ratio * q * q / 2, q * np.sqrt(ratio * value + (ratio * q / 2) ** 2)
        return max(float(middle - half), 0.0), float(middle + half)
    if scale == "share" and 0 <= value <= 1:
        square = (
            q
            * q
            * (float(redrawn.var()) / (value * (1 - value)) if 0 < value < 1 else 1 / max(accounts, 1.0))
        )
        middle, half = value + square / 2, np.sqrt(square * value * (1 - value) + square * square / 4)
        return max(float((middle - half) / (1 + square)), 0.0), min(
            float((middle + half) / (1 + square)), 1.0
        )
    if scale == "odds" and 0 < value < 1:
        error = float(_log_odds(redrawn).std())
        low, high = (1 / (1 + np.exp(-(_log_odds(value) + sign * q * error))) for sign in (-1.0, 1.0))
        return min(float(low), value), max(float(high), value)
    variance = float(redrawn.var())
    error = np.sqrt(variance + spread) if variance > 0 else 0.0
    return value - q * float(error), value + q * float(error)


def union(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the lowest and the highest bound of those intervals that are known; NaN where none is."""
    known = [span for span in spans if np.isfinite(span).all()]
    if not known:
        return float("nan"), float("nan")
    return min(low for low, _ in known), max(high for _, high in known)


def _log_odds(share: Any) -> Any:
    clipped = np.clip(share, 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))
