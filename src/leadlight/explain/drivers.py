"""The global view: which behaviours tell won deals from the rest, which way, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.explain.behaviours import by_behaviour
from leadlight.explain.canvas import BLUE, VERMILION, axes, columns_of, ink, rows_axis, tidy
from leadlight.plan import Plan, PlannedBehaviour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leadlight.estimators import LeadClassifier
    from leadlight.estimators.refits import Refit

Values = NDArray[np.float64]

MOST_ROWS: Final = 5_000
"""Unseen rows without a deal that a refit explains: a mean needs no more."""

AMOUNTS: Final = frozenset(
    ("count", "sum_duration", "distinct", "visits", "visits_per_month", "completeness", "peers")
)
"""Operations that measure how much of a behaviour there was."""

MORE, LESS, MIXED, UNSURE = "more of it", "less of it", "some kinds of it", "cannot tell yet"

COLUMNS: Final = [
    "effect",
    "low",
    "high",
    "direction",
    "direction_low",
    "direction_high",
    "mean_absolute",
    "speaks",
    "refits",
]


class Trained(Protocol):
    """What drivers ask of a `leadlight.LeadQualifier` that was fitted, not loaded."""

    plan_: Plan
    classifier_: LeadClassifier
    training_: Any


def drivers(qualifier: Trained, *, rounds: int = 20, seed: int = 0, n_jobs: int = 1) -> pd.DataFrame:
    """Say which behaviours drive won deals, as far as the model can see: what tells buyers from others, not what causes.

    The classifier is fitted again on accounts drawn with replacement (`leadlight.estimators.refits.refits`: size, weights
    and calibration stay as chosen), and every refit is asked about the accounts that it has not seen. There a behaviour
    that was learned by heart shows no effect.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted on deals.
    rounds : int
        Refits, at least 3. The interval is Student's t of their spread: mean plus or minus t times their standard deviation.
    seed : int
    n_jobs : int
        Refits at once.

    Returns
    -------
    DataFrame
        Index behaviour, the largest effect first.

        effect, low, high
            By how much the behaviour lifts the calibrated log-odds of rows that became deals above the others', on
            average, with its 95 % interval. Below zero: unseen accounts contradict it.
        direction, direction_low, direction_high
            Rank correlation, -1 to 1, of how much there was of the behaviour (its counts, amounts and colleagues' counts;
            the newer the more where it has none) with what it contributes.
        mean_absolute
            Mean size of its contribution, in log-odds.
        speaks
            "more of it", "less of it" or "some kinds of it" where the effect is above zero; else "cannot tell yet".
        refits
            How many the interval rests on.

    Raises
    ------
    InputError
        If the qualifier keeps no training rows or learned from no deal, there are fewer than 5 won accounts, or `rounds`
        is below 3.
    """
    from leadlight.estimators.refits import refits

    if not hasattr(qualifier, "training_") or not hasattr(qualifier, "classifier_"):
        raise InputError(
            "Drivers need the training rows and a model that learned from deals; a bundle keeps no rows, and hand-set points "
            "have learned nothing. Fit the qualifier."
        )
    if isinstance(rounds, bool) or rounds < 3:
        raise InputError(f"rounds is {rounds!r}; an interval needs at least 3 refits.")
    X, y, weight, groups = qualifier.training_
    y, weight = np.asarray(y, float), np.asarray(weight, float)
    plan, values = qualifier.plan_, np.asarray(X, float)
    amount = np.column_stack([_amount(plan, b, values) for b in plan.behaviours])
    found = [
        figures
        for refit in refits(
            qualifier.classifier_, X, y, weight, groups, rounds=rounds, seed=seed, n_jobs=n_jobs
        )
        if (figures := _figures(refit, plan, values, y, weight, amount, seed)) is not None
    ]
    if len(found) < 3:
        raise InputError(
            f"Only {len(found)} of {rounds} draws left a won account unseen; there are too few deals to say."
        )
    return _summary(np.array(found), [b.name for b in plan.behaviours])


def _amount(plan: Plan, behaviour: PlannedBehaviour, values: Values) -> Values:
    """How much there was of a behaviour in each row: ranks, averaged over its columns."""
    from scipy.stats import rankdata

    place = {name: j for j, name in enumerate(plan.column_names)}
    operation = {c.name: c.operation for c in plan.columns}
    counted = [place[c] for c in behaviour.columns if operation[c] in AMOUNTS]
    recent = [place[c] for c in behaviour.columns if operation[c] == "recency"]
    if counted:
        rows = np.nan_to_num(values[:, counted])
    elif recent:
        rows = -np.nan_to_num(values[:, recent], nan=1e9)
    else:
        rows = np.nan_to_num(values[:, [place[c] for c in behaviour.columns]])
    return np.asarray(rankdata(rows, axis=0).mean(axis=1), np.float64)


def _figures(
    refit: Refit, plan: Plan, values: Values, y: Values, weight: Values, amount: Values, seed: int
) -> Values | None:
    """Return effect, direction and size of each behaviour on unseen rows, shape (3, behaviours)."""
    won, lost = (refit.unseen[(y[refit.unseen] > 0) == flag] for flag in (True, False))
    if not len(won) or not len(lost):
        return None
    if len(lost) > MOST_ROWS:
        lost = np.sort(np.random.default_rng(seed).choice(lost, MOST_ROWS, replace=False))
    rows = np.concatenate([won, lost])
    contributions, _ = refit.model.contributions(values[rows])
    parts = by_behaviour(plan, contributions).to_numpy()
    gap = np.average(parts[: len(won)], axis=0, weights=weight[won])
    gap -= np.average(parts[len(won) :], axis=0, weights=weight[lost])
    direction = [_correlation(amount[rows, b], parts[:, b]) for b in range(parts.shape[1])]
    return np.stack([gap, np.array(direction), np.abs(parts).mean(axis=0)])


def _correlation(left: Values, right: Values) -> float:
    from scipy.stats import rankdata

    ranks = [rankdata(side) for side in (left, right)]
    if any(side.std() == 0 for side in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _summary(found: Values, names: list[str]) -> pd.DataFrame:
    from scipy.stats import t as student

    middle, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
    half = float(student.ppf(0.975, len(found) - 1)) * spread
    low, high = middle - half, middle + half
    direction_low, direction_high = np.maximum(low[1], -1.0), np.minimum(high[1], 1.0)
    speaks = np.select(
        [low[0] <= 0, direction_low > 0, direction_high < 0], [UNSURE, MORE, LESS], default=MIXED
    )
    frame = pd.DataFrame(
        {
            "effect": middle[0],
            "low": low[0],
            "high": high[0],
            "direction": middle[1],
            "direction_low": direction_low,
            "direction_high": direction_high,
            "mean_absolute": middle[2],
            "speaks": speaks.astype(object),
            "refits": len(found),
        },
        index=pd.Index(names, name="behaviour"),
    )
    return frame.sort_values("effect", ascending=False, kind="stable")[COLUMNS]


def drivers_data(found: pd.DataFrame) -> pd.DataFrame:
    """Return what `plot_drivers` draws: effect, low, high and speaks by behaviour, the largest effect first.

    Raises
    ------
    InputError
        If the frame is not one that `drivers` returns.
    """
    data = columns_of(found, ("effect", "low", "high", "speaks"), "drivers")
    return data.sort_values("effect", ascending=False, kind="stable")


def plot_drivers(found: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw by how much each behaviour lifts those who buy above the others, with 95% intervals over refits.

    Parameters
    ----------
    found : DataFrame
        From `drivers`.
    ax : Axes, optional

    Returns
    -------
    Axes
        The marker says which way: a triangle upwards for more, downwards for less, a circle for some kinds, hollow where
        the interval reaches zero.
    """
    data = drivers_data(found)
    ax = axes(ax, 1.3 + 0.42 * len(data))
    place = np.arange(len(data))
    ax.axvline(0, color=ink(), linewidth=0.8)
    ax.hlines(place, data["low"], data["high"], color=BLUE, linewidth=1.8, label="95% interval")
    for speaks, marker, color in (
        (MORE, "^", BLUE),
        (LESS, "v", VERMILION),
        (MIXED, "o", BLUE),
        (UNSURE, "o", ink()),
    ):
        rows = (data["speaks"] == speaks).to_numpy()
        if not rows.any():
            continue
        style: dict[str, Any] = {
            "color": color,
            "marker": marker,
            "markersize": 9,
            "linestyle": "",
            "label": speaks,
        }
        if speaks == UNSURE:
            style |= {"markerfacecolor": "none"}
        ax.plot(data["effect"].to_numpy()[rows], place[rows], **style)
    rows_axis(ax, list(map(str, data.index)))
    ax.set_xlabel("buyers above others, log-odds")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2)
    return tidy(ax, grid="x")
