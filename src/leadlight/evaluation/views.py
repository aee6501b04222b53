"""Four views of one test population: a closed deal is only seen where sales approached."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.evaluation.judge import COLUMNS, Figures, Judge, tabulate
from leadlight.evaluation.metrics import Bools
from leadlight.evaluation.redraws import Codes, Values, interval
from leadlight.moments import DAY_US
from leadlight.observations import Observations

VIEWS: Final = ("all labels", "contacted", "explored", "inbound")
POPULATION: Final = "population"
"""Stands for the model in lines that count rows."""

BIASED: Final = (
    "Biased: only whom sales approached can become a deal, so buyers whom nobody approached count as negatives, and "
    "whatever chose the calls looks good."
)
CONTACTED: Final = "Members approached in their window: says how well approached members are ranked, not who else to approach."
NOBODY: Final = (
    "Nobody was approached at random, so it is not known how many buyers sales never spoke to. Reserve a small random quota, "
    'such as 5 % of the calls, and log it with chosen_by="random" and its propensity.'
)
NO_TABLE: Final = "No contacts table says who was approached. "


def view_weights(community: Community, rows: Observations) -> tuple[dict[str, Values], dict[str, str]]:
    """Return the weight of each row in each view, and what there is to say about the view.

    A row is contacted, explored or inbound when its member was approached (so chosen) in `[cutoff, cutoff + gap + horizon)`.
    In the explored view it weighs the sum of 1 / (propensity * weeks of the window) over its random approaches, where
    `propensity` is the chance of the member in one weekly draw: the weighted rows stand for all members whom the draws
    could have named. An approach late in the window has less time to become a deal, so the base rate errs low.

    Returns
    -------
    weights : dict of str to float64 array of shape (n,)
        0 where a row is not in the view.
    notes : dict of str to str

    Raises
    ------
    InputError
        If a propensity is not in (0, 1].
    """
    ones = np.ones(len(rows))
    contacts = community.contacts
    if contacts is None:
        empty = {name: np.zeros(len(rows)) for name in VIEWS[1:]}
        notes = dict.fromkeys(VIEWS[1:], NO_TABLE.strip())
        return {VIEWS[0]: ones, **empty}, {VIEWS[0]: BIASED, **notes, VIEWS[2]: NO_TABLE + NOBODY}
    asked, (member, begins, ends) = _approaches(contacts), _windows(community, rows)
    chosen_by = contacts["chosen_by"].to_numpy(object)
    draw = chosen_by == "random"
    propensity = contacts["propensity"].to_numpy(float)
    weight, note = _draw_weights(propensity[draw], _weeks(rows))
    inverse = np.zeros(len(contacts))
    inverse[draw] = weight
    found = {
        "all labels": ones,
        "contacted": (_within(asked, np.ones(len(contacts)), member, begins, ends) > 0).astype(float),
        "explored": _within(asked, inverse, member, begins, ends),
        "inbound": (_within(asked, (chosen_by == "inbound").astype(float), member, begins, ends) > 0).astype(
            float
        ),
    }
    explored = found["explored"]
    if explored.any():
        equal = float(explored.sum() ** 2 / (explored**2).sum())
        note = f"Approached at random{note}; the {int((explored > 0).sum()):,} rows carry as much as {equal:.0f} equal ones."
    else:
        note = NOBODY
    inbound = (
        "Members who asked for sales themselves." if found["inbound"].any() else "Nobody asked for sales."
    )
    notes = {"all labels": BIASED, "contacted": CONTACTED, "explored": note, "inbound": inbound}
    return found, notes


def propensity_weights(community: Community, rows: Observations) -> Values:
    """Return what each row stands for by the logged chances of its approaches, whoever or whatever chose them.

    Returns
    -------
    float64 array of shape (n,)
        The sum of 1 / (propensity * weeks of the window) over the approaches in `[cutoff, cutoff + gap + horizon)`; 0 where
        there is none, NaN where one of them has no propensity.

    Raises
    ------
    InputError
        If a propensity is not in (0, 1].
    """
    contacts = community.contacts
    if contacts is None:
        return np.zeros(len(rows))
    asked, window = _approaches(contacts), _windows(community, rows)
    propensity = contacts["propensity"].to_numpy(float)
    unknown = ~np.isfinite(propensity)
    weight = np.zeros(len(contacts))
    weight[~unknown] = _draw_weights(propensity[~unknown], _weeks(rows))[0]
    found = _within(asked, weight, *window)
    found[_within(asked, unknown.astype(float), *window) > 0] = np.nan
    return found


def judge_views(judge: Judge, weights: dict[str, Values], notes: dict[str, str]) -> pd.DataFrame:
    """Return the figures of each view.

    Returns
    -------
    DataFrame
        view, model ("population" for rows, positives, buyers and base_rate), metric, value, low, high (95 %, accounts
        redrawn), difference ("leadlight" minus this model) with difference_low and difference_high, note. What is missed
        is missed by the call list of the whole population; in the explored view rows count with their weight.
    """
    frames = []
    for view in VIEWS:
        weight = weights[view]
        inside = weight > 0
        evidence = judge.evidence(weight)
        counts = _population(judge, inside, weight, evidence)
        if (judge.y[inside] > 0).any() and (judge.y[inside] == 0).any():
            figures = judge.each(partial(_figures, judge, inside, weight))
            each = float((weight * judge.y).sum()) / evidence
            judged = tabulate(figures, evidence, float(judge.buyers(inside)[0]), each)
            counts = pd.concat([counts, judged.reset_index()], ignore_index=True)
        elif inside.any():
            notes = {**notes, view: f"{notes[view]} Without both outcomes there is nothing to rank."}
        frames.append(counts.assign(view=view, note=notes[view]))
    found = pd.concat(frames, ignore_index=True)
    return found[["view", "model", "metric", *COLUMNS, "note"]]


def _population(judge: Judge, inside: Bools, weight: Values, evidence: float) -> pd.DataFrame:
    redraws, nan = judge.redraws, float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = redraws.sums(weight * judge.y) / redraws.sums(weight)
    low, high = interval(rate, "share", evidence)
    lines = {
        "rows": (float(inside.sum()), nan, nan),
        "positives": (float(judge.y[inside].sum()), nan, nan),
        "buyers": (float(judge.buyers(inside)[0]), nan, nan),
        "base_rate": (float(rate[0]), low, high),
    }
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=COLUMNS[:3]).rename_axis("metric")
    return frame.reset_index().assign(model=POPULATION).reindex(columns=["model", "metric", *COLUMNS])


def _figures(judge: Judge, inside: Bools, weight: Values, name: str) -> Figures:
    redraws, missed = judge.redraws, ~judge.chosen[name]
    areas = judge.rankings[name].redrawn(redraws, weight)
    lost = redraws.sums(weight * judge.y * missed)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = lost / redraws.sums(weight * judge.y)
    buyers = judge.buyers(inside) - judge.buyers(inside & ~missed)
    return {**areas, "false_negatives": lost, "missed_share": share, "buyers_missed": buyers}


def _approaches(contacts: pd.DataFrame) -> tuple[Codes, Codes]:
    return contacts["member"].to_numpy(np.int64), contacts["contacted_us"].to_numpy(np.int64)


def _windows(community: Community, rows: Observations) -> tuple[Codes, Codes, Codes]:
    """Return each row's member as a code, and begin and end of its window."""
    member = community.members.ids.get_indexer(pd.Index(rows.frame["member_id"])).astype(np.int64)
    return member, rows.cutoff_us, rows.cutoff_us + rows.windows.reach_us


def _weeks(rows: Observations) -> float:
    return rows.windows.reach_us / (7 * DAY_US)


def _draw_weights(propensity: Values, weeks: float) -> tuple[Values, str]:
    """Inverse-propensity weights of random approaches, and how they were weighed."""
    known = np.isfinite(propensity)
    if ((propensity[known] <= 0) | (propensity[known] > 1)).any():
        wrong = sorted(set(propensity[known & ((propensity <= 0) | (propensity > 1))].tolist()))[:3]
        raise InputError(f"contacts.propensity holds {wrong}; it is a chance, above 0 and at most 1.")
    if not known.any():
        return np.ones(len(propensity)), ", weighted alike since no propensity is known"
    text = ", weighted by inverse propensity"
    if not known.all():
        text += f" ({int((~known).sum())} without one as the average)"
    return 1.0 / (np.where(known, propensity, propensity[known].mean()) * max(weeks, 1e-9)), text


def _within(
    asked: tuple[Codes, Codes], weight: Values, member: Codes, begins: Codes, ends: Codes
) -> NDArray[np.float64]:
    """Sum the weights of each member's approaches in `[begins, ends)`."""
    # What weighs nothing is left out: a difference of running sums would leave dust.
    some = (asked[0] >= 0) & (weight > 0)
    who, when, weight = asked[0][some], asked[1][some], weight[some]
    order = np.lexsort((when, who))
    moments = np.unique(when)
    span = len(moments) + 1
    line = who[order] * span + np.searchsorted(moments, when[order])
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    first, last = (
        np.searchsorted(line, member * span + np.searchsorted(moments, at)) for at in (begins, ends)
    )
    return np.where(last > first, total[last] - total[first], 0.0)
