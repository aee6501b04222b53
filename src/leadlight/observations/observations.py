"""Rows of (member, cutoff) with their labels, and their split by time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community.members import NEVER
from leadlight.errors import ImmatureLabelError, InputError, LeakageError, SchemaError
from leadlight.moments import DAY_US, Duration, Moment, duration_us, moment_text, moment_us

Codes = NDArray[np.int64]
NOT_LABELLED = -1


@dataclass(frozen=True)
class Windows:
    """The settings that made the rows and their labels, in microseconds.

    Attributes
    ----------
    horizon_us, gap_us : int
        The label window is `[cutoff + gap, cutoff + gap + horizon)`.
    every_us : int
        Distance of cutoffs; 0 where the rows are the user's own.
    active_within_us : int
        How recently a member was active; 0 where the rows are the user's own.
    frozen_us : int
        What became known later was not used.
    enters_on : tuple of str
        Actions with which a member enters the population; empty: with joining.
    """

    horizon_us: int = 0
    gap_us: int = 0
    every_us: int = 0
    active_within_us: int = 0
    frozen_us: int = 0
    enters_on: tuple[str, ...] = ()


class Observations:
    """Rows of (member, cutoff) with their labels; made by `observe` or `from_frame`.

    Attributes
    ----------
    frame : DataFrame
        member_id, account_id, cutoff (UTC), label (1, 0, or -1 where not labelled), outcome ("won", "lost", "open",
        "none"), contacted (True, False, None without a contacts table), open_deal (at the cutoff), customer, weight,
        known_us (when the label's win was known); with `censored=True` also observed_until.
    windows : Windows
    counts : DataFrame
        One row per cutoff: population, won, lost, open, contacted, and what was dropped and why.
    """

    def __init__(self, frame: pd.DataFrame, windows: Windows, counts: pd.DataFrame | None = None) -> None:
        self.frame = frame
        self.windows = windows
        self.counts = pd.DataFrame() if counts is None else counts

    @classmethod
    def from_frame(cls, frame: Any, *, horizon: Duration = "90d", gap: Duration = "0d") -> Observations:
        """Wrap your own rows: member_id, cutoff, and optionally label, account_id, weight.

        `horizon` and `gap` say how far the labels reach, so that splits leave room for them.

        Raises
        ------
        SchemaError
            If member_id or cutoff is missing.
        InputError
            If a cutoff cannot be read, or a label is not 1, 0 or null.
        """
        data = frame.to_pandas() if hasattr(frame, "to_pandas") else pd.DataFrame(frame)
        missing = [c for c in ("member_id", "cutoff") if c not in data]
        if missing:
            raise SchemaError(f"Observations need {missing}; the frame has {list(data.columns)}.")
        label = _labels(data["label"]) if "label" in data else np.full(len(data), NOT_LABELLED, np.int8)
        rows = pd.DataFrame(
            {
                "member_id": data["member_id"],
                "account_id": data.get("account_id"),
                "cutoff": _cutoffs(data["cutoff"]),
                "label": label,
                "outcome": np.where(label == 1, "won", "none"),
                "contacted": None,
                "open_deal": False,
                "customer": False,
                "weight": data["weight"].astype(float) if "weight" in data else 1.0,
                "known_us": NEVER,
            }
        ).reset_index(drop=True)
        windows = Windows(duration_us(horizon, name="horizon"), duration_us(gap, name="gap", zero=True))
        return cls(rows, windows)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def index(self) -> pd.MultiIndex:
        """(member_id, cutoff), one entry per row in order."""
        return pd.MultiIndex.from_frame(self.frame[["member_id", "cutoff"]])

    @property
    def cutoff_us(self) -> Codes:
        """Cutoffs as UTC microseconds."""
        found: Codes = self.frame["cutoff"].to_numpy("datetime64[us]").astype(np.int64)
        return found

    @property
    def label(self) -> pd.Series[Any]:
        """Labels with index (member_id, cutoff): int8, or Int8 with NA where a window is still open."""
        values = self.frame["label"].to_numpy(np.int8)
        unknown = values == NOT_LABELLED
        if unknown.any():
            masked = pd.arrays.IntegerArray(np.where(unknown, 0, values).astype(np.int8), unknown)
            return pd.Series(masked, index=self.index, name="label")
        return pd.Series(values, index=self.index, name="label")

    @property
    def groups(self) -> NDArray[Any]:
        """What must not stand on both sides of a fold: the account, or the member who has none."""
        account = self.frame["account_id"].astype(object)
        own = "member:" + self.frame["member_id"].astype(str)
        found: NDArray[Any] = ("account:" + account.astype(str)).where(account.notna(), own).to_numpy(object)
        return found

    @property
    def weight(self) -> NDArray[np.float64]:
        """Training weights: 1, or 1/members for the rows of an account's deal."""
        found: NDArray[np.float64] = self.frame["weight"].to_numpy(float)
        return found

    def to_pandas(self) -> pd.DataFrame:
        """Return member_id, account_id, cutoff, label, outcome, contacted, open_deal[, observed_until]."""
        columns = ["member_id", "account_id", "cutoff", "label", "outcome", "contacted", "open_deal"]
        if "observed_until" in self.frame:
            columns.append("observed_until")
        frame = self.frame[columns].copy()
        frame["label"] = self.label.array
        return frame

    def take(self, rows: NDArray[Any]) -> Observations:
        """Return the rows that a mask or positions choose."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Observations(self.frame.iloc[positions].reset_index(drop=True), self.windows)

    def labelled(self) -> Observations:
        """Return the rows that have a label."""
        return self.take((self.frame["label"] != NOT_LABELLED).to_numpy())

    def split(self, train_until: Moment, test_from: Moment) -> tuple[Observations, Observations]:
        """Split by time: rows mature by `train_until`, and rows with cutoffs from `test_from` on.

        A training label counts only what was known before `train_until`: a win that became known later is not a 1
        there.

        Raises
        ------
        LeakageError
            If `test_from` is before `train_until`: label windows would meet.
        ImmatureLabelError
            If either part has no rows.
        """
        until, start = moment_us(train_until, name="train_until"), moment_us(test_from, name="test_from")
        if start < until:
            raise LeakageError(
                f"test_from {moment_text(start)} is before train_until {moment_text(until)}: label windows would meet. "
                "Give a later test_from."
            )
        cutoffs = self.cutoff_us
        reach = self.windows.gap_us + self.windows.horizon_us
        train, test = self.take(cutoffs + reach <= until), self.take(cutoffs >= start)
        unknown = (train.frame["label"] == 1) & (train.frame["known_us"] >= until)
        train.frame.loc[unknown, "label"] = 0
        train.frame.loc[unknown, "outcome"] = "open"
        # The share of a deal that nobody knew of must not weigh the row either.
        train.frame.loc[unknown, "weight"] = 1.0
        train.windows = replace(self.windows, frozen_us=until)
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                span = "there are no rows"
                if len(self):
                    span = f"cutoffs run from {moment_text(int(cutoffs.min()))} to {moment_text(int(cutoffs.max()))}"
                raise ImmatureLabelError(
                    f"The split leaves no {name} rows: {span}, horizon + gap is {reach / DAY_US:g} days. Move the bounds."
                )
        return train, test

    def __repr__(self) -> str:
        if not len(self):
            return "Observations(no rows)"
        won = self.frame["label"] == 1
        days = self.frame["cutoff"]
        return (
            f"Observations({len(self)} rows of {self.frame['member_id'].nunique()} members, {int(won.sum())} positive of "
            f"{self.frame.loc[won, 'member_id'].nunique()} members, cutoffs {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d})"
        )


def cutoff_iterator(observations: Observations) -> Iterator[tuple[pd.Timestamp, NDArray[np.int64]]]:
    """Yield each cutoff with the positions of its rows, in time order."""
    yield from sorted(observations.frame.groupby("cutoff").indices.items())


def _cutoffs(raw: pd.Series[Any]) -> pd.Series[Any]:
    """Cutoffs as UTC microseconds; a day alone is its first microsecond."""
    try:
        text = isinstance(raw.dtype, pd.StringDtype) or raw.map(lambda v: isinstance(v, str)).any()
        read = pd.to_datetime(raw, utc=True, format="ISO8601" if text else None)
    except (ValueError, TypeError) as error:
        raise InputError(f"cutoff cannot be read: {error}") from error
    if read.isna().any() or (len(raw) and pd.api.types.is_numeric_dtype(raw.dtype)):
        raise InputError(f"cutoff holds {list(raw[read.isna()][:3]) or raw.dtype}; give dates or timestamps for every row.")
    return read.astype("datetime64[us, UTC]")


def _labels(raw: pd.Series[Any]) -> NDArray[np.int8]:
    known = raw.notna().to_numpy(bool)
    if not raw[known].isin([0, 1, NOT_LABELLED]).all():
        raise InputError(f"label holds {sorted(set(map(str, raw[known])))[:5]}; use 1, 0, or null where unknown.")
    labels = np.full(len(raw), NOT_LABELLED, np.int8)
    labels[known] = raw[known].astype(np.int8)
    return labels
