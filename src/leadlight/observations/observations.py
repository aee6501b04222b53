"""Rows of (member, cutoff) with their labels, and their split by time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community.members import NEVER
from leadlight.errors import ImmatureLabelError, InputError, LeakageError, SchemaError
from leadlight.moments import DAY_US, Duration, Moment, moment_text, moment_us
from leadlight.observations.counts import as_text, count_rows, display, left_out, open_windows
from leadlight.observations.outcomes import Outcomes
from leadlight.observations.periods import PersonPeriods
from leadlight.observations.windows import LATER, NOT_LABELLED, Bools, Codes, Windows, span_us
from leadlight.runtime.showing import folded, heading, paragraph, table

MOST_SHOWN = 12
"""Lines of the table that a notebook shows without a click."""


class Observations:
    """Rows of (member, cutoff) with their labels; made by `observe` or `from_frame`.

    Attributes
    ----------
    frame : DataFrame
        member_id, account_id, cutoff (UTC), label (1, 0, or -1 where not labelled), outcome ("won", "lost", "open",
        "none"), contacted (True, False, None without a contacts table), open_deal (at the cutoff), customer, weight,
        known_us (when the label's win was known), member (code in the community); with `censored=True` also
        observed_until.
    windows : Windows

    Examples
    --------
    >>> import leadlight as ll
    >>> observations = ll.observe(ll.testing.small_community(), every="30d", horizon="90d")
    >>> observations
    Observations(3060 rows of 360 members, 180 positive of 60 members, cutoffs 2024-01-11 to 2024-09-07)
    >>> train, test = observations.split(train_until="2024-08-01", test_from="2024-08-01")
    >>> len(train), len(test)
    (1425, 630)
    >>> ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01", "label": 1}]).label.tolist()
    [1]
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        windows: Windows,
        counts: pd.DataFrame | None = None,
        *,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.frame = frame
        self.windows = windows
        self._dropped = open_windows(frame) if counts is None else counts
        self._outcomes = outcomes

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
        windows = Windows(span_us(horizon, "horizon"), span_us(gap, "gap", zero=True))
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

    @property
    def counts(self) -> pd.DataFrame:
        """What became of the population at each cutoff.

        Returns
        -------
        DataFrame
            Index cutoff. `population` is the sum of `won`, `lost`, `open`, `none` (rows with a label) and of what has
            none: `won_in_gap`, `window_open` (given as rows with `censored=True`), `left_out` (by `take`). `contacted`
            is among the rows with a label. Not in the population: `after_won` (active, bought before), `inactive`
            (entered, nothing done in `active_within`), `not_entered` (active, not entered yet), `employees` and
            `refused` (active). Nobody is counted twice at a cutoff. With cutoffs `on` an action nobody is inactive.
        """
        return count_rows(self.frame, self._dropped)

    def summary(self, width: int = 100) -> str:
        """Return `counts` as text of at most `width` columns, with totals; many cutoffs as months or years.

        Numbers are of (member, cutoff) pairs: a member counts once at each cutoff.
        """
        if not len(self.counts):
            return repr(self)
        return f"{as_text(self.counts, width)}\n\n{self._sentence()}"

    def _sentence(self) -> str:
        won = self.frame["label"] == 1
        w = self.windows
        begins = f"{w.gap_us / DAY_US:g} days after the cutoff" if w.gap_us else "the cutoff"
        accounts = len(set(self.groups[won.to_numpy(bool)]))
        return (
            f"{len(self):,} rows of {self.frame['member_id'].nunique():,} members; {int(won.sum()):,} positive, of "
            f"{self.frame.loc[won, 'member_id'].nunique():,} members, {accounts:,} accounts or members without one.\n"
            f"A label is a deal won in the {w.horizon_us / DAY_US:g} days from {begins} on."
        )

    def _repr_html_(self) -> str:
        if not len(self.counts):
            return paragraph(repr(self))
        shown = display(self.counts)
        names = [name.replace("_", " ") for name in shown.columns]
        rows = [(cutoff, *cells) for cutoff, cells in zip(shown.index, shown.to_numpy(), strict=True)]
        whole = table(("cutoff", *names), rows, numbers=names, strong=len(rows) - 1)
        if len(rows) > MOST_SHOWN + 1:
            last = rows[-MOST_SHOWN - 1 :]
            short = table(("cutoff", *names), last, numbers=names, strong=len(last) - 1)
            whole = short + folded(f"All {len(rows) - 1} lines", whole)
        title = heading("Observations", "members at each cutoff, and what became of them")
        return title + whole + paragraph(self._sentence())

    def to_pandas(self) -> pd.DataFrame:
        """Return member_id, account_id, cutoff, label, outcome, contacted, open_deal[, observed_until]."""
        columns = ["member_id", "account_id", "cutoff", "label", "outcome", "contacted", "open_deal"]
        if "observed_until" in self.frame:
            columns.append("observed_until")
        frame = self.frame[columns].copy()
        frame["label"] = self.label.array
        return frame

    def take(self, rows: NDArray[Any]) -> Observations:
        """Return the rows that a mask or positions choose; `counts` keeps their cutoffs and says what was left out."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        dropped = left_out(self.frame, self._dropped, positions)
        frame = self.frame.iloc[positions].reset_index(drop=True)
        return Observations(frame, self.windows, dropped, outcomes=self._outcomes)

    def labelled(self) -> Observations:
        """Return the rows that have a label."""
        return self.take((self.frame["label"] != NOT_LABELLED).to_numpy())

    def split(
        self,
        train_until: Moment,
        test_from: Moment,
        *,
        embargo: Duration | None = None,
        censored: bool = False,
    ) -> tuple[Observations, Observations]:
        """Split by time: rows mature by `train_until`, and rows with cutoffs from `test_from` on.

        Training knows nothing from `train_until` on: labels, outcomes and weights are as known then. A win that became
        known later is not a 1 there. Which members are rows is as known when the data were frozen: one whose deal was
        won before a cutoff is no row there, although that may have become known after `train_until`.

        Parameters
        ----------
        train_until : moment
            Training windows end by then.
        test_from : moment
            First test cutoff.
        embargo : duration, optional
            Training windows also end, and what training knows too, at least this long before `test_from`.
        censored : bool
            Training keeps rows whose windows were still open then, without label, for `discrete_time`.

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
        if embargo is not None:
            until = min(until, start - span_us(embargo, "embargo", zero=True))
        cutoffs, reach = self.cutoff_us, self.windows.reach_us
        mature = cutoffs + reach <= until
        train = self.take(mature | ((cutoffs < until) & censored))._known_by(until)
        test = self.take(cutoffs >= start)
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                span = "there are no rows"
                if len(self):
                    span = f"cutoffs run from {moment_text(int(cutoffs.min()))} to {moment_text(int(cutoffs.max()))}"
                held = f", training ends {moment_text(until)}" if embargo is not None else ""
                raise ImmatureLabelError(
                    f"The split leaves no {name} rows: {span}, horizon + gap is {reach / DAY_US:g} days{held}. "
                    "Move the bounds."
                )
        return train, test

    def _known_by(self, until: int) -> Observations:
        """Return the rows as they would be had the data been frozen just before a time."""
        frame, cutoffs = self.frame, self.cutoff_us
        windows = replace(self.windows, frozen_us=until - 1)
        if self._outcomes is None:
            open_now = (cutoffs + windows.reach_us > until) & (frame["label"] != NOT_LABELLED).to_numpy(bool)
            frame.loc[open_now, ["label", "outcome"]] = [NOT_LABELLED, "none"]
            return Observations(frame, windows, _more_open(self._dropped, frame, open_now))
        # A bound beyond the freeze teaches nothing that was not known at the freeze.
        windows = replace(windows, frozen_us=min(until - 1, self.windows.frozen_us))
        outcomes = replace(self._outcomes, frozen_us=windows.frozen_us)
        opens = cutoffs + windows.gap_us
        before = frame["label"] != NOT_LABELLED
        member = frame["member"].to_numpy(np.int64)
        found = outcomes.columns(member, cutoffs, opens, opens + windows.horizon_us)
        for name in frame.columns.intersection(pd.Index(list(found))):
            frame[name] = found[name]
        open_now = (before & (frame["label"] == NOT_LABELLED)).to_numpy(bool)
        return Observations(frame, windows, _more_open(self._dropped, frame, open_now), outcomes=outcomes)

    @property
    def knows_when(self) -> bool:
        """Whether the rows can say when a deal was won: those of `observe` can, your own cannot."""
        return self._outcomes is not None and "member" in self.frame

    def discrete_time(self, interval: Duration = "30d") -> PersonPeriods:
        """Return the discrete-time view, in which windows that are still open teach what they have seen.

        A horizon of two years leaves few mature windows. Cut into months, each window says for every month that it has
        completed whether a deal was won in it. Observe with `censored=True`, else only mature windows are there.

        Parameters
        ----------
        interval : duration
            Length of the intervals of the label window; the last is shorter where they do not fit.

        Returns
        -------
        PersonPeriods
            `to_pandas()` gives the rows to train on, `hazards()` the life table.

        Raises
        ------
        InputError
            If the rows are your own: they do not say when a deal was won.
        """
        if self._outcomes is None or not self.knows_when:
            raise InputError("discrete_time needs to know when deals were won; make the rows with observe().")
        interval_us = span_us(interval, "interval")
        opens = self.cutoff_us + self.windows.gap_us
        horizon = self.windows.horizon_us
        closes = opens + horizon
        count = -(-horizon // interval_us)
        seen = np.clip(self.windows.seen_until_us, opens, closes) - opens
        completed = np.where(seen == horizon, count, seen // interval_us)
        when = self._outcomes.won_in(self.frame["member"].to_numpy(np.int64), opens, closes)
        bought = np.where(when == LATER, count, (when - opens) // interval_us)
        won: Bools = bought < completed
        return PersonPeriods(
            rows=self.frame[["member_id", "account_id", "cutoff", "weight"]],
            opens_us=opens,
            at_risk=np.where(won, bought + 1, completed),
            won=won,
            groups=self.groups,
            interval_us=interval_us,
            horizon_us=horizon,
        )

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


def _more_open(dropped: pd.DataFrame, frame: pd.DataFrame, rows: Bools) -> pd.DataFrame:
    """Return `dropped` with rows that lost their label counted as open."""
    more = pd.Series(rows).groupby(frame["cutoff"]).sum().reindex(dropped.index, fill_value=0)
    return dropped.assign(window_open=more + dropped.get("window_open", 0))


def _cutoffs(raw: pd.Series[Any]) -> pd.Series[Any]:
    """Cutoffs as UTC microseconds; a day alone is its first microsecond."""
    try:
        text = isinstance(raw.dtype, pd.StringDtype) or raw.map(lambda v: isinstance(v, str)).any()
        read = pd.to_datetime(raw, utc=True, format="ISO8601" if text else None)
    except (ValueError, TypeError) as error:
        raise InputError(f"cutoff cannot be read: {error}") from error
    if read.isna().any() or (len(raw) and pd.api.types.is_numeric_dtype(raw.dtype)):
        raise InputError(
            f"cutoff holds {list(raw[read.isna()][:3]) or raw.dtype}; give dates or timestamps for every row."
        )
    return read.astype("datetime64[us, UTC]")


def _labels(raw: pd.Series[Any]) -> NDArray[np.int8]:
    known = raw.notna().to_numpy(bool)
    if not raw[known].isin([0, 1, NOT_LABELLED]).all():
        raise InputError(
            f"label holds {sorted(set(map(str, raw[known])))[:5]}; use 1, 0, or null where unknown."
        )
    labels = np.full(len(raw), NOT_LABELLED, np.int8)
    labels[known] = raw[known].astype(np.int8)
    return labels
