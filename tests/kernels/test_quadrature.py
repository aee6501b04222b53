"""Gauss-Legendre nodes and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leadlight.kernels.quadrature import gauss_legendre


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 16, 31, 32, 64])
def test_nodes_and_weights_are_numpys(n):
    nodes, weights = gauss_legendre(n)
    theirs = np.polynomial.legendre.leggauss(n)
    np.testing.assert_allclose(nodes, (theirs[0] + 1) / 2, rtol=0, atol=2e-15)
    np.testing.assert_allclose(weights, theirs[1] / 2, rtol=0, atol=2e-15)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 32])
def test_polynomials_below_degree_two_n_are_exact(n):
    nodes, weights = gauss_legendre(n)
    for degree in range(2 * n):
        found = math.fsum(w * x**degree for x, w in zip(nodes, weights, strict=True))
        assert found == pytest.approx(1 / (degree + 1), rel=1e-13)


def test_nodes_rise_inside_the_interval_and_mirror_each_other():
    nodes, weights = gauss_legendre(33)
    assert list(nodes) == sorted(nodes)
    assert all(0 < x < 1 for x in nodes)
    assert nodes[16] == 0.5
    assert weights == weights[::-1]
