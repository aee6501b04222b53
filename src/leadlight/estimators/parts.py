"""Out of fold: which number of trees, which strength of the ridge and which mixture of the parts lose least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.linear import sigmoid

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
Weights = tuple[float, float, float, float]

STRENGTHS = (0.0005, 0.002, 0.01, 0.05, 0.2, 1.0)
"""Inverse strengths of the ridge that are compared."""

PRIOR = (0.25, 0.25, 0.2, 0.3)
"""Weights of plain trees, extra trees, stumps and ridge before anything was measured."""

WITHOUT_STUMPS = (0.35, 0.35, 0.0, 0.3)
"""The same, where there are no stumps."""

PULL = 3.0
"""What the weights have to gain before they leave the prior, in nats: times the chi-square distance of the two."""

_STEPS = (0.2, 0.05)
_MOST_STEPS, _CLOSE = 30, 1e-7


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


def ranking_loss(margin: Values, y: Values, weight: Values, block: Codes) -> float:
    """Return the weighted mean loss of margins to which each block adds the intercept that suits it best.

    The level of a period moves, and calibration repairs that: what counts is who stands above whom within it.

    Parameters
    ----------
    margin, y, weight : float64 arrays of shape (n,)
    block : int64 array of shape (n,)
        Each holds both classes.
    """
    level = np.zeros(int(block.max()) + 1)
    for _ in range(_MOST_STEPS):
        p = sigmoid(margin + level[block])
        gradient = np.bincount(block, weight * (y - p), len(level))
        curvature = np.bincount(block, weight * p * (1 - p), len(level))
        # Steps are held, for far from the level the curvature says that it lies beyond all bounds.
        step = np.clip(gradient / np.maximum(curvature, 1e-300), -2.0, 2.0)
        level += step
        if np.abs(step).max() < _CLOSE:
            break
    return log_loss(margin + level[block], y, weight)


def best_weights(
    margins: Sequence[Values | None], y: Values, weight: Values, worth: float, block: Codes | None = None
) -> Weights:
    """Return the weights of the parts that lose least, pulled to the prior: a flat loss leaves them there.

    Parameters
    ----------
    margins : four float64 arrays of shape (n,) or None
        Of plain trees, extra trees, stumps and ridge; None for a part that is not there; its weight is 0.
    y, weight : float64 arrays of shape (n,)
    worth : float
        Won accounts for each unit of positive weight: rows of one account say the same again.
    block : int64 array of shape (n,), optional
        Later periods, each judged by fits that saw earlier ones alone: there the ranking within each counts.
    """
    there = [margin is not None for margin in margins]
    known = np.stack([np.zeros(len(y)) if margin is None else margin for margin in margins])
    prior = np.array(prior_weights(there))
    evidence, scale = worth * float(weight.sum()), np.where(prior > 0, prior, 1.0)

    def loss(weights: Values) -> float:
        margin = weights @ known
        lost = log_loss(margin, y, weight) if block is None else ranking_loss(margin, y, weight, block)
        return evidence * lost + PULL * float(np.sum((weights - prior) ** 2 / scale))

    plain, extra, stumps, ridge = _descend(loss, prior, there).tolist()
    return plain, extra, stumps, ridge


def mixed(margins: Sequence[Values | None], weights: Weights) -> Values:
    """Return the weighted sum of the parts that are there."""
    there = [weight * part for weight, part in zip(weights, margins, strict=True) if part is not None]
    return np.asarray(sum(there), float)


def _descend(loss: Callable[[Values], float], start: Values, there: Sequence[bool]) -> Values:
    """Move weight from one part to another, a step at a time, as long as that loses less.

    The loss is convex in the weights, so that the way down ends near the least.
    """
    best, parts = start, [k for k, present in enumerate(there) if present]
    least = loss(best)
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
                found = loss(trial)
                # A gain that rounding could have made is none.
                if found < least * (1 - 1e-12):
                    best, least, moved = trial, found, True
    return best


def prior_weights(there: Sequence[bool]) -> Weights:
    """Return the weights before anything was measured, of the parts that are there."""
    prior = np.array(PRIOR if there[2] else WITHOUT_STUMPS) * np.asarray(there)
    plain, extra, stumps, ridge = (prior / prior.sum()).tolist()
    return plain, extra, stumps, ridge
