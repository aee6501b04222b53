"""Rows of (observation, interval): how soon deals are won, told also by windows that are still open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.moments import DAY_US
from leadlight.observations.outcomes import times
from leadlight.observations.windows import Bools, Codes

Z = 1.959963984540054
CELLS = 4_000_000
"""Accounts by intervals that are held at once."""


@dataclass(frozen=True, eq=False)
class PersonPeriods:
    """The discrete-time view of observations: one row for each interval in which a member could have bought.

    The label window is cut into intervals of equal length (the last may be shorter). An observation is at risk in an
    interval that **was seen to its end** and that begins before its first won deal; the interval in which that deal was
    won is its last. An interval seen in part gives no row, for or against: what is won early would count and what is
    won late would not.

    Attributes
    ----------
    rows : DataFrame
        The observations, in order: member_id, account_id, cutoff, weight.
    opens_us : int64 array of shape (observations,)
        Where each label window begins.
    at_risk : int64 array of shape (observations,)
        How many intervals each is at risk in, from the first on.
    won : bool array of shape (observations,)
        Whether a deal was won in the last of them.
    groups : array of shape (observations,)
        Account, or the member who has none: what the intervals of `hazards` hold together.
    interval_us, horizon_us : int
    """

    rows: pd.DataFrame
    opens_us: Codes
    at_risk: Codes
    won: Bools
    groups: NDArray[Any]
    interval_us: int
    horizon_us: int

    @property
    def intervals(self) -> int:
        """Number of intervals that the horizon has."""
        return -(-self.horizon_us // self.interval_us)

    def __len__(self) -> int:
        return int(self.at_risk.sum())

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per observation and interval at risk, in the order of the observations.

        Returns
        -------
        DataFrame
            row (position of the observation: `X.iloc[periods["row"]]` are its features), member_id, account_id, cutoff,
            interval (0 first), starts, ends (UTC, exclusive), won (1 in the interval in which a deal was won), weight.
        """
        row = np.repeat(np.arange(len(self.rows)), self.at_risk)
        before = np.repeat(np.cumsum(self.at_risk) - self.at_risk, self.at_risk)
        interval = np.arange(len(row)) - before
        starts = self.opens_us[row] + interval * self.interval_us
        ends = np.minimum(starts + self.interval_us, self.opens_us[row] + self.horizon_us)
        rows = self.rows.iloc[row].reset_index(drop=True)
        return pd.DataFrame(
            {
                "row": row,
                **{c: rows[c] for c in ("member_id", "account_id", "cutoff")},
                "interval": interval,
                "starts": times(starts),
                "ends": times(ends),
                "won": (self.won[row] & (interval == self.at_risk[row] - 1)).astype(np.int8),
                "weight": rows["weight"],
            }
        )

    def hazards(self) -> pd.DataFrame:
        """Return the life table: how many were at risk in each interval, how many bought, and the share by its end.

        The estimate is that of Kaplan and Meier (1958): incidence is 1 minus the product of (1 - hazard). Where every
        window is mature it equals the share of positives. The interval (95 %) is Greenwood's (1926) on the scale of
        log(-log S), its variance summed over accounts instead of rows (Williams 1995), since the rows of one account
        repeat each other: with one row per account the two agree up to n / (n - 1). While nobody has bought the upper
        bound is the exact binomial one for the accounts at risk. Open windows are assumed to be like mature ones: later
        cutoffs are seen for a shorter time, and drift between early and late ones is not corrected.

        Returns
        -------
        DataFrame
            Index interval; starts_days, ends_days (after the window opens), at_risk, won, hazard, incidence, low, high;
            missing from the first interval on in which nobody was at risk. The bounds are missing where everybody
            bought, or fewer than two accounts were seen.
        """
        k = self.intervals
        at_risk = _at_least(np.bincount(self.at_risk, minlength=k + 1))
        won = np.bincount(self.at_risk[self.won] - 1, minlength=k)[:k]
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = won / at_risk
        incidence = _incidence(at_risk, won)
        low, high = self._bounds(at_risk, won, incidence)
        starts = np.arange(k) * self.interval_us
        return pd.DataFrame(
            {
                "starts_days": starts / DAY_US,
                "ends_days": np.minimum(starts + self.interval_us, self.horizon_us) / DAY_US,
                "at_risk": at_risk,
                "won": won,
                "hazard": hazard,
                "incidence": incidence,
                "low": low,
                "high": high,
            },
            index=pd.RangeIndex(k, name="interval"),
        )

    def teaches(self) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return what each observation teaches a classifier of the whole horizon: a label, and how much of one.

        A deal won in what was seen is a 1, and a whole window without one is a 0. A window that is open and without a deal
        is a 0 to the extent that deals would have come by now: the cumulative hazard of the intervals seen over that of
        the horizon, from the life table. Where deals are rare this is the likelihood of a proportional hazard: its
        exposure enters as the weight of the 0 (Holford 1980; Laird and Olivier 1981).

        Returns
        -------
        label : int8 array of shape (observations,)
        share : float64 array of shape (observations,)
            Between 0 (nothing was seen, or nobody was seen for the whole horizon) and 1.
        """
        incidence = self.hazards()["incidence"].to_numpy(float)
        with np.errstate(divide="ignore"):
            hazard = np.append(0.0, -np.log1p(-incidence))
        whole = self.won | (self.at_risk == self.intervals)
        known = np.isfinite(hazard[-1]) and hazard[-1] > 0
        part = hazard[self.at_risk] / hazard[-1] if known else np.zeros(len(self.at_risk))
        return self.won.astype(np.int8), np.where(whole, 1.0, part)

    def _bounds(
        self, at_risk: Codes, won: Codes, incidence: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        variance, groups = self._variance(at_risk, won)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_survival = np.log1p(-incidence)
            error = Z * np.sqrt(variance) / -log_survival
            low, high = (-np.expm1(log_survival * np.exp(sign * error)) for sign in (-1.0, 1.0))
            exact = 1.0 - 0.025 ** (1.0 / groups)
        nobody = incidence == 0.0
        low[nobody], high[nobody] = 0.0, exact[nobody]
        unknown = np.isnan(incidence) | (incidence == 1.0) | (groups[:1] < 2).any()
        low[unknown] = high[unknown] = np.nan
        return low, high

    def _variance(self, at_risk: Codes, won: Codes) -> tuple[NDArray[np.float64], Codes]:
        """Variance of the log of survival, summed over accounts, and how many accounts are at risk in each interval."""
        k = self.intervals
        codes, names = pd.factorize(self.groups)
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(0, len(names) + 1))
        step = max(1, CELLS // (k + 1))
        variance, groups = np.zeros(k), np.zeros(k, np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = won / at_risk
            scale = 1.0 / (at_risk - won)
        for low in range(0, len(names), step):
            high = min(low + step, len(names))
            rows = order[bounds[low] : bounds[high]]
            code, until, bought = codes[rows] - low, self.at_risk[rows], self.won[rows]
            shape = (high - low, k + 1)
            risk = _at_least(
                np.bincount(code * (k + 1) + until, minlength=shape[0] * shape[1]).reshape(shape)
            )
            last = code[bought] * (k + 1) + until[bought] - 1
            events = np.bincount(last, minlength=shape[0] * shape[1]).reshape(shape)[:, :k]
            groups += (risk > 0).sum(axis=0)
            with np.errstate(invalid="ignore", over="ignore"):
                variance += (np.cumsum((events - hazard * risk) * scale, axis=1) ** 2).sum(axis=0)
        return variance * len(names) / max(len(names) - 1, 1), groups

    def __repr__(self) -> str:
        return (
            f"PersonPeriods({len(self)} intervals of {self.interval_us / DAY_US:g} days from {len(self.rows)} "
            f"observations, {int(self.won.sum())} won)"
        )


def _at_least(counts: NDArray[Any]) -> NDArray[Any]:
    """From how many stop after each number of intervals (last axis) to how many are at risk in each."""
    return np.flip(np.cumsum(np.flip(counts, -1), -1), -1)[..., 1:]


def _incidence(at_risk: Codes, won: Codes) -> NDArray[np.float64]:
    """Share that has bought by the end of each interval; NaN from the first on in which nobody was at risk.

    While nobody drops out, factors are cancelled as whole numbers, so that without censoring the result is exactly
    the share.
    """
    found = np.full(len(at_risk), np.nan)
    survival, left, of = 1.0, 0, 0
    for k, (risk, events) in enumerate(zip(at_risk.tolist(), won.tolist(), strict=True)):
        if risk != left or k == 0:
            survival *= left / of if of else 1.0
            left = of = risk
        if of == 0:
            # Nobody is left: because everybody bought, or because nobody was seen for so long.
            break
        left -= events
        found[k] = (1.0 - survival) + survival * ((of - left) / of)
    return found
