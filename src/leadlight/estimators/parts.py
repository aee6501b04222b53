"""Out of fold: which number of trees, which strength of the ridge and which mixture of the parts lose least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = tuple[float, float, float, float]

STRENGTHS = (0.0005, 0.002, 0.01, 0.05, 0.2, 1.0)
"""Inverse strengths of the ridge that are compared."""

PRIOR = (0.25, 0.25, 0.2, 0.3)
"""Weights of plain trees, extra trees, stumps and ridge before anything was measured."""

WITHOUT_STUMPS = (0.35, 0.35, 0.0, 0.3)
"""The same, where there are no stumps."""

SHRINK = 100.0
"""Won accounts at which the weights follow what was measured as much as the prior."""

_STEPS = (0.2, 0.05)


@dataclass(frozen=True)
class Mixture:
    """What was chosen.

    Attributes
    ----------
    rounds : tuple of int
        Trees of each kind.
    strength : float
        Inverse strength of the ridge.
    weights : tuple of four floats
        Of plain trees, extra trees, stumps and ridge; they sum to one.
    """

    rounds: tuple[int, ...]
    strength: float
    weights: Weights


def log_loss(margin: Values, y: Values, weight: Values) -> float:
    """Return the weighted mean loss of margins."""
    return float(np.average(np.logaddexp(0.0, margin) - y * margin, weights=weight))


def best_rounds(
    grow: Callable[[int], Values], marks: Sequence[int], y: Values, weight: Values
) -> tuple[int, Values]:
    """Return the number of trees that loses least, with its margins; stops once more trees are worse.

    Parameters
    ----------
    grow : callable
        A number of trees -> out-of-fold margins of so many.
    marks : sequence of int
        Numbers of trees to compare, ascending.
    """
    rounds, margin, least = 0, np.zeros(len(y)), np.inf
    for mark in marks:
        found = grow(mark)
        loss = log_loss(found, y, weight)
        if loss >= least:
            break
        rounds, margin, least = mark, found.copy(), loss
    return rounds, margin


def best_weights(margins: Sequence[Values | None], y: Values, weight: Values, won: int) -> Weights:
    """Return the weights of the parts that lose least, shrunk to the prior where won accounts are few.

    Parameters
    ----------
    margins : four float64 arrays of shape (n,) or None
        Of plain trees, extra trees, stumps and ridge; None for a part that is not there; its weight is 0.
    y, weight : float64 arrays of shape (n,)
    won : int
        Won accounts.
    """
    there = [margin is not None for margin in margins]
    known = np.stack([np.zeros(len(y)) if margin is None else margin for margin in margins])
    prior = np.array(prior_weights(there))
    trust = won / (won + SHRINK)
    mixed = trust * _descend(known, prior, there, y, weight) + (1 - trust) * prior
    plain, extra, stumps, ridge = mixed.tolist()
    return plain, extra, stumps, ridge


def _descend(known: Values, start: Values, there: Sequence[bool], y: Values, weight: Values) -> Values:
    """Move weight from one part to another, a step at a time, as long as that loses less.

    The loss is convex in the weights, so that the way down ends near the least.
    """
    best, parts = start, [k for k, present in enumerate(there) if present]
    least = log_loss(best @ known, y, weight)
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for giver, taker in permutations(parts, 2):
                amount = min(step, float(best[giver]))
                if amount <= 0.0:
                    continue
                trial = best.copy()
                trial[giver] -= amount
                trial[taker] += amount
                loss = log_loss(trial @ known, y, weight)
                # A gain that rounding could have made is none.
                if loss < least - 1e-12:
                    best, least, moved = trial, loss, True
    return best


def prior_weights(there: Sequence[bool]) -> Weights:
    """Return the weights before anything was measured, of the parts that are there."""
    prior = np.array(PRIOR if there[2] else WITHOUT_STUMPS) * np.asarray(there)
    plain, extra, stumps, ridge = (prior / prior.sum()).tolist()
    return plain, extra, stumps, ridge
