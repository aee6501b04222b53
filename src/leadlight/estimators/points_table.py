"""The learned points table: a few simple rules with whole points, to paste into a CRM."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from leadlight.errors import InputError, SchemaError
from leadlight.estimators.points import PointsScorer
from leadlight.estimators.simple_rules import SimpleRule, simple_rules
from leadlight.kernels.linear import sigmoid
from leadlight.plan import Plan

Values = NDArray[np.float64]

TOTAL: Final = 100
"""Points of a member who meets every rule, up to rounding."""

FEWEST_MEMBERS: Final = 20
"""A rule that fewer members meet could name somebody."""

PENALTY: Final = 1.0
MOST_OF_A_BEHAVIOUR: Final = 2
CANDIDATES: Final = 100
"""Rules that are fitted together; beyond them one alone tells too little to be worth the time."""


@dataclass(frozen=True)
class PointsTable:
    """Rules, and what each is worth.

    Attributes
    ----------
    rules : tuple of SimpleRule
    points : tuple of int
        At least 1 each. Points add up: a member has the sum of the rules that it meets.
    frame : DataFrame
        One row per rule, the most points first: behaviour, rule (in words), points, hand_set (what the hand-set points
        give for the behaviour, on average, to those who meet the rule; NaN without any), members (share of the training
        rows that meet it), deals (share of those with a deal that do), column, at_least, at_most.
    """

    rules: tuple[SimpleRule, ...]
    points: tuple[int, ...]
    frame: pd.DataFrame

    def points_for(self, X: pd.DataFrame) -> Values:
        """Return the points of feature rows, shape (n,).

        Raises
        ------
        SchemaError
            If a column of a rule is missing.
        """
        lacking = [rule.column for rule in self.rules if rule.column not in X.columns]
        if lacking:
            raise SchemaError(
                f"The rows lack {lacking[:3]}; build them with the plan that the table was learned with."
            )
        total = np.zeros(len(X))
        for rule, points in zip(self.rules, self.points, strict=True):
            total += points * rule.met(X[rule.column].to_numpy(float))
        return total

    def to_pandas(self) -> pd.DataFrame:
        """Return a copy of the table."""
        return self.frame.copy()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per rule; text that a spreadsheet would run as a formula is quoted."""
        Path(path).write_text(self.csv_text(), encoding="utf-8", newline="\n")

    def csv_text(self) -> str:
        """Return what `to_csv` writes."""
        file = io.StringIO(newline="")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.frame.columns)
        for row in self.frame.itertuples(index=False):
            writer.writerow([_cell(value) for value in row])
        return file.getvalue()

    def __len__(self) -> int:
        return len(self.rules)

    def __str__(self) -> str:
        lines = [f"{points:+4d}  {rule.text}" for rule, points in zip(self.rules, self.points, strict=True)]
        return "\n".join(lines)


def learn_points(plan: Plan, X: pd.DataFrame, y: Values, weight: Values, *, most: int = 12) -> PointsTable:
    """Learn a points table: a ridge logistic regression with coefficients of at least zero on simple rules.

    Every rule that the plan's sentences can say is a column of zeros and ones. The rules that separate most (coefficient
    times spread) are kept, two of a behaviour at most, fitted again and scaled so that all of them together are worth 100
    points; each is then rounded, and dropped if nothing is left. Nothing speaks against a member: few CRMs subtract.

    Parameters
    ----------
    plan : Plan
    X : DataFrame of shape (n, columns)
        Training features. Where the index names member_id, a rule is met by 20 members, else by 20 rows, or it is none.
    y, weight : float64 arrays of shape (n,)
    most : int
        Rules.

    Raises
    ------
    InputError
        If `most` is below 1, labels are all alike, or no rule speaks for a deal.
    """
    if isinstance(most, bool) or most < 1:
        raise InputError(f"most is {most!r}; ask for at least one rule.")
    used = np.asarray(weight, float) > 0
    target = np.asarray(y, float)[used]
    if not 0 < target.sum() < len(target):
        raise InputError("The labels are all alike: there are no points to learn. Set them by hand.")
    values, share = X.to_numpy(np.float64)[used], np.asarray(weight, float)[used]
    rules = simple_rules(plan, values, np.ones(len(values), bool))
    rules, met = _telling(rules, plan, values, _members(X[used]))
    if not rules:
        raise InputError("The plan's sentences make no simple rule that some members meet and others do not.")
    near = _nearest(met, target, share)
    rules, met = [rules[i] for i in near], met[:, near]
    kept = _strongest(rules, _fit(met, target, share) * met.std(axis=0), most)
    coef = _fit(met[:, kept], target, share)
    size = float(coef.sum())
    points = np.rint(TOTAL * coef / size).astype(int) if size > 0 else np.zeros(len(kept), int)
    order = [i for i in np.argsort(-points, kind="stable") if points[i] > 0]
    if not order:
        raise InputError(
            "No simple rule speaks for a deal; there are too few deals, or behaviour tells nothing."
        )
    chosen = tuple(rules[kept[i]] for i in order)
    worth = tuple(int(points[i]) for i in order)
    met = met[:, [kept[i] for i in order]]
    frame = _frame(chosen, worth, met, target, share, _by_hand(plan, X[used]))
    return PointsTable(chosen, worth, frame)


def _members(X: pd.DataFrame) -> NDArray[np.intp]:
    """Return a number for the member of each row."""
    if "member_id" not in X.index.names:
        return np.arange(len(X))
    return np.asarray(pd.factorize(X.index.get_level_values("member_id"))[0])


def _telling(
    rules: list[SimpleRule], plan: Plan, values: Values, members: NDArray[np.intp]
) -> tuple[list[SimpleRule], Values]:
    """Keep rules that enough rows meet and enough do not, one of those that the same rows meet; the shortest window first."""
    place = {name: j for j, name in enumerate(plan.column_names)}
    met = [rule.met(values[:, place[rule.column]]) for rule in rules]
    fewest = max(FEWEST_MEMBERS, len(values) // 1000)
    kept: dict[bytes, int] = {}
    for i, rows in enumerate(met):
        if not fewest <= rows.sum() <= len(rows) - fewest:
            continue
        # One member has many rows.
        if np.count_nonzero(np.bincount(members[rows])) >= FEWEST_MEMBERS:
            kept.setdefault(np.packbits(rows).tobytes(), i)
    at = list(kept.values())
    found = np.column_stack([met[i] for i in at]).astype(float) if at else np.zeros((len(values), 0))
    return [rules[i] for i in at], found


def _nearest(met: Values, y: Values, weight: Values) -> list[int]:
    """Return the rules that alone tell deals from the rest best, in standard deviations, in their own order."""
    gap = np.average(met[y > 0], axis=0, weights=weight[y > 0])
    gap -= np.average(met[y == 0], axis=0, weights=weight[y == 0])
    return sorted(np.argsort(-gap / met.std(axis=0), kind="stable")[:CANDIDATES].tolist())


def _strongest(rules: list[SimpleRule], strength: Values, most: int) -> list[int]:
    kept: list[int] = []
    count: dict[str, int] = {}
    for i in np.argsort(-strength, kind="stable").tolist():
        name = rules[i].behaviour
        if strength[i] > 0 and count.get(name, 0) < MOST_OF_A_BEHAVIOUR and len(kept) < most:
            kept.append(i)
            count[name] = count.get(name, 0) + 1
    return kept


def _fit(met: Values, y: Values, weight: Values) -> Values:
    """Return coefficients of at least zero; deals and the rest weigh as they are."""
    width = met.shape[1]
    if not width:
        return np.zeros(0)
    rate = float(np.average(y, weights=weight))

    def loss(at: Values) -> tuple[float, Values]:
        margin = met @ at[:-1] + at[-1]
        value = float((weight * (np.logaddexp(0.0, margin) - y * margin)).sum())
        slope = weight * (sigmoid(margin) - y)
        gradient = np.append(met.T @ slope + PENALTY * at[:-1], slope.sum())
        return value + PENALTY * float((at[:-1] ** 2).sum()) / 2, gradient

    start = np.append(np.zeros(width), np.log(rate / (1 - rate)))
    bounds = [(0.0, None)] * width + [(None, None)]
    # Threads of BLAS wait for each other longer than one needs for so small a product, and add in another order.
    with threadpool_limits(1, "blas"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return np.asarray(found.x[:-1], np.float64)


def _by_hand(plan: Plan, X: pd.DataFrame) -> pd.DataFrame:
    """Return the hand-set points of each row and behaviour."""
    scorer = PointsScorer.from_plan(plan)
    if not scorer.rules:
        return pd.DataFrame(index=range(len(X)))
    each = np.array([rule.each for rule in scorer.rules.values()])
    return scorer.units(X) * each


def _frame(
    rules: tuple[SimpleRule, ...],
    points: tuple[int, ...],
    met: Values,
    y: Values,
    weight: Values,
    by_hand: pd.DataFrame,
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for j, (rule, worth) in enumerate(zip(rules, points, strict=True)):
        inside = met[:, j] > 0
        hand = by_hand[rule.behaviour].to_numpy()[inside].mean() if rule.behaviour in by_hand else np.nan
        rows.append(
            {
                "behaviour": rule.behaviour,
                "rule": rule.text,
                "points": worth,
                "hand_set": float(hand),
                "members": float(inside.mean()),
                "deals": float(np.average(inside[y > 0], weights=weight[y > 0])),
                "column": rule.column,
                "at_least": rule.at_least,
                "at_most": rule.at_most,
            }
        )
    return pd.DataFrame(rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if not np.isfinite(value) else repr(value)
    text = str(value)
    # Spreadsheets run cells that begin with these; an apostrophe keeps them text.
    return (
        f"'{text}"
        if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        else text
    )
