"""The maximum of a penalised logistic likelihood, for one penalty after another.

In a wide table the matrix of second derivatives costs as much as dozens of gradients. So one is kept while it serves: for several
steps and from penalty to penalty, corrected by what the last steps have shown of it (limited-memory BFGS). The penalised
likelihood is strictly concave: its maximum does not depend on the way there.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from leadlight.kernels.linear import sigmoid

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

ENOUGH: Final = 1e-16
"""It ends where a step promises no more than this for each unit of weight."""

MOST_STEPS: Final = 300
COLUMNS_A_STEP: Final = 32
"""Second derivatives are taken anew after a step for so many columns: they cost about as much as those steps."""

MEMORY: Final = 10
"""Last steps that correct the kept second derivatives."""

BLOCK_ROWS: Final = 1 << 13

_LEVEL, _MOST_LENGTHS = 0.1, 30


class Ascent:
    """Climbs to the maximum of the weighted log likelihood less half the penalised squares of the coefficients.

    Parameters
    ----------
    design : float64 array of shape (n, k)
        C order. The last column is 1; its coefficient has no penalty.
    y, weight : float64 arrays of shape (n,)
    wanted : int64 array of shape (k,)
        -1 or 1 for a coefficient that may not have the other sign, else 0.
    offset : float64 array of shape (n,), optional
        Log-odds that each row starts from.
    """

    def __init__(
        self,
        design: Values,
        y: Values,
        weight: Values,
        wanted: NDArray[np.int64],
        offset: Values | None = None,
    ) -> None:
        self._design, self._y, self._weight, self._wanted = design, y, weight, wanted
        self._offset = 0.0 if offset is None else offset
        self._bound = bool(wanted.any())
        self._least = ENOUGH * float(weight.sum())
        self._patience = max(1, design.shape[1] // COLUMNS_A_STEP)
        self._kept: Values | None = None
        self._age = 0

    def climb(self, strength: float, start: Values) -> Values:
        """Return the best coefficients, shape (k,).

        Parameters
        ----------
        strength : float
            Inverse strength of the penalty.
        start : float64 array of shape (k,)
            Within the bounds; the nearer the faster.
        """
        penalty = np.full(len(start), 1.0 / strength)
        penalty[-1] = 0.0
        beta, log_odds = start, self._design @ start + self._offset
        model = None if self._kept is None else _Model(self._kept, penalty)
        for _ in range(MOST_STEPS):
            p = sigmoid(log_odds)
            gradient = self._design.T @ (self._weight * (self._y - p)) - penalty * beta
            # A coefficient at its bound stays there while the slope points out of it.
            free = (self._wanted == 0) | (beta != 0.0) | (gradient * self._wanted > 0)
            if model is not None:
                model.learn(beta, gradient, free)
                step = model.step(gradient, free)
                if not gradient @ step > self._least:
                    break
            if model is None or self._age >= self._patience:
                self._kept, self._age = self._second_derivatives(p), 0
                model = _Model(self._kept, penalty)
                model.learn(beta, gradient, free)
                step = model.step(gradient, free)
            if self._bound:
                step = self._inside(beta, gradient, free, step, model)
            ahead = self._design @ step
            length = self._length(
                log_odds,
                ahead,
                float(gradient @ step),
                float(step @ (penalty * beta)),
                float(step @ (penalty * step)),
            )
            if length == 0.0:
                break
            beta, log_odds = beta + length * step, log_odds + length * ahead
            self._age += 1
        return beta

    def _inside(self, beta: Values, gradient: Values, free: Bools, step: Values, model: _Model) -> Values:
        """Return a step that climbs and, taken whole, leaves no bound."""
        # What stands at its bound and would leave it does not move: the others then climb on their own.
        while (out := (beta == 0.0) & (step * self._wanted < 0)).any():
            free = free & ~out
            step = model.step(gradient, free)
        beyond = (beta + step) * self._wanted < 0
        if not beyond.any():
            return step
        cut = np.where(beyond, -beta, step)
        # Several bounds at once; where that does not climb, the first one alone.
        if gradient @ cut >= _LEVEL * (gradient @ step):
            return cut
        shares = np.where(beyond, -beta / np.where(beyond, step, 1.0), np.inf)
        return np.where(shares == shares.min(), -beta, shares.min() * step)

    def _length(self, log_odds: Values, ahead: Values, slope: float, pull: float, bend: float) -> float:
        """Return how much of a step to take: so much that the slope along it has all but vanished.

        It is found by Newton's method, since one more length costs as much as one column. 0 where there is none.
        """
        most = 1.0 if self._bound else np.inf
        low, high, length = 0.0, most, 1.0
        for _ in range(_MOST_LENGTHS):
            p = sigmoid(log_odds + length * ahead)
            left = float(ahead @ (self._weight * (self._y - p))) - pull - length * bend
            if abs(left) <= _LEVEL * slope or (left > 0 and length == most):
                return length
            low, high = (length, high) if left > 0 else (low, length)
            curvature = float(ahead @ (self._weight * p * (1 - p) * ahead)) + bend
            length += left / max(curvature, 1e-300)
            if not low < length < high:
                length = (low + high) / 2 if high < np.inf else 2 * low
        return low

    def _second_derivatives(self, p: Values) -> Values:
        """Return those of the log likelihood, negated, shape (k, k)."""
        found: Values = np.zeros((self._design.shape[1], self._design.shape[1]))
        root = np.sqrt(self._weight * p * (1 - p))[:, None]
        # Block by block: a weighted copy of a large design would take as much memory as the design.
        for at in range(0, len(self._design), BLOCK_ROWS):
            rows = self._design[at : at + BLOCK_ROWS] * root[at : at + BLOCK_ROWS]
            # A matrix times its own transpose is half the work.
            found += rows.T @ rows
        return found


class _Model:
    """The second derivatives as they are known: kept ones with a penalty, corrected by steps and what these did to the gradient."""

    def __init__(self, kept: Values, penalty: Values) -> None:
        self._kept, self._penalty = kept, penalty
        self._free: Bools | None = None
        self._factor: Any = None
        self._pairs: deque[tuple[Values, Values, float]] = deque(maxlen=MEMORY)
        self._last: tuple[Values, Values] | None = None

    def learn(self, beta: Values, gradient: Values, free: Bools) -> None:
        """Take in the gradient where the last step led."""
        self._see(free)
        if self._last is not None:
            moved, fell = beta - self._last[0], (self._last[1] - gradient) * free
            bent = float(moved @ fell)
            if bent > 0.0:
                self._pairs.append((moved, fell, bent))
        self._last = beta, gradient

    def step(self, gradient: Values, free: Bools) -> Values:
        """Return the step to where the gradient of the free coefficients should vanish; the others stay."""
        self._see(free)
        rest, shares = gradient * free, list[float]()
        for moved, fell, bent in reversed(self._pairs):
            shares.append(float(moved @ rest) / bent)
            rest = rest - shares[-1] * fell
        step = np.zeros(len(gradient))
        step[free] = cho_solve(self._factor, rest[free], check_finite=False)
        for (moved, fell, bent), share in zip(self._pairs, reversed(shares), strict=True):
            step += (share - float(fell @ step) / bent) * moved
        return step

    def _see(self, free: Bools) -> None:
        if self._free is not None and np.array_equal(self._free, free):
            return
        # What was learned holds among the coefficients that moved then.
        self._free, self._last = free, None
        self._pairs.clear()
        matrix = self._kept[np.ix_(free, free)]
        here = np.diag_indices_from(matrix)
        matrix[here] += self._penalty[free] + 1e-9
        slack, self._factor = 1e-12 * float(matrix[here].max()), None
        while self._factor is None:
            try:
                self._factor = cho_factor(matrix, lower=True, check_finite=False)
            except LinAlgError:
                # Rounding, where columns repeat each other and hardly anything is penalised. What is not finite stays so.
                if not slack < np.inf:
                    raise
                matrix[here] += slack
                slack *= 10.0
