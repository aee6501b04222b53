"""What would bring a member over the line: future actions tried one behaviour at a time, within what its like do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.explain.evidence import said
from leadlight.features.batch import some_of
from leadlight.kernels.linear import sigmoid
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.stream import Stream
from leadlight.kernels.sweep import sweep
from leadlight.moments import Duration, duration_us
from leadlight.observations import Observations
from leadlight.plan import Key, Plan
from leadlight.runtime import Scorer

Codes = NDArray[np.int64]

ALIKE: Final = 200
"""Members with the nearest number of actions, whose habits bound what is tried."""

ENOUGH: Final = 10
"""So many of them must have done it: a habit of fewer would tell of one of them."""

USUAL: Final = 0.9
"""Nothing is tried beyond this quantile of those who did it."""

STEPS: Final = 5
"""Numbers of times that are tried, from once to what is usual."""

NOTE: Final = (
    "A ranking, not a promise: what the model would say if the member did this beside all it does already. It has seen who bought, "
    "not why; doing it to raise a score may raise nothing but the score."
)

_ATTRIBUTES: Final = {"group": "group", "role": "role", "job_function": "job_function", "field": "field_code"}
_STILL: Final = ("tenure", "peers")
"""Operations that no action of the member moves."""


@dataclass(frozen=True)
class OverTheLine:
    """What `over_the_line` found. A ranking, not a promise.

    Attributes
    ----------
    member_id : member id
    at, until : Timestamp
        The cutoff, and the moment for which everything below is computed: `at` and the time that the member was given.
    probability : float
        At the cutoff.
    going_on : float
        At `until`, if all goes on as in as long a time before the cutoff.
    threshold : float
        The line: who reaches it is qualified.
    frame : DataFrame
        One row per behaviour that helps, what reaches the line with the fewest actions first, then by probability:
        behaviour; action (in words; text of the log stands in it as it is; each action once, with a behaviour that names
        it where there is one); times; usual (the most that is usual among members of similar activity who do it, the 90th
        percentile); probability (at `until`); gain (percentage points above `going_on`); reaches (whether the line is
        reached).
    note : str
        What this is not.
    """

    member_id: Any
    at: pd.Timestamp
    until: pd.Timestamp
    probability: float
    going_on: float
    threshold: float
    frame: pd.DataFrame
    note: str = NOTE

    def to_pandas(self) -> pd.DataFrame:
        """Return a copy of the ranking."""
        return self.frame.copy()

    def __str__(self) -> str:
        lines = [
            f"{self.member_id}: {self.probability:.2%} now, {self.going_on:.2%} on {self.until:%Y-%m-%d} if all goes on as before; the "
            f"line is at {self.threshold:.2%}."
        ]
        for row in self.frame.itertuples():
            times = "once" if row.times == 1 else f"{row.times} times"
            reached = "over the line" if row.reaches else "not enough alone"
            lines.append(
                f"  {row.behaviour}: {row.action}, {times} (usual: up to {row.usual}) -> {row.probability:.2%}, {reached}"
            )
        if not len(self.frame):
            lines.append("  Nothing that members like this one do would raise the score.")
        return "\n".join([*lines, self.note])


def over_the_line(
    scorer: Scorer, community: Community, rows: Observations, member: Any, *, within: Duration = "30d"
) -> OverTheLine:
    """Try what a member could do next, one behaviour at a time, and rank it by what the model would then say.

    The member, those who answer it and its colleagues go on as before: what they did in as long a time before the cutoff
    happens once more after it. To this, actions are added, evenly spread over the time given, and all features are computed
    anew at its end. So every window, recency and trend moves as it would; the past and fixed facts stay, and tenure grows as
    it does for everybody. The actions are those of the member's own that the plan counts. Each is tried up to the 90th
    percentile of how often members of similar activity do it in as long a time, counting those who do it at all; what fewer
    than 10 of 200 do is not tried.

    Parameters
    ----------
    scorer : Scorer
    community : Community
    rows : Observations
        The population at one cutoff, the member in it: `population_at`.
    member : member id
    within : duration
        How long the member has.

    Returns
    -------
    OverTheLine
        A ranking, not a promise.

    Raises
    ------
    InputError
        If the member is not in the population, is over the line already, or there is no line.
    """
    span = duration_us(within, name="within")
    threshold = float(scorer.model.threshold)
    if scorer.model.trees is None and scorer.model.linear is None:
        raise InputError(
            "There is no probability to raise: no deal has been won, so hand-set points rank the members."
        )
    if np.isnan(threshold):
        raise InputError("There is no line: the decision qualifies nobody, however likely a deal is.")
    place = np.flatnonzero((rows.frame["member_id"] == member).to_numpy(bool))
    if not len(place):
        raise InputError(f"Member {member!r} is not in the population at that time.")
    at_us = int(rows.cutoff_us[place[0]])
    code = int(community.codes([member])[0])
    trial = _Trial.of(scorer, community, code, at_us, span)
    now = trial.probability(None, at_us)
    if now >= threshold:
        raise InputError(
            f"Member {member!r} is over the line already: {now:.2%}, and the line is at {threshold:.2%}."
        )
    habits = _Habits.of(community, scorer.plan, rows, code, at_us, span)
    found = [_best(trial, name, list(habits.choices(name)), threshold) for name in habits.behaviours]
    going_on = trial.probability(None, at_us + span)
    frame = pd.DataFrame(
        [row for row in found if row is not None and row["probability"] > going_on],
        columns=["behaviour", "action", "times", "usual", "named", "probability", "reaches"],
    )
    # What is a visit to one behaviour has a name of its own with another.
    frame = frame.sort_values("named", ascending=False, kind="stable").drop_duplicates("action")
    frame["gain"] = 100.0 * (frame["probability"].astype(float) - going_on)
    enough = np.where(frame["reaches"].astype(bool), frame["times"].astype(float), np.inf)
    order = np.lexsort((-frame["probability"].to_numpy(float), enough))
    frame = frame.iloc[order].reset_index(drop=True)
    frame = frame[["behaviour", "action", "times", "usual", "probability", "gain", "reaches"]]
    return OverTheLine(member, _stamp(at_us), _stamp(at_us + span), now, going_on, threshold, frame)


def _stamp(us: int) -> pd.Timestamp:
    return pd.Timestamp(us, unit="us", tz="UTC")


@dataclass(frozen=True)
class _Choice:
    """An action that may be tried, how often at most, and whether the behaviour itself names the action."""

    key: Key
    usual: int
    named: bool


def _best(trial: _Trial, behaviour: str, choices: list[_Choice], threshold: float) -> dict[str, Any] | None:
    """Return what reaches the line with the fewest actions, or comes nearest; None without anything to try."""
    best: tuple[tuple[bool, float, float], dict[str, Any]] | None = None
    for choice in choices:
        for times in np.unique(np.linspace(1, choice.usual, STEPS).astype(int)).tolist():
            p = trial.probability((choice.key, times), trial.until_us)
            reaches = p >= threshold
            rank = (reaches, -float(times) if reaches else 0.0, p)
            if best is None or rank > best[0]:
                row = {
                    "behaviour": behaviour,
                    "action": _words(choice.key),
                    "times": times,
                    "usual": choice.usual,
                    "named": choice.named,
                }
                best = rank, row | {"probability": p, "reaches": reaches}
            if reaches:
                break
    return None if best is None else best[1]


def _words(key: Key) -> str:
    tags = (str(key.value),) if key.attribute == "tag" else ()
    group = key.value if key.attribute == "group" else None
    role = key.value if key.attribute == "role" else None
    text = said(str(key.action), tags, group, "given", role, float("nan"))
    if key.attribute == "job_function":
        text += f", with people in {key.value}"
    if key.attribute == "same_domain":
        text += ", within the own company"
    return text if key.attribute != "field" else f"{text}: {key.value}"


class _Habits:
    """What members of similar activity did in the time before the cutoff."""

    def __init__(self, plan: Plan, log: EncodedLog) -> None:
        self.plan, self.log = plan, log
        self.stream = Stream.of_rows(
            log, np.asarray(log.actor, np.int64), np.arange(len(log), dtype=np.int64)
        )
        self.behaviours = [b.name for b in plan.behaviours]

    @classmethod
    def of(
        cls, community: Community, plan: Plan, rows: Observations, code: int, at_us: int, span: int
    ) -> _Habits:
        log = community.log
        visible = log.time if log.visible_from is None else log.visible_from
        recent = np.flatnonzero((visible < at_us) & (log.time >= at_us - span) & (log.actor >= 0))
        actions = np.bincount(log.actor[recent], minlength=len(community.members))
        people = community.codes(rows.frame["member_id"])
        people = people[people != code]
        order = np.lexsort((people, np.abs(np.log1p(actions[people]) - np.log1p(actions[code]))))
        alike = np.zeros(len(community.members), bool)
        alike[people[order[:ALIKE]]] = True
        return cls(plan, some_of(log, recent[alike[log.actor[recent]]]))

    def choices(self, behaviour: str) -> Iterator[_Choice]:
        """Yield the actions that move a behaviour's columns and are usual."""
        columns = {c.name: c for c in self.plan.columns}
        (names,) = (b.columns for b in self.plan.behaviours if b.name == behaviour)
        keys: dict[Key, None] = {}
        for column in (columns[name] for name in names):
            if column.operation in _STILL:
                continue
            numbers = column.keys[: column.split] if column.operation == "ratio" else column.keys
            keys |= {self.plan.keys[k]: None for k in numbers if self.plan.keys[k].side == "given"}
            if not column.keys:
                keys[Key()] = None
        tried: set[Key] = set()
        for key in keys:
            concrete = self._concrete(key)
            if concrete is None or concrete in tried:
                continue
            tried.add(concrete)
            usual = self._usual(concrete)
            if usual:
                most = 1 if key.attribute == "field" else usual
                yield _Choice(concrete, most, key.action is not None or key.attribute is not None)

    def _concrete(self, key: Key) -> Key | None:
        """Return the key with the action that most often meets it, where it names none."""
        if key.action is not None:
            return key
        mask = self.stream.mask(key)
        if mask is None or not mask.any():
            return None
        actions = np.asarray(self.log.action, np.int64)[self.stream.row[mask]]
        name = self.log.dictionaries["action"][int(np.bincount(actions).argmax())]
        return replace(key, action=name)

    def _usual(self, key: Key) -> int:
        mask = self.stream.mask(key)
        if mask is None:
            return 0
        _, times = np.unique(self.stream.entity[mask], return_counts=True)
        return int(np.quantile(times, USUAL, method="inverted_cdf")) if len(times) >= ENOUGH else 0


class _Trial:
    """One member's log with actions to come, scored at a time."""

    def __init__(self, scorer: Scorer, log: EncodedLog, code: int, at_us: int, until_us: int) -> None:
        self.scorer, self.log, self.code = scorer, log, code
        self.at_us, self.until_us = at_us, until_us
        again = np.flatnonzero(log.time >= at_us - (until_us - at_us))
        repeated = some_of(log, again)
        later = np.asarray(repeated.time, np.int64) + (until_us - at_us)
        visible = None if repeated.visible_from is None else later
        self.going_on = _joined(log, replace(repeated, time=later, visible_from=visible))
        self.account_of: Codes | None = None
        self.joined = np.full(1, np.iinfo(np.int64).min)

    @classmethod
    def of(cls, scorer: Scorer, community: Community, code: int, at_us: int, span: int) -> _Trial:
        log = community.log
        account_of = community.peer_account_at(at_us) if community.has_accounts else None
        near = np.zeros(len(community.members) + 1, bool)
        near[code] = True
        if account_of is not None and account_of[code] >= 0:
            near[:-1] |= account_of == account_of[code]
        wanted = near[log.actor] if log.other is None else near[log.actor] | (log.other == code)
        visible = log.time if log.visible_from is None else log.visible_from
        known = some_of(log, np.flatnonzero(wanted & (visible < at_us)))
        found = cls(scorer, known, code, at_us, at_us + span)
        found.account_of = account_of
        found.joined = community.members.joined_at(np.array([code]), np.array([at_us]))
        return found

    def probability(self, done: tuple[Key, int] | None, at_us: int) -> float:
        """Return the probability at a time if an action is done so many times until then, evenly spread."""
        # What has not happened by `at_us` is in the log and is not counted.
        log = self.going_on
        if done is not None:
            log = _joined(log, _done(log, self.code, *done, self.at_us, self.until_us))
        row = sweep(
            self.scorer.plan,
            log,
            np.array([self.code]),
            np.array([at_us]),
            account_of=self.account_of,
            joined=self.joined,
        )
        return float(sigmoid(self.scorer.model.log_odds(row.astype(np.float64)))[0])


def _done(log: EncodedLog, code: int, key: Key, times: int, after: int, until: int) -> EncodedLog:
    """Return a log of one action, so many times, evenly spread between two moments, with the columns of another."""
    moments = after + (np.arange(1, times + 1, dtype=np.int64) * (until - after)) // (times + 1)
    new: dict[str, Any] = {"actor": code, "action": log.code("action", str(key.action)), "filled": True}
    new |= {"duration_ms": 0, "same_domain": key.attribute == "same_domain"}
    if key.attribute in _ATTRIBUTES:
        new[_ATTRIBUTES[key.attribute]] = log.code(key.attribute, str(key.value))
    taken: dict[str, Any] = {}
    for one in fields(log):
        old = getattr(log, one.name)
        if isinstance(old, np.ndarray) and not one.name.startswith("tag_"):
            values = (
                moments if one.name in ("time", "visible_from") else np.full(times, new.get(one.name, -1))
            )
            taken[one.name] = values.astype(old.dtype)
    if log.tag_offsets is not None and log.tag_codes is not None:
        each = int(key.attribute == "tag")
        taken["tag_codes"] = np.full(times * each, log.code("tag", str(key.value)), log.tag_codes.dtype)
        taken["tag_offsets"] = each * np.arange(times + 1, dtype=np.int64)
    return replace(log, **taken)


def _joined(first: EncodedLog, second: EncodedLog) -> EncodedLog:
    """Return the rows of two logs that have the same columns and dictionaries."""
    taken: dict[str, Any] = {}
    for one in fields(first):
        old, more = getattr(first, one.name), getattr(second, one.name)
        if one.name == "tag_offsets" and old is not None:
            taken[one.name] = np.concatenate([old, old[-1] + more[1:]])
        elif isinstance(old, np.ndarray):
            taken[one.name] = np.concatenate([old, more])
    return replace(first, **taken)
