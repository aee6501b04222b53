"""Out of fold: which number of trees, which strength of the ridge and which mixture of the parts lose least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

STRENGTHS = (0.002, 0.005, 0.02, 0.1, 0.5)
"""Inverse strengths of the ridge that are compared."""

PRIOR = (0.35, 0.35, 0.3)
"""Weights of plain trees, extra trees and ridge before anything was measured."""

SHRINK = 100.0
"""Won accounts at which the weights follow what was measured as much as the prior."""

_STEPS = 10


@dataclass(frozen=True)
class Mixture:
    """What was chosen.

    Attributes
    ----------
    rounds : tuple of int
        Trees of each kind.
    strength : float
        Inverse strength of the ridge.
    weights : tuple of three floats
        Of plain trees, extra trees and ridge; they sum to one.
    """

    rounds: tuple[int, ...]
    strength: float
    weights: tuple[float, float, float]


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


def best_weights(
    margins: Sequence[Values | None], y: Values, weight: Values, won: int
) -> tuple[float, float, float]:
    """Return weights of plain trees, extra trees and ridge that lose least, shrunk to the prior where won accounts are few.

    Parameters
    ----------
    margins : three float64 arrays of shape (n,) or None
        None for a part that is not there; its weight is 0.
    y, weight : float64 arrays of shape (n,)
    won : int
        Won accounts.
    """
    there = [margin is not None for margin in margins]
    known = [np.zeros(len(y)) if margin is None else margin for margin in margins]
    prior = np.array(prior_weights(there))
    grid = [
        np.array([a, b, _STEPS - a - b]) / _STEPS
        for a in range(_STEPS + 1)
        for b in range(_STEPS + 1 - a)
        if (there[0] or not a) and (there[1] or not b) and (there[2] or a + b == _STEPS)
    ]
    losses = [log_loss(w[0] * known[0] + w[1] * known[1] + w[2] * known[2], y, weight) for w in grid]
    trust = won / (won + SHRINK)
    first, second, third = (trust * grid[int(np.argmin(losses))] + (1 - trust) * prior).tolist()
    return first, second, third


def prior_weights(there: Sequence[bool]) -> tuple[float, float, float]:
    """Return the weights before anything was measured, of the parts that are there."""
    prior = np.array(PRIOR) * np.asarray(there)
    first, second, third = (prior / prior.sum()).tolist()
    return first, second, third
