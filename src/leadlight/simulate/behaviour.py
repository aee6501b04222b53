"""What members do in a week: visits, actions, topics and counterparts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate.content import Content
from leadlight.simulate.parameters import (
    ACTIONS,
    CUSTOMER,
    INTEREST,
    JOB_FUNCTIONS,
    PROFILE_FIELDS,
    PROFILES,
    QUIET,
    SETTLED,
    TALKATIVE,
    WEEK_US,
    SimulationParameters,
)
from leadlight.simulate.world import CUSTOMER_ROLE, EMPLOYEE_ROLE, World

Array = NDArray[Any]
Events = dict[str, Array]
CODE = {name: code for code, name in enumerate(ACTIONS)}
_TAGGED = [
    CODE[a] for a in ("view", "search", "download", "post", "question", "answer", "comment", "recommend")
]
_READS = [CODE["view"], CODE["download"]]
_REPLIES = [CODE[a] for a in ("answer", "comment", "recommend")]
_PROJECT, _QUIET_BUYING, _FIRST_STAGE = (PROFILES.index(n) for n in ("project", "quiet_buying", "epiphany"))
_WORKDAYS = np.array([0.19, 0.20, 0.20, 0.19, 0.15, 0.03, 0.04])
_TAG_SLOTS = 3


class Behaviour:
    """Week by week, the actions of all members.

    Parameters
    ----------
    first_weekday : int
        Weekday of the first day of the log, Monday is 0.
    content : Content
        What they read, open and reply to.
    """

    def __init__(
        self,
        world: World,
        weeks: int,
        first_weekday: int,
        parameters: SimulationParameters,
        rng: np.random.Generator,
        content: Content,
    ) -> None:
        self.world, self.weeks, self.parameters, self.rng = world, weeks, parameters, rng
        self.content = content
        count = len(world.account)
        p = parameters
        self.role, self.job = world.role.copy(), world.job.copy()
        self._rate = p.session_rate * np.exp(p.session_spread * rng.standard_normal(count))
        self._talk = np.where(world.trait == QUIET, 0.0, rng.beta(*p.talk, size=count))
        self._asleep = rng.random(count) < p.sleep_rate / (p.sleep_rate + p.wake_rate)
        self._project = np.zeros(count, np.int64)
        self._mixes = np.asarray(p.mixes)
        self._topic = _zipf(len(p.topic_tags))
        self._favourite = rng.choice(len(p.topic_tags), (count, 4), p=_zipf(len(p.topic_tags), 0.7))
        self._home = rng.choice(len(p.groups), count, p=_zipf(len(p.groups)))
        launches = min(weeks, round(p.launches_per_year * weeks / 52))
        self._launch = set(rng.choice(weeks, launches, replace=False).tolist())
        self._phase = 2 * np.pi * rng.random()
        self._days = np.cumsum(np.roll(_WORKDAYS / _WORKDAYS.sum(), -first_weekday))
        self._days[-1] = 1.0
        self._writers = self._threads = np.empty(0, np.int64)

    def week(self, week: int, account_state: Array, account_customer: Array) -> tuple[Events, Array]:
        """Return the actions of a week, and which members changed their job function in it.

        Parameters
        ----------
        account_state : ndarray of shape (accounts,)
            Hidden state in this week.
        account_customer : ndarray of bool of shape (accounts,)
            Bought from the host before this week.
        """
        w, p, rng = self.world, self.parameters, self.rng
        count = len(w.account)
        state = account_state[w.account]
        stage = np.where(w.in_group & (state != SETTLED) & ~account_customer[w.account], state, 0)
        self._wake_and_sleep(stage)
        rate = self._rate * np.asarray(p.trait_rate)[w.trait] * np.asarray(p.stage_rate)[stage]
        rate *= np.where(self._asleep, p.dormant_rate, 1.0) * np.where(self._project > 0, p.project_rate, 1.0)
        rate *= np.where(week - w.joined < 4.0, p.newcomer_rate, 1.0)
        rate *= np.exp(
            p.growth * (week / self.weeks - 0.5) + p.season * np.sin(2 * np.pi * week / 52.18 + self._phase)
        )
        rate *= p.launch_rate if week in self._launch else 1.0
        rate[w.joined >= week + 1] = 0.0
        sessions = np.repeat(np.arange(count), rng.poisson(np.minimum(rate, 60.0)))
        member, time = self._times(sessions, week)
        action, driven = self._actions(member, stage, account_customer, week)
        events: Events = {"member": member, "time": time, "action": action}
        tag_rate = np.where(
            driven, np.asarray(p.stage_tag)[stage[member]], np.asarray(p.trait_tag)[w.trait[member]]
        )
        events["tags"] = self._tags(member, action, tag_rate, stage[member], week)
        events["group"] = self._groups(member, action)
        events["content"] = np.full(len(member), -1, np.int64)
        reads = np.isin(action, _READS)
        events["content"][reads] = self.content.pages(events["tags"][reads, 0])
        self._counterparts(events, stage[member], week)
        events["duration"] = np.where(
            action == CODE["view"],
            np.round(p.view_seconds * np.exp(0.9 * rng.standard_normal(len(member))), 1),
            np.nan,
        )
        return events, self._profile_updates(events, week)

    def _wake_and_sleep(self, stage: Array) -> None:
        p, draw = self.parameters, self.rng.random(len(stage))
        wake = np.where(stage >= INTEREST, p.stage_wake, p.wake_rate)
        self._asleep = np.where(self._asleep, draw >= wake, draw < p.sleep_rate)
        self._project = np.maximum(self._project - 1, 0)
        starts = (self._project == 0) & (self.rng.random(len(stage)) < p.project_start)
        self._project[starts] = self.rng.geometric(1.0 / p.project_weeks, int(starts.sum()))

    def _times(self, sessions: Array, week: int) -> tuple[Array, Array]:
        """Return member and microsecond (from the start of the log) of each action of the visits."""
        p, rng = self.parameters, self.rng
        day = np.searchsorted(self._days, rng.random(len(sessions)), side="right")
        hour = np.clip(13.5 + 3.8 * rng.standard_normal(len(sessions)), 0.0, 23.9)
        opened = week * WEEK_US + ((day * 24 + hour) * 3_600_000_000).astype(np.int64)
        length = rng.geometric(1.0 / p.session_events, len(sessions))
        visit = np.repeat(np.arange(len(sessions)), length)
        gaps = np.cumsum((rng.exponential(p.session_gap_s, len(visit)) * 1e6).astype(np.int64) + 1_000_000)
        begins = np.cumsum(length) - length
        time = opened[visit] + gaps - gaps[begins][visit]
        member = sessions[visit]
        keep = (time < (week + 1) * WEEK_US) & (time >= self.world.joined[member] * WEEK_US)
        return member[keep], time[keep]

    def _actions(self, member: Array, stage: Array, customer: Array, week: int) -> tuple[Array, Array]:
        """Return the action of each event, and whether the buying stage drove it."""
        w, p, rng = self.world, self.parameters, self.rng
        profile = w.trait[member].astype(np.int64)
        profile[customer[w.account[member]] & (profile != TALKATIVE)] = CUSTOMER
        profile[rng.random(len(member)) < self._talk[member]] = TALKATIVE
        profile[(self._project[member] > 0) & (rng.random(len(member)) < p.project_weight)] = _PROJECT
        driven = rng.random(len(member)) < np.asarray(p.stage_weight)[stage[member]]
        of_stage = _FIRST_STAGE - 1 + stage[member]
        quiet = (w.trait[member] == QUIET) & (stage[member] >= INTEREST)
        profile = np.where(driven, np.where(quiet, _QUIET_BUYING, of_stage), profile)
        mixes = self._mixes * np.exp(np.asarray(p.action_drift) * (week / self.weeks - 0.5))
        cumulative = np.cumsum(mixes / mixes.sum(axis=1, keepdims=True), axis=1)[:, :-1]
        action = (cumulative[profile] <= rng.random(len(member))[:, None]).sum(axis=1)
        return action.astype(np.int64), driven

    def _tags(self, member: Array, action: Array, buying: Array, stage: Array, week: int) -> Array:
        """Return up to three tag codes per event, -1 where there is none; codes go early, late, topics."""
        p, rng = self.parameters, self.rng
        early, late, size = len(p.early_tags), len(p.late_tags), (len(member), _TAG_SLOTS)
        topic = np.where(
            rng.random(size) < 0.5,
            self._favourite[member[:, None], rng.integers(4, size=size)],
            rng.choice(len(p.topic_tags), size, p=self._topic),
        )
        if week in self._launch:
            topic[rng.random(size) < p.launch_tag] = 0
        is_late = rng.random(size) < np.asarray(p.late_tag)[stage][:, None]
        for_buyers = np.where(is_late, early + rng.integers(late, size=size), rng.integers(early, size=size))
        tags = np.where(rng.random(size) < buying[:, None], for_buyers, topic + early + late)
        number = (1 + rng.binomial(_TAG_SLOTS - 1, 0.25, len(member))) * np.isin(action, _TAGGED)
        tags[np.arange(_TAG_SLOTS) >= number[:, None]] = -1
        tags[:, 1][tags[:, 1] == tags[:, 0]] = -1
        tags[:, 2][(tags[:, 2] == tags[:, 0]) | (tags[:, 2] == tags[:, 1])] = -1
        return tags.astype(np.int8)

    def _groups(self, member: Array, action: Array) -> Array:
        p, rng = self.parameters, self.rng
        joins = action == CODE["join_group"]
        in_group = np.isin(action, [CODE["post"], CODE["question"], CODE["comment"]])
        group = np.where(in_group & (rng.random(len(member)) < p.group_share), self._home[member], -1)
        group[joins] = rng.choice(len(p.groups), int(joins.sum()), p=_zipf(len(p.groups)))
        return group.astype(np.int8)

    def _counterparts(self, events: Events, stage: Array, week: int) -> None:
        """Fill in who is on the other side, with role and function as of this week, and the thread of posts and replies."""
        w, p, rng = self.world, self.parameters, self.rng
        member, action = events["member"], events["action"]
        here = np.flatnonzero(w.joined < week)
        other = np.full(len(member), -1, np.int64)
        domain = np.full(len(member), -1, np.int64)

        replies = np.isin(action, _REPLIES)
        if len(self._writers):
            thread = rng.integers(len(self._writers), size=int(replies.sum()))
            other[replies], events["content"][replies] = self._writers[thread], self._threads[thread]
        refers = action == CODE["refer"]
        other[refers] = _pick(here, int(refers.sum()), rng)

        connects = np.flatnonzero(action == CODE["connect"])
        draw = rng.random(len(connects))
        customer = np.asarray(p.connect_customer)[stage[connects]]
        employee = customer + np.asarray(p.connect_employee)[stage[connects]]
        everyone = _pick(here, len(connects), rng)
        customers = _pick(here[self.role[here] == CUSTOMER_ROLE], len(connects), rng)
        employees = _pick(here[self.role[here] == EMPLOYEE_ROLE], len(connects), rng)
        other[connects] = np.where(draw < customer, customers, np.where(draw < employee, employees, everyone))

        inward = rng.random(len(member)) < np.asarray(p.own_domain)[stage]
        sends = action == CODE["forward"]
        account = w.account[member]
        colleague = w.first[account] + (rng.random(len(member)) * w.size[account]).astype(np.int64)
        known = sends & inward & (w.joined[colleague] < week)
        other[known] = colleague[known]
        outside = (sends & ~known) | (action == CODE["invite"])
        stranger = rng.integers(len(w.size), size=len(member))
        own = np.where(w.private[member], -1, account)
        domain[outside] = np.where(inward, own, stranger)[outside]

        other[other == member] = -1
        met = other >= 0
        domain[met] = np.where(w.private[other[met]], -1, w.account[other[met]])
        events["other"] = other
        events["other_domain"] = domain
        events["other_role"] = np.where(met, self.role[other], -1).astype(np.int8)
        events["other_job"] = np.where(met, self.job[other], -1).astype(np.int8)
        wrote = np.flatnonzero(np.isin(action, [CODE["question"], CODE["post"]]))
        events["content"][wrote] = self.content.threads(events["time"][wrote])
        if len(wrote):
            self._writers, self._threads = member[wrote], events["content"][wrote]

    def _profile_updates(self, events: Events, week: int) -> Array:
        """Fill in the field; job functions change from next week on, for the members who are returned."""
        p, rng = self.parameters, self.rng
        updates = events["action"] == CODE["profile_update"]
        field = np.full(len(updates), -1, np.int64)
        field[updates] = rng.integers(len(PROFILE_FIELDS), size=int(updates.sum()))
        changed = np.flatnonzero((rng.random(len(self.job)) < p.job_change_rate) & (self.world.joined < week))
        self.job[changed] = (self.job[changed] + rng.integers(1, len(JOB_FUNCTIONS), len(changed))) % len(
            JOB_FUNCTIONS
        )
        events["field"] = field.astype(np.int8)
        return changed


def buying_group_questions(events: Events, world: World) -> Array:
    """Return the positions of questions asked by members of a buying group."""
    return np.flatnonzero((events["action"] == CODE["question"]) & world.in_group[events["member"]])


def _zipf(count: int, exponent: float = 0.9) -> Array:
    weights = np.arange(1, count + 1) ** -exponent
    return np.asarray(weights / weights.sum())


def _pick(pool: Array, count: int, rng: np.random.Generator) -> Array:
    """Draw `count` members from a pool, -1 where it is empty."""
    if not len(pool):
        return np.full(count, -1, np.int64)
    return np.asarray(pool[rng.integers(len(pool), size=count)])
