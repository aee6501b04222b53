"""What sales does about it: points, approaches, and deals that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate.behaviour import Events, buying_group_questions
from leadlight.simulate.parameters import (
    ACTIONS,
    DECISION,
    EVALUATION,
    SETTLED,
    WEEK_US,
    SimulationParameters,
)
from leadlight.simulate.stages import Journeys
from leadlight.simulate.world import PROSPECT_ROLE, World

Array = NDArray[Any]
OFFICE_HOURS = (8.0, 17.0)


@dataclass
class Deal:
    """One opportunity; times in weeks from the start of the log.

    `effective` is the stage in which an approach took effect, 0 where the account is not buying; `run_end` is
    the week in which the account decides or drops out, -1 where there is no such week.
    """

    account: int
    member: int
    opened: float
    closed: float
    effective: int = 0
    effective_from: float = np.inf
    run_end: int = -1
    won: bool = False


@dataclass(frozen=True)
class Contact:
    """One approach: internal number of the member, time in weeks, how it was chosen, propensity if random."""

    member: int
    moment: float
    chosen_by: str
    propensity: float | None = None


@dataclass
class Sales:
    """The sales team, week by week.

    Attributes
    ----------
    contacts : list of Contact
    deals : list of Deal
    customer_from : ndarray of shape (accounts,)
        When an account bought from the host, in weeks; infinite where it did not.
    eligible : ndarray of bool of shape (weeks, members)
        Whom the random draw of a week could name.
    draw_chance : ndarray of shape (weeks,)
        The chance of each of them.
    """

    world: World
    journeys: Journeys
    weeks: int
    first_weekday: int
    parameters: SimulationParameters
    rng: np.random.Generator = field(repr=False)
    contacts: list[Contact] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with no points and nobody approached."""
        members, accounts = len(self.world.account), len(self.world.size)
        self.customer_from = np.full(accounts, np.inf)
        self.eligible = np.zeros((self.weeks, members), np.bool_)
        self.draw_chance = np.zeros(self.weeks)
        self._points = np.zeros(members)
        self._member_rest = np.full(members, -1_000)
        self._account_rest = np.full(accounts, -1_000)
        self._remembered_until = np.full(accounts, -1)
        self._remembered_by = np.zeros(accounts, np.int64)
        self._busy_until = np.full(accounts, -1.0)
        self._open: dict[int, Deal] = {}
        self.workdays = [d for d in range(7) if (self.first_weekday + d) % 7 < 5]

    def week(self, week: int, events: Events, role: Array) -> None:
        """Work through one week: remembered approaches, the list made on Monday, those who call.

        Parameters
        ----------
        events : dict
            Actions of this week; the list uses points of the weeks before only.
        role : ndarray of shape (members,)
        """
        self._remembered(week)
        self._outbound(week, role)
        self._inbound(week, events)
        self._score(events)

    def _remembered(self, week: int) -> None:
        """Let approaches that came too early take effect where the account has become ready."""
        state = self.journeys.state[:, week]
        ready = (state == EVALUATION) | (state == DECISION)
        ready &= (self._remembered_until >= week) & np.isinf(self.customer_from)
        for account in np.flatnonzero(ready).tolist():
            if not self._in_hand(account, week):
                room = self.journeys.moment[account, week] if self.journeys.purchase[account, week] else 1.0
                self._take_effect(
                    account, int(self._remembered_by[account]), week + 0.9 * room * self.rng.random()
                )

    def _outbound(self, week: int, role: Array) -> None:
        w, p = self.world, self.parameters
        eligible = (w.joined < week) & (role == PROSPECT_ROLE) & ~w.refuses
        eligible &= week - self._member_rest >= p.member_rest_weeks
        free = (week - self._account_rest >= p.account_rest_weeks) & np.isinf(self.customer_from)
        eligible &= (free & (self._busy_until < week))[w.account]
        pool = np.flatnonzero(eligible)
        if not len(pool):
            return
        expected = min(p.random_contacts * len(w.account), float(len(pool)))
        number = int(expected) + int(self.rng.random() < expected % 1.0)
        at_random = self.rng.choice(pool, number, replace=False)
        self.eligible[week, pool] = True
        self.draw_chance[week] = expected / len(pool)
        for member in at_random.tolist():
            self._approach(member, self._office_hour(week), "random", expected / len(pool))
        by_points = pool[(self._points[pool] > 0) & ~np.isin(w.account[pool], w.account[at_random])]
        by_points = by_points[np.argsort(-self._points[by_points], kind="stable")]
        _, best = np.unique(w.account[by_points], return_index=True)
        wanted = max(1, round(p.score_contacts * len(w.account)))
        for member in by_points[np.sort(best)][:wanted].tolist():
            self._approach(member, self._office_hour(week), "score")

    def _inbound(self, week: int, events: Events) -> None:
        """Let buyers who ask a question ask for sales."""
        w, asks = self.world, buying_group_questions(events, self.world)
        chance = np.asarray((*self.parameters.inbound, 0.0))[
            self.journeys.state[w.account[events["member"][asks]], week]
        ]
        for event in asks[self.rng.random(len(asks)) < chance].tolist():
            member = int(events["member"][event])
            account = int(w.account[member])
            moment = float(events["time"][event]) / WEEK_US + self.rng.uniform(0.5, 24.0) / 168.0
            free = not self._in_hand(account, week) and np.isinf(self.customer_from[account])
            if free and moment < week + 1 and not w.refuses[member] and not self._too_late(account, moment):
                self._approach(member, moment, "inbound")

    def _score(self, events: Events) -> None:
        p = self.parameters
        weights = np.asarray(p.points)[events["action"]]
        earned = np.bincount(events["member"], weights, minlength=len(self._points))
        self._points = np.minimum(self._points * p.points_decay + earned, p.points_cap)

    def _approach(self, member: int, moment: float, chosen_by: str, propensity: float | None = None) -> None:
        w, p, week = self.world, self.parameters, int(moment)
        account = int(w.account[member])
        self.contacts.append(Contact(member, moment, chosen_by, propensity))
        self._member_rest[member] = self._account_rest[account] = week
        reach = 1.0 if chosen_by == "inbound" else p.reach_group if w.in_group[member] else p.reach_other
        if self.rng.random() < reach:
            self._remembered_until[account] = week + p.approach_weeks
            self._remembered_by[account] = member
            if self.journeys.state[account, week] in (EVALUATION, DECISION) and not self._too_late(
                account, moment
            ):
                self._take_effect(account, member, moment)
                return
        if self.rng.random() < p.junk_deal and account not in self._open:
            opened = moment + self.rng.exponential(0.3)
            if opened < self.weeks:
                self._open_deal(Deal(account, member, opened, opened + 1.0 + self.rng.gamma(2.0, 4.0)))

    def _take_effect(self, account: int, member: int, moment: float) -> None:
        """Put an account in evaluation or decision in the hands of sales; its own course settles the rest."""
        j, week = self.journeys, int(moment)
        stage = int(j.state[account, week])
        ahead = j.state[account, week:]
        over = (ahead != EVALUATION) & (ahead != DECISION)
        deal = self._open.get(account)
        if deal is None or deal.closed <= moment:
            deal = Deal(account, member, moment, np.inf)
        deal.effective, deal.effective_from, deal.closed = stage, moment, np.inf
        deal.run_end = week + int(over.argmax()) - 1 if over.any() else j.state.shape[1]
        self._remembered_until[account] = -1
        if over.any():
            admits = self.rng.exponential(self.parameters.lost_delay_weeks)
            if j.purchase[account, deal.run_end]:
                deal.won = bool(j.luck[account, deal.run_end] < self.parameters.win[stage])
                deal.closed = deal.run_end + j.moment[account, deal.run_end] + (0.0 if deal.won else admits)
            else:
                deal.closed = deal.run_end + 1 + admits
        if deal.won:
            self.customer_from[account] = deal.closed
            j.state[account, deal.run_end + 1 :] = SETTLED
            j.purchase[account, deal.run_end + 1 :] = False
        self._open_deal(deal)

    def _open_deal(self, deal: Deal) -> None:
        if self._open.get(deal.account) is not deal:
            self.deals.append(deal)
        self._open[deal.account] = deal
        self._busy_until[deal.account] = deal.closed

    def _in_hand(self, account: int, week: int) -> bool:
        """Return whether an approach has taken effect in the run of stages that the account is in."""
        deal = self._open.get(account)
        return deal is not None and deal.effective > 0 and deal.run_end >= week

    def _too_late(self, account: int, moment: float) -> bool:
        week = int(moment)
        return bool(
            self.journeys.purchase[account, week] and week + self.journeys.moment[account, week] <= moment
        )

    def _office_hour(self, week: int) -> float:
        day = self.workdays[int(self.rng.integers(len(self.workdays)))]
        return week + (day + self.rng.uniform(*OFFICE_HOURS) / 24.0) / 7.0


def points_of(parameters: SimulationParameters) -> dict[str, float]:
    """Return the points that the simulated sales team gives for each action."""
    return dict(zip(ACTIONS, parameters.points, strict=True))
