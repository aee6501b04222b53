"""Whether a member whom nobody approached is better discounted: two quick fits, compared where the labels can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from leadlight.community import Community
from leadlight.estimators.calibration import fit_sigmoid
from leadlight.estimators.folds import USUAL_STRENGTH
from leadlight.estimators.forest import tree_settings
from leadlight.estimators.learner import Learner, Recipe
from leadlight.estimators.parts import WITHOUT_STUMPS
from leadlight.evaluation.redraws import account_codes
from leadlight.evaluation.views import view_weights
from leadlight.observations import Observations
from leadlight.qualifier.selection import Selection, choose, contacted, training_weight

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

ENOUGH_BUYERS = 20
"""Won accounts that a slice must hold before a difference on it is believed; fewer give a standard error of nothing."""

ENOUGH_OTHERS = 10_000
"""Rows that nobody approached and that did not buy: so many, drawn at random, stand for all of them in the quick fits."""

ROUNDS = 80
"""Trees of each kind in a quick fit."""

_SLICES = {
    "explored": "members approached at random, by inverse propensity",
    "contacted": "members approached in their window",
}


@dataclass(frozen=True)
class Slice:
    """Rows on which two fits can be compared, since everybody on them was approached.

    Attributes
    ----------
    name : {"explored", "contacted"}
    weight : float64 array of shape (n,)
        Of each training row; 0 where it is not in the slice.
    buyers : int
        Accounts (or members without one) with a won deal in it.
    """

    name: str
    weight: Values
    buyers: int


def select(
    selection: Selection,
    community: Community,
    rows: Observations,
    X: pd.DataFrame,
    label: Values,
    share: Values,
    mature: Bools,
) -> tuple[Selection, dict[str, Any]]:
    """Return the selection to fit, and why; for "auto" with contacts two quick fits are compared, see `quick_log_odds`.

    Nothing later than the training rows is used.

    Parameters
    ----------
    selection : {"auto", "none", "discount", "contacted-only"}
    community : Community
    rows : Observations
        n training rows.
    X : DataFrame of shape (n, columns)
    label, share : float64 arrays of shape (n,)
        Labels, and how much of a label each is.
    mature : bool array of shape (n,)
        Whose window is whole.

    Returns
    -------
    selection : {"none", "discount", "contacted-only"}
    report : dict
        See `LeadQualifier.selection_report_`.

    Raises
    ------
    InputError
        If the selection is unknown, needs contacts that are not there, or a propensity is no chance.
    """
    chosen = choose(selection, rows)
    report: dict[str, Any] = {"asked": selection, "chosen": chosen, "slice": None}
    if selection != "auto":
        why = f"selection={selection!r} was asked for."
    elif chosen == "none":
        why = "No contacts table says who was approached: a member who did not buy is a no."
    else:
        found, why = comparable(community, rows, label, mature)
        if found is not None:
            weights = {name: training_weight(name, rows, label) * share for name in ("none", "discount")}
            asked = contacted(rows)
            log_odds = quick_log_odds(X, label, weights, rows.groups, asked, asked & mature)
            report |= compare(found, label, rows.groups, log_odds)
            chosen, why = report["chosen"], report["why"]
    return chosen, report | {"why": why}


def comparable(
    community: Community, rows: Observations, label: Values, mature: Bools
) -> tuple[Slice | None, str]:
    """Return the slice to compare on: the explored one, else the contacted rows; None where buyers are too few.

    Parameters
    ----------
    community : Community
    rows : Observations
    label : float64 array of shape (n,)
    mature : bool array of shape (n,)
        Whose window is whole.

    Returns
    -------
    Slice or None
    str
        Why there is none.
    """
    explored = view_weights(community, rows)[0]["explored"]
    approached: Values = (contacted(rows) & mature).astype(float)
    found = []
    # Rows of the user's own may not call contacted whom the contacts table does.
    for name, weight in (("explored", explored * approached), ("contacted", approached)):
        inside = weight > 0
        bought = inside & (label > 0)
        buyers = len(np.unique(rows.groups[bought].astype(str)))
        if buyers >= ENOUGH_BUYERS and not bought[inside].all():
            return Slice(name, weight, buyers), ""
        found.append(buyers)
    return None, (
        f"Not compared: the training rows hold {found[0]} buyers who were approached at random and {found[1]} approached "
        f"at all, fewer than {ENOUGH_BUYERS} cannot tell. Whom nobody approached is discounted unmeasured."
    )


def quick_log_odds(
    X: pd.DataFrame,
    label: Values,
    weights: Mapping[str, Values],
    groups: NDArray[Any],
    asked: Bools,
    judged: Bools,
) -> dict[str, Values]:
    """Return out-of-fold log-odds of a quick fit for each weighting, calibrated on the judged rows.

    The learner at its usual settings, fitted in two halves by account to all rows that were approached or bought and to
    some of the others, costs a small part of a fit. Both weightings have the same halves and rows, and are calibrated
    alike, so that what differs is what the weights teach.

    Parameters
    ----------
    X : DataFrame of shape (n, columns)
        Numbers.
    label : float64 array of shape (n,)
    weights : mapping of str to float64 array of shape (n,)
    groups : array of shape (n,)
        Accounts: none in both halves.
    asked, judged : bool arrays of shape (n,)
        Who was approached, and on which of those a label counts.

    Returns
    -------
    dict of str to float64 array of shape (n,)
        NaN on rows that are not judged.
    """
    rng = np.random.default_rng(0)
    others = np.flatnonzero(~asked & (label == 0))
    drawn = rng.permutation(others)[:ENOUGH_OTHERS]
    stands_for = np.ones(len(label))
    stands_for[drawn] = len(others) / max(len(drawn), 1)
    used = np.concatenate([np.flatnonzero(asked | (label > 0)), np.sort(drawn)])
    account = account_codes(groups)
    won = np.bincount(account, label > 0) > 0
    # At random, half of those who won and half of the others.
    half = np.empty(len(won), np.int64)
    half[np.lexsort((rng.random(len(won)), won))] = np.arange(len(won)) % 2
    values = X.to_numpy(float)
    found = {}
    for name, weight in weights.items():
        margin = np.full(len(label), np.nan)
        for side in (0, 1):
            train = used[(half[account[used]] != side) & (weight[used] > 0)]
            test = np.flatnonzero(judged & (half[account] == side))
            margin[test] = _quick_margin(
                values[train],
                label[train],
                (weight * stands_for)[train],
                account[train],
                np.ascontiguousarray(values[test]),
            )
        line = fit_sigmoid(margin[judged], label[judged], np.ones(int(judged.sum())), account[judged])
        found[name] = line.slope * margin + line.intercept
    return found


def _quick_margin(X: Values, y: Values, weight: Values, groups: NDArray[Any], later: Values) -> Values:
    """Fit the learner at its usual settings, nothing chosen; return its margin of other rows."""
    won = len(np.unique(groups[y > 0]))
    recipe = Recipe(
        booster="lightgbm",
        settings=tree_settings(won, len(y), X.shape[1]),
        encoder=None,
        signs=np.zeros(X.shape[1], np.int64),
        stumps=False,
        ridge=True,
        seed=0,
        threads=1,
    )
    with threadpool_limits(1, "blas"):
        learner = Learner(recipe, X, y, weight, groups, most_bags=1)
        parts = [learner.tree_margin(kind, ROUNDS, later) for kind in recipe.kinds]
        parts += [ridge.margin(later) for ridge in learner.ridges([USUAL_STRENGTH])]
    margin: Values = np.average(parts, axis=0, weights=[w for w in WITHOUT_STUMPS if w])
    return margin


def compare(
    slice_: Slice, label: Values, groups: NDArray[Any], log_odds: Mapping[str, Values]
) -> dict[str, Any]:
    """Compare two fits by log loss on a slice, paired by account; "discount" unless it is worse by a standard error.

    Parameters
    ----------
    slice_ : Slice
    label : float64 array of shape (n,)
    groups : array of shape (n,)
        Accounts: the difference of one is one piece of evidence, however many rows it has.
    log_odds : mapping of "none" and "discount" to float64 array of shape (n,)
        Out of fold, calibrated; finite on the slice.

    Returns
    -------
    dict
        chosen, slice, rows, buyers, log_loss of both, difference (discount less none) and its standard_error, why.
    """
    inside = slice_.weight > 0
    weight, y = slice_.weight[inside], label[inside]
    account = account_codes(groups[inside])
    loss = {n: np.logaddexp(0.0, s[inside]) - y * s[inside] for n, s in log_odds.items()}
    mean = {name: float(np.average(rows, weights=weight)) for name, rows in loss.items()}
    difference = mean["discount"] - mean["none"]
    # What each account's rows add to the difference, beyond what their weight would.
    part = np.bincount(account, weight * (loss["discount"] - loss["none"] - difference))
    count = len(part)
    error = float(np.sqrt(part @ part * count / max(count - 1, 1)) / weight.sum())
    chosen = "none" if difference > error else "discount"
    verdict = f"{'worse' if difference > 0 else 'better'} by {abs(difference):.2g}"
    verdict += f", {'more' if abs(difference) > error else 'not more'} than its standard error of {error:.2g}"
    kept = "is discounted" if chosen == "discount" else "counts as a no in full"
    return {
        "chosen": chosen,
        "slice": slice_.name,
        "rows": int(inside.sum()),
        "buyers": slice_.buyers,
        "log_loss": mean,
        "difference": difference,
        "standard_error": error,
        "why": (
            f"On {int(inside.sum()):,} training rows of {_SLICES[slice_.name]} ({slice_.buyers} buyers, quick fits, out of fold) "
            f"the log loss is {mean['discount']:.5f} with a discount for whom nobody approached and {mean['none']:.5f} "
            f"without: {verdict}. So who was not approached {kept}."
        ),
    }
