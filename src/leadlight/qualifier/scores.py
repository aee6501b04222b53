"""Scores: one row per member, ready for a call list or a CRM."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leadlight.community import Community
from leadlight.decision import Capacity, Decision
from leadlight.errors import InputError, warn
from leadlight.moments import duration_us
from leadlight.observations import Observations
from leadlight.qualifier.delivery import Layout, shaped, upsert
from leadlight.qualifier.points import PointsOnly
from leadlight.qualifier.showing import scores_html
from leadlight.qualifier.sureness import sureness
from leadlight.runtime import Scorer

COLUMNS = [
    "member_id",
    "account_id",
    "at",
    "probability",
    "low",
    "high",
    "percentile",
    "grade",
    "qualified",
    "cold_start",
    "reasons",
    "model_version",
]
FLAGS = ["customer", "open_deal"]
INCLUDE = {"customers": "customer", "open_deals": "open_deal"}
"""What `Scores.top(include=)` may name, and the flag that leaves it out otherwise."""


class Scores:
    """What `LeadQualifier.score` returns.

    Attributes
    ----------
    frame : DataFrame
        member_id, account_id, at, probability, low, high (95 % interval of the calibration), percentile and grade (among
        the out-of-fold scores of training), qualified, cold_start, reasons (tuple of Reason), model_version, and the
        flags customer, open_deal and recently_contacted. In the order of the population; `top` ranks. Without a deal to
        learn from probability, low and high are NaN, and a column points comes last: percentile, grade, qualified and
        the order go by it, and contributions of reasons are in points.
    simulated : bool
        Whether the community said so of itself.
    buyers : int or None
        Accounts (or members without one) that won in the training rows.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        decision: Decision,
        *,
        simulated: bool = False,
        buyers: int | None = None,
    ) -> None:
        self.frame = frame
        self.decision = decision
        self.simulated = simulated
        self.buyers = buyers

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        community: Community,
        rows: Observations,
        X: pd.DataFrame,
        decision: Decision,
        reasons: int,
    ) -> Scores:
        """Score rows of one cutoff; every figure comes from the scorer."""
        predictions = scorer.predict_rows(X, reasons=reasons)
        frame = pd.DataFrame(
            {
                "member_id": rows.frame["member_id"],
                "account_id": rows.frame["account_id"],
                "at": rows.frame["cutoff"],
                **{
                    name: np.array([getattr(p, name) for p in predictions], float)
                    for name in ("probability", "low", "high", "percentile")
                },
                "grade": pd.Series([p.grade for p in predictions], dtype=object),
                "qualified": np.array([p.qualified for p in predictions], bool),
                "cold_start": np.array([p.cold_start for p in predictions], bool),
                "reasons": pd.Series([p.reasons for p in predictions], dtype=object),
                "model_version": scorer.version,
                "customer": rows.frame["customer"].to_numpy(bool),
                "open_deal": rows.frame["open_deal"].to_numpy(bool),
            }
        )
        frame["recently_contacted"] = _recent(community, rows, decision)
        if isinstance(scorer, PointsOnly):
            frame["points"] = scorer.points(X)
        buyers = scorer.info["metrics"].get("positive_groups")
        return cls(frame, decision, simulated=community.simulated, buyers=buyers)

    def __len__(self) -> int:
        return len(self.frame)

    def to_pandas(self) -> pd.DataFrame:
        """Return a copy of the table, one row per member in the order of the population."""
        return self.frame[COLUMNS + FLAGS + self._points].copy()

    @property
    def _points(self) -> list[str]:
        return ["points"] if "points" in self.frame else []

    def top(self, n: int | None = None, *, include: tuple[str, ...] = ()) -> Scores:
        """Return the call list: the best `n`, ties by member id; customers and open deals are left out.

        A `Capacity` with `per_account` or `not_contacted_within` applies them here. Without `n`, all qualified members.

        Parameters
        ----------
        n : int, optional
        include : tuple of {"customers", "open_deals"}
            Who is to be on the list all the same: existing customers (for another deal), members with an open deal.

        Raises
        ------
        InputError
            If n is below 1, or `include` names something else.
        """
        if n is not None and n < 1:
            raise InputError(f"n is {n}; ask for at least one.")
        wanted = (include,) if isinstance(include, str) else tuple(include)
        unknown = [name for name in wanted if name not in INCLUDE]
        if unknown:
            raise InputError(f"include names {unknown[0]!r}; choose from {tuple(INCLUDE)}.")
        frame = self.frame
        free = ~frame["recently_contacted"]
        for name, flag in INCLUDE.items():
            if name not in wanted:
                free &= ~frame[flag]
        ranked = frame[free].assign(_id=frame["member_id"].astype(str))
        order = [*self._points, "probability"][0]
        ranked = ranked.sort_values([order, "_id"], ascending=[False, True], kind="stable").drop(
            columns="_id"
        )
        if isinstance(self.decision, Capacity) and self.decision.per_account is not None:
            named = ranked["account_id"].notna()
            place = ranked.groupby("account_id", dropna=True).cumcount().reindex(ranked.index).fillna(0)
            ranked = ranked[~named | (place < self.decision.per_account)]
        ranked = ranked[ranked["qualified"]] if n is None else ranked.head(n)
        return Scores(
            ranked.reset_index(drop=True), self.decision, simulated=self.simulated, buyers=self.buyers
        )

    def texts(self) -> list[str]:
        """Return each member's reasons as one line."""
        return ["; ".join(reason.text for reason in reasons) for reasons in self.frame["reasons"]]

    def to_csv(
        self, path: str | Path, *, layout: Layout = "plain", keys: Mapping[Any, str] | None = None
    ) -> None:
        """Write one row per member in a shape that a CRM imports; a file is replaced whole or not at all.

        Parameters
        ----------
        path : path-like
        layout : {"plain", "salesforce", "hubspot"}
            "plain" has member_id, account_id, at, probability, low, high, percentile, grade, qualified, reason_1 to
            reason_3, customer, open_deal, cold_start, model_version, and points where there is no probability. The others
            have the record's key and, under fields that you create once (``Leadlight_Probability__c``..., "Leadlight
            probability"...), the probability in percent, grade, qualified, three reasons, time and model.
        keys : mapping, optional
            member_id to the Id of the record or to its e-mail address, for the other layouts; members without one are left out.

        Raises
        ------
        InputError
            If the layout is unknown, or needs keys.

        Notes
        -----
        Text that a spreadsheet would run as a formula is quoted.
        """
        if layout == "plain":
            header, rows = self._plain()
        else:
            header, rows = shaped(self.frame, layout, keys)
        _write_csv(Path(path), header, rows)

    def _plain(self) -> tuple[list[str], list[list[Any]]]:
        first = [c for c in COLUMNS if c not in ("reasons", "cold_start", "model_version")]
        last = [*FLAGS, "cold_start", "model_version", *self._points]
        rows = []
        for row in self.frame.to_dict("records"):
            texts = [reason.text for reason in row["reasons"][:3]]
            rows.append([*(row[c] for c in first), *texts, *[""] * (3 - len(texts)), *(row[c] for c in last)])
        return [*first, "reason_1", "reason_2", "reason_3", *last], rows

    def to_sql(self, connection: Any, table: str, *, schema: str | None = None) -> int:
        """Write one row per member and time into a table of a database.

        The columns are those of `to_pandas`, `at` as ``scored_at`` and reasons as JSON. Writing the same scores again
        changes nothing; scores of another time are added, so that the table keeps the history. The newest:
        ``SELECT * FROM scores WHERE scored_at = (SELECT max(scored_at) FROM scores)``.

        Parameters
        ----------
        connection : DB-API 2, ADBC or DuckDB connection
            Of a database that knows ``ON CONFLICT``: PostgreSQL, SQLite, DuckDB. All rows are written and committed, or none.
        table, schema : str
            The table is made where it is missing. Names are quoted, values are bound.

        Returns
        -------
        int
            Number of rows written.

        Examples
        --------
        >>> import sqlite3
        >>> with sqlite3.connect("sales.db") as connection:  # doctest: +SKIP
        ...     scores.to_sql(connection, "scores")
        """
        return upsert(self.frame, connection, table, schema)

    def __str__(self) -> str:
        stamp = "Simulated community.\n" if self.simulated else ""
        if not len(self):
            return f"{stamp}No members."
        lines = []
        for place, (row, text) in enumerate(
            zip(self.frame.head(20).to_dict("records"), self.texts(), strict=False), 1
        ):
            account = (
                "" if row["account_id"] is None or pd.isna(row["account_id"]) else f" ({row['account_id']})"
            )
            worth = f"{row['points']:.1f} points" if self._points else f"{row['probability']:.1%}"
            lines.append(f"{place:3d}. {row['member_id']}{account}  {worth}  {row['grade']}  {text}")
        more = f"\n     ... and {len(self) - 20} more" if len(self) > 20 else ""
        return stamp + "\n".join(lines) + more + (f"\n{self.sureness}" if self.sureness else "")

    @property
    def sureness(self) -> str:
        """How many deals the scores come from, and how far the first of them may be off; "" where that is unknown."""
        if not len(self):
            return ""
        first = self.frame.iloc[0]
        return sureness(self.buyers, first["probability"], first["low"], first["high"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return scores_html(self)


def _write_csv(target: Path, header: list[str], rows: list[list[Any]]) -> None:
    name = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    # Not mkstemp, whose files only their owner may read: a call list is for others, as far as the umask says.
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([_cell(value) for value in row] for row in rows)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _cell(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    text = str(value)
    # Spreadsheets run cells that begin with these; an apostrophe keeps them text.
    return (
        f"'{text}"
        if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and isinstance(value, str)
        else text
    )


def _recent(
    community: Community, rows: Observations, decision: Decision
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each member was contacted within the decision's quiet time before the cutoff."""
    none = np.zeros(len(rows), bool)
    if not isinstance(decision, Capacity) or decision.not_contacted_within is None:
        return none
    if community.contacts is None:
        warn("not_contacted_within has no effect: the community has no contacts table.")
        return none
    if not len(rows):
        return none
    at = int(rows.cutoff_us[0])
    since = at - duration_us(decision.not_contacted_within)
    contacts = community.contacts
    recent = contacts[(contacts["contacted_us"] >= since) & (contacts["contacted_us"] < at)]
    return np.isin(community.codes(rows.frame["member_id"]), recent["member"].to_numpy())
