"""Gauss-Legendre quadrature on [0, 1], by Newton's method: NumPy's asks LAPACK, and costs an import of all its polynomials."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

_STEPS: Final = 10  # from the first guess, four or five are enough


@lru_cache(maxsize=64)
def gauss_legendre(n: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return n nodes in increasing order and their weights: exact for polynomials of degree below 2 n.

    References
    ----------
    Abramowitz and Stegun, Handbook of Mathematical Functions, 25.4.29 and 22.16.6.
    """
    nodes, weights = [0.5] * n, [0.0] * n
    for i in range((n + 1) // 2):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(_STEPS):
            value, slope = _legendre(n, x)
            step = value / slope
            x -= step
            if abs(step) < 1e-15:
                break
        if 2 * i + 1 == n:
            x = 0.0
        slope = _legendre(n, x)[1]
        nodes[i], nodes[n - 1 - i] = (1.0 - x) / 2.0, (1.0 + x) / 2.0
        weights[i] = weights[n - 1 - i] = 1.0 / ((1.0 - x * x) * slope * slope)
    return tuple(nodes), tuple(weights)


def _legendre(n: int, x: float) -> tuple[float, float]:
    """Return the Legendre polynomial of degree n and its derivative, |x| < 1."""
    before, value = 0.0, 1.0
    for k in range(1, n + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, n * (x * value - before) / (x * x - 1.0)
