"""The ridge's ascent ends at the maximum, whatever the columns, weights and bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from leadlight.estimators import ascent
from leadlight.estimators.ascent import Ascent
from leadlight.estimators.parts import STRENGTHS
from leadlight.kernels.linear import sigmoid


@pytest.fixture(autouse=True, name="one_thread")
def _one_thread():
    """As in a fit: on a busy machine threads of BLAS wait for each other longer than these systems need."""
    with threadpool_limits(1, "blas"):
        yield


def _rows(n, columns, seed=0, share=-1.0):
    rng = np.random.default_rng(seed)
    design = np.column_stack([rng.normal(size=(n, columns)), np.ones(n)])
    effect = rng.normal(size=columns) * (rng.random(columns) < 0.2)
    y = (rng.random(n) < sigmoid(design[:, :-1] @ effect + share)).astype(float)
    return design, y, rng.uniform(0.5, 2, n)


def _start(design, y, weight):
    start = np.zeros(design.shape[1])
    share = np.average(y, weights=weight)
    start[-1] = np.log(share / (1 - share))
    return start


def _path(design, y, weight, strengths=STRENGTHS, wanted=None):
    wanted = np.zeros(design.shape[1], np.int64) if wanted is None else wanted
    beta, found = _start(design, y, weight), []
    climbing = Ascent(design, y, weight, wanted)
    for strength in strengths:
        beta = climbing.climb(strength, beta)
        found.append(beta)
    return found


def _slope(design, y, weight, strength, beta):
    """Gradient of the penalised likelihood, for each unit of weight."""
    penalty = np.full(len(beta), 1 / strength)
    penalty[-1] = 0.0
    return (design.T @ (weight * (y - sigmoid(design @ beta))) - penalty * beta) / weight.sum()


def _newton(design, y, weight, strength):
    """Newton's method without any economy, to the last digit."""
    beta, penalty = _start(design, y, weight), np.full(design.shape[1], 1 / strength)
    penalty[-1] = 0.0

    def loss(b):
        s = design @ b
        return weight @ (np.logaddexp(0, s) - y * s) + 0.5 * penalty @ b**2

    for _ in range(30):
        p = sigmoid(design @ beta)
        gradient = design.T @ (weight * (y - p)) - penalty * beta
        step = np.linalg.solve((design.T * (weight * p * (1 - p))) @ design + np.diag(penalty), gradient)
        for _ in range(20):
            if loss(beta + step) <= loss(beta) * (1 + 1e-9):
                break
            step = step / 2
        beta = beta + step
    return beta


def _separated():
    design, _, weight = _rows(300, 40)
    return design, (design[:, 0] + design[:, 1] > 0.5).astype(float), weight


def _collinear():
    design, y, weight = _rows(500, 40)
    design[:, 20:40] = design[:, :20]
    return design, y, weight


def _far_apart():
    design, y, _ = _rows(800, 70)
    return design, y, 10.0 ** np.random.default_rng(3).uniform(-5, 3, 800)


def _skewed():
    design, y, weight = _rows(3_000, 140, share=-4.0)
    design[:, :-1] = np.expm1(np.abs(design[:, :-1]))
    return design, y, weight


TABLES = {
    "few columns": _rows(400, 5),
    "many columns": _rows(2_000, 150),
    "few rows": _rows(12, 3),
    "fewer rows than columns": _rows(60, 130),
    "separated": _separated(),
    "collinear": _collinear(),
    "weights far apart": _far_apart(),
    "rare and skewed": _skewed(),
}


@pytest.mark.parametrize("name", TABLES)
def test_it_ends_where_newtons_method_ends(name):
    design, y, weight = TABLES[name]
    for strength, found in zip(STRENGTHS, _path(design, y, weight), strict=True):
        expected = _newton(design, y, weight, strength)
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("name", TABLES)
def test_one_penalty_alone_ends_where_the_path_ends(name):
    design, y, weight = TABLES[name]
    along = _path(design, y, weight)[-1]
    alone = _path(design, y, weight, STRENGTHS[-1:])[0]
    np.testing.assert_allclose(alone, along, atol=2e-6 * np.abs(along).max(), rtol=0)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("bound", ["one", "many"])
def test_with_bounds_no_slope_points_inside(name, bound):
    design, y, weight = TABLES[name]
    wanted = np.zeros(design.shape[1], np.int64)
    # Against what the first column says, or at random.
    wanted[0] = -np.sign(_newton(design, y, weight, 0.2)[0])
    if bound == "many":
        wanted[:-1] = np.random.default_rng(1).choice([-1, 0, 1], len(wanted) - 1)
    for strength, beta in zip(STRENGTHS, _path(design, y, weight, wanted=wanted), strict=True):
        slope = _slope(design, y, weight, strength, beta)
        assert (beta * wanted >= 0).all()
        at = (beta == 0) & (wanted != 0)
        assert np.abs(slope[~at]).max() < 1e-6
        assert (slope[at] * wanted[at]).max(initial=-1.0) < 1e-6
        if bound == "one":
            assert beta[0] == 0


def test_bounds_end_where_scipy_ends():
    design, y, weight = _rows(600, 30, seed=4)
    wanted = np.append(np.random.default_rng(2).choice([-1, 0, 1], 30), 0)
    penalty = np.append(np.full(30, 5.0), 0.0)

    def loss(beta):
        s = design @ beta
        value = weight @ (np.logaddexp(0, s) - y * s) + 0.5 * penalty @ beta**2
        return value, -(design.T @ (weight * (y - sigmoid(s)))) + penalty * beta

    sides = [(0 if w > 0 else None, 0 if w < 0 else None) for w in wanted]
    expected = minimize(
        loss, np.zeros(31), jac=True, bounds=sides, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    ).x
    found = _path(design, y, weight, [0.2], wanted)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_wide_table_takes_second_derivatives_less_often_than_it_has_penalties(monkeypatch):
    design, y, weight = TABLES["many columns"]
    taken = []
    real = Ascent._second_derivatives
    monkeypatch.setattr(Ascent, "_second_derivatives", lambda self, p: taken.append(1) or real(self, p))
    monkeypatch.setattr(ascent, "COLUMNS_A_STEP", 8)
    _path(design, y, weight)
    assert len(taken) < len(STRENGTHS)


def test_the_same_rows_give_the_same_bits():
    first, second = (_path(*TABLES["many columns"])[-1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
