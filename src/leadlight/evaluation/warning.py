"""Weeks of warning: how long before the demand event a buyer was first put on the call list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.community.members import NEVER
from leadlight.errors import InputError
from leadlight.evaluation.metrics import Bools, best_first, row_groups
from leadlight.evaluation.redraws import Codes, Redraws, Values, interval
from leadlight.moments import DAY_US
from leadlight.observations import Observations
from leadlight.observations.outcomes import member_deals

WEEK_US = 7 * DAY_US
REST_WEEKS = 26
WITHIN_WEEKS = 26
ALERTERS = 20
"""Random alerters that are averaged."""


@dataclass(frozen=True)
class Demand:
    """Which rows could have warned of which won deal.

    A buyer is an account (or a member without one) that won a deal. Its demand event is when that deal was opened, or
    closed where the opening is not known; of several deals the first. A row can warn of it when the deal reaches the
    row's member and the cutoff lies in `[event - within, event]`. A buyer without such a row was not in the population
    and is not counted.

    Attributes
    ----------
    row : int64 array of shape (pairs,)
        Position of a row that can warn.
    buyer : int64 array of shape (pairs,)
        Position of its buyer in `account`.
    weeks : float64 array of shape (pairs,)
        From the row's cutoff to the event.
    account : int64 array of shape (buyers,)
        Account code of each buyer, as in `Redraws.codes`.
    """

    row: Codes
    buyer: Codes
    weeks: Values
    account: Codes

    @classmethod
    def of(
        cls, community: Community, rows: Observations, codes: Codes, within_weeks: float = WITHIN_WEEKS
    ) -> Demand:
        """Find the buyers of whom rows could have warned.

        Parameters
        ----------
        community : Community
        rows : Observations
        codes : int64 array of shape (n,)
            Account of each row.
        within_weeks : float
            An alert longer than this before the event is not a warning of it.
        """
        deals = member_deals(community)
        frozen = rows.windows.frozen_us or community.frozen_us
        won = deals[(deals["outcome"] == "won") & (deals["visible_us"] <= frozen)]
        event = won["opened_us"].where(won["opened_us"] != NEVER, won["closed_us"])
        won = pd.DataFrame({"member": won["member"].astype(np.int64), "event": event.astype(np.int64)})
        member = community.members.ids.get_indexer(pd.Index(rows.frame["member_id"]))
        table = pd.DataFrame(
            {"row": np.arange(len(rows)), "member": member, "cutoff": rows.cutoff_us, "account": codes}
        )
        pairs = table[table["member"] >= 0].merge(won, on="member")
        ahead = pairs["event"] - pairs["cutoff"]
        pairs = pairs[(ahead >= 0) & (ahead <= within_weeks * WEEK_US)]
        pairs = pairs[pairs["event"] == pairs.groupby("account")["event"].transform("min")]
        account, buyer = np.unique(pairs["account"].to_numpy(np.int64), return_inverse=True)
        weeks = (pairs["event"] - pairs["cutoff"]).to_numpy(float) / WEEK_US
        return cls(pairs["row"].to_numpy(np.int64), buyer.astype(np.int64), weeks, account)

    def lead(self, alerted: Bools) -> Values:
        """Return the weeks from the first alert to the event of each buyer; 0 without an alert."""
        found = np.zeros(len(self.account))
        hit = alerted[self.row]
        np.maximum.at(found, self.buyer[hit], self.weeks[hit])
        return found

    def reached(self, alerted: Bools) -> Bools:
        """Return which buyers were alerted."""
        found = np.zeros(len(self.account), bool)
        found[self.buyer[alerted[self.row]]] = True
        return found


def new_alerts(
    score: Values,
    cutoff_us: Codes,
    member: NDArray[Any],
    budget: int,
    *,
    tie: Codes | None = None,
    rest_weeks: float = REST_WEEKS,
) -> Bools:
    """Mark the rows that become an alert: at each cutoff the best members who had none lately.

    Parameters
    ----------
    score : float64 array of shape (n,)
    cutoff_us : int64 array of shape (n,)
    member : array of shape (n,)
    budget : int
        New alerts at each cutoff; fewer where not so many members are left.
    tie : int64 array of shape (n,), optional
        Breaks ties; by default the position does.
    rest_weeks : float
        No second alert for the same member within.

    Raises
    ------
    InputError
        If the budget is not positive.
    """
    if budget < 1:
        raise InputError(f"The budget is {budget} new alerts at each cutoff; it must be at least 1.")
    codes, names = pd.factorize(member)
    free_from = np.full(len(names), NEVER, np.int64)
    alerted = np.zeros(len(score), bool)
    for at_cutoff in row_groups(cutoff_us):
        rows = at_cutoff[free_from[codes[at_cutoff]] <= cutoff_us[at_cutoff]]
        best = rows[best_first(score[rows], None if tie is None else tie[rows])[:budget]]
        alerted[best] = True
        free_from[codes[best]] = cutoff_us[best] + int(rest_weeks * WEEK_US)
    return alerted


def weeks_of_warning(
    scores: dict[str, Values],
    rows: Observations,
    demand: Demand,
    budget: int,
    redraws: Redraws,
    *,
    tie: Codes | None = None,
    rest_weeks: float = REST_WEEKS,
    alerters: int = ALERTERS,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, Values]]:
    """Measure how early each model warns of buyers, above what chance does with as many alerts.

    Each buyer counts once: the weeks from the first alert of a member whom the deal reaches to the demand event, at most
    as many as `Demand` looks back; a buyer who was never alerted counts as 0 weeks. The mean over buyers, minus the mean of
    `alerters` seeded random alerters with the same budget, is `excess`.

    Parameters
    ----------
    scores : dict of str to float64 array of shape (n,)
    rows : Observations
    demand : Demand
    budget : int
        New alerts at each cutoff.
    redraws : Redraws
        Of the rows' accounts.
    tie : int64 array of shape (n,), optional
    rest_weeks : float
    alerters, seed : int

    Returns
    -------
    table : DataFrame
        Index model; buyers, alerted (share of the buyers), weeks, random, excess, low, high (95 % of the excess,
        accounts redrawn), alerts (in all), budget (at each cutoff).
    draws : dict of str to float64 array of shape (rounds + 1,)
        The excess in each draw.
    """
    cutoff, member = rows.cutoff_us, rows.frame["member_id"].to_numpy(object)
    rng = np.random.default_rng(seed)
    chance = np.zeros(len(demand.account))
    for _ in range(alerters):
        drawn = new_alerts(rng.random(len(rows)), cutoff, member, budget, rest_weeks=rest_weeks)
        chance += demand.lead(drawn) / alerters
    buyers = redraws.of_accounts(np.bincount(demand.account, minlength=redraws.count).astype(float))
    lines, draws = [], {}
    for model, score in scores.items():
        alerted = new_alerts(score, cutoff, member, budget, tie=tie, rest_weeks=rest_weeks)
        lead = demand.lead(alerted)
        gain = redraws.of_accounts(np.bincount(demand.account, lead - chance, redraws.count).astype(float))
        with np.errstate(divide="ignore", invalid="ignore"):
            draws[model] = gain / buyers
        low, high = interval(draws[model], "plain", len(demand.account))
        some = len(lead) > 0
        lines.append(
            {
                "model": model,
                "buyers": len(lead),
                "alerted": float(demand.reached(alerted).mean()) if some else np.nan,
                "weeks": float(lead.mean()) if some else np.nan,
                "random": float(chance.mean()) if some else np.nan,
                "excess": float(draws[model][0]),
                "low": low,
                "high": high,
                "alerts": int(alerted.sum()),
                "budget": budget,
            }
        )
    return pd.DataFrame(lines).set_index("model"), draws
