"""Hidden buying stages of accounts: how they move, and the exact chance of a purchase that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate.parameters import DECISION, EVALUATION, NONE, SETTLED, SimulationParameters

STATES = 6
Array = NDArray[Any]


@dataclass(frozen=True)
class StageLaw:
    """A discrete-time semi-Markov law: a chance to leave by weeks spent, and where to.

    Attributes
    ----------
    hazard : ndarray of shape (6, ages)
        Chance to leave a state at the end of a week, after `age` whole weeks in it. Constant rows are Markov.
    route : ndarray of shape (6, 6)
        Where a leaving account goes; decision to settled is the purchase.
    """

    hazard: Array
    route: Array


def stage_law(parameters: SimulationParameters, *, markov: bool) -> StageLaw:
    """Return the law of one account of intensity 1.

    Parameters
    ----------
    markov : bool
        True: geometric sojourns, no stage skipped. False: Weibull sojourns and skips, so that the
        weeks already spent in a stage tell when it ends.
    """
    ages = parameters.age_cap
    hazard = np.empty((STATES, ages))
    hazard[NONE] = parameters.need_rate
    for state, mean in zip(
        range(1, STATES), (*parameters.stage_weeks, parameters.settled_weeks), strict=True
    ):
        hazard[state] = 1.0 / mean if markov else _weibull_hazard(mean, parameters.sojourn_shape, ages)
    route = np.zeros((STATES, STATES))
    route[NONE, 1] = route[SETTLED, NONE] = 1.0
    for state, forward in enumerate(parameters.stage_forward, start=1):
        skip = 0.0 if markov or state + 2 > DECISION else parameters.stage_skip
        route[state, NONE] = 1.0 - forward
        route[state, state + 1] = forward * (1.0 - skip)
        if skip:
            route[state, state + 2] = forward * skip
    return StageLaw(hazard, route)


def _weibull_hazard(mean: float, shape: float, ages: int) -> Array:
    scale = mean / math.gamma(1.0 + 1.0 / shape)
    log_survival = -((np.arange(ages + 1) / scale) ** shape)
    return np.asarray(1.0 - np.exp(np.diff(log_survival)))


@dataclass
class Journeys:
    """What every account goes through, week by week, before sales has any say.

    Attributes
    ----------
    state, age : ndarray of shape (accounts, weeks)
        Hidden state during a week and whole weeks already spent in it.
    purchase : ndarray of bool of shape (accounts, weeks)
        The account takes its decision in this week and buys from somebody.
    moment : ndarray of shape (accounts, weeks)
        Where in the week, in [0, 1).
    luck : ndarray of shape (accounts, weeks)
        Uniform draw that settles whether the host would win the purchase: won if below the chance.
    run_start : ndarray of shape (accounts, weeks)
        First week of the unbroken run of evaluation and decision that holds this week, if one does.
    """

    state: Array
    age: Array
    purchase: Array
    moment: Array
    luck: Array
    run_start: Array


def walk_stages(
    law: StageLaw, multiplier: Array, weeks: int, parameters: SimulationParameters, rng: np.random.Generator
) -> Journeys:
    """Move all accounts through `weeks` weeks, after a burn-in that nobody sees.

    Parameters
    ----------
    multiplier : ndarray of shape (accounts,)
        Factor on the chance that need arises; 0 never buys.
    """
    count = len(multiplier)
    state, age = np.zeros(count, np.int8), np.zeros(count, np.int16)
    found = Journeys(
        state=np.zeros((count, weeks), np.int8),
        age=np.zeros((count, weeks), np.int16),
        purchase=np.zeros((count, weeks), np.bool_),
        moment=rng.random((count, weeks)),
        luck=rng.random((count, weeks)),
        run_start=np.zeros((count, weeks), np.int16),
    )
    cumulative = np.cumsum(law.route, axis=1)
    cumulative[:, -1] = 1.0  # a rounded sum below 1 must not send a draw past the last state
    for week in range(-parameters.burn_in_weeks, weeks):
        chance = law.hazard[state, age] * np.where(state == NONE, multiplier, 1.0)
        leaves = rng.random(count) < chance
        target = (cumulative[state] <= rng.random(count)[:, None]).sum(axis=1).astype(np.int8)
        if week >= 0:
            found.state[:, week], found.age[:, week] = state, age
            found.purchase[:, week] = leaves & (state == DECISION) & (target == SETTLED)
            in_run = (state == EVALUATION) | (state == DECISION)
            before = found.state[:, week - 1] if week else np.zeros(count, np.int8)
            goes_on = in_run & ((before == EVALUATION) | (before == DECISION))
            found.run_start[:, week] = np.where(goes_on, found.run_start[:, week - 1], week)
        state = np.where(leaves, target, state)
        age = np.where(leaves, 0, np.minimum(age + 1, parameters.age_cap - 1)).astype(np.int16)
    return found


def win_tables(law: StageLaw, intensity: Array, weeks: int, win: Array) -> Array:
    """Return the chance that an account buys from the host within 0..`weeks` weeks if it is approached.

    A backward recursion over weeks. Three cases: no approach has taken effect yet (it does as soon as the
    account is in evaluation or decision), or one took effect in evaluation, or in decision. An approach
    serves one run of these stages; after a dropout the next journey is approached anew.

    Parameters
    ----------
    intensity : ndarray of shape (classes,)
    win : ndarray of shape (5,)
        Chance to win by the stage in which the approach takes effect.

    Returns
    -------
    ndarray of shape (3, classes, weeks + 1, 6, ages)
        First axis: 0 approached now, 1 in effect since evaluation, 2 in effect since decision.
    """
    ages = law.hazard.shape[1]
    older = np.minimum(np.arange(ages) + 1, ages - 1)
    tables = np.zeros((3, len(intensity), weeks + 1, STATES, ages))
    onward = law.route.copy()
    onward[DECISION, SETTLED] = 0.0
    for kind, factor in enumerate(intensity):
        hazard = law.hazard.copy()
        hazard[NONE] = law.hazard[NONE] * factor
        for week in range(1, weeks + 1):
            fresh = tables[0, kind, week - 1]
            for case, effective in ((1, EVALUATION), (2, DECISION)):
                held = tables[case, kind, week - 1]
                entered = fresh[:, 0].copy()
                entered[[EVALUATION, DECISION]] = held[[EVALUATION, DECISION], 0]
                gain = onward @ entered
                gain[DECISION] += law.route[DECISION, SETTLED] * win[effective]
                tables[case, kind, week] = (1 - hazard) * held[:, older] + hazard * gain[:, None]
            step = (1 - hazard) * fresh[:, older] + hazard * (onward @ fresh[:, 0])[:, None]
            step[EVALUATION] = tables[1, kind, week, EVALUATION]
            step[DECISION] = tables[2, kind, week, DECISION]
            tables[0, kind, week] = step
    return tables
