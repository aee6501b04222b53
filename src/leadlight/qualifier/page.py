"""What the page shows beside the figures and the list: evidence, what drives deals, a points table, who is just below the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.evaluation import compare_points
from leadlight.explain import drivers, evidence, importance, over_the_line
from leadlight.explain.over_the_line import OverTheLine
from leadlight.features import build_features
from leadlight.moments import Moment
from leadlight.observations import Observations, population_at
from leadlight.qualifier.points import PointsOnly
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.scores import Scores

MOST_ROWS = 2_000
"""Members whose contributions are averaged: the order of behaviours needs no more."""


def page_parts(
    qualifier: LeadQualifier,
    community: Community,
    scores: Scores,
    at: Moment,
    *,
    tested: tuple[LeadQualifier, Observations] | None = None,
    top: int = 40,
    most: int = 20,
    refits: int = 8,
    below: int = 3,
    share: float = 0.05,
    rounds: int = 200,
    aggregate: bool = False,
    n_jobs: int = 1,
) -> dict[str, Any]:
    """Gather what `leadlight.explain.write_report` takes beside report and scores.

    What cannot be had (too few deals for refits, a bundle without training rows) is left out, and the page says so.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted; of the call list.
    community : Community
    scores : Scores
        Of everybody, at `at`.
    at : moment
    tested : (LeadQualifier, Observations), optional
        A qualifier fitted on earlier rows, and the later rows that its report was made on (`Leads.tested`): says what
        points lose. Without it the page does not.
    top : int
        Length of the call list.
    most : int
        Rows of evidence shown of a reason.
    refits : int
        Refits for what drives deals; 0 leaves it out.
    below : int
        Members just below the line.
    share, rounds : float, int
        Of the comparison of points, as in `leadlight.evaluation.compare_points`.
    aggregate : bool
        For a page without members: evidence and members below the line are not gathered.
    n_jobs : int
        Refits at once.

    Returns
    -------
    dict
        importance, evidence, drivers, points, points_loss, below, left_out; to be passed on by name.
    """
    parts = deal_parts(qualifier, refits=refits, n_jobs=n_jobs)
    left_out = list(parts["left_out"])
    rows = population_at(community, at, qualifier.windows_)
    if not isinstance(qualifier.scorer_, PointsOnly) and len(rows):
        parts["importance"] = _importance(qualifier, community, rows)
    if tested is not None and parts["points"] is not None:
        earlier, later = tested
        parts["points_loss"] = _unless_refused(
            left_out,
            "What points lose",
            lambda: compare_points(
                earlier.points_table(), earlier, community, later, share=share, rounds=rounds
            ),
        )
    if not aggregate:
        parts["evidence"] = evidence(community, qualifier.plan_, scores.top(top), most=most)
        found = _unless_refused(
            left_out, "Just below the line", lambda: _below(qualifier, community, scores, rows, below)
        )
        parts["below"] = found or ()
    return parts | {"left_out": tuple(left_out)}


def deal_parts(qualifier: LeadQualifier, *, refits: int = 8, n_jobs: int = 1) -> dict[str, Any]:
    """Gather what the page says of deals alone: what drives them, and points for a CRM. Nothing in it is of one member.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted.
    refits : int
        For what drives deals; 0 leaves it out.
    n_jobs : int
        Refits at once.

    Returns
    -------
    dict
        drivers, points, left_out, as in `page_parts`.
    """
    left_out: list[str] = []
    parts: dict[str, Any] = {"drivers": None}
    if refits:
        parts["drivers"] = _unless_refused(
            left_out, "What drives deals", lambda: drivers(qualifier, rounds=refits, n_jobs=n_jobs)
        )
    else:
        left_out.append("What drives deals: no refits were asked for.")
    parts["points"] = _unless_refused(left_out, "Points for your CRM", qualifier.points_table)
    return parts | {"left_out": tuple(left_out)}


def _unless_refused(left_out: list[str], what: str, make: Callable[[], Any]) -> Any:
    """Return what is made; None where it cannot be had, and `left_out` then says why."""
    try:
        return make()
    except InputError as error:
        left_out.append(f"{what}: {error}")
        return None


def _importance(qualifier: LeadQualifier, community: Community, rows: Observations) -> Any:
    some = rows.take(np.unique(np.linspace(0, len(rows) - 1, MOST_ROWS).astype(int)))
    X = build_features(community, some, qualifier.plan_)
    return importance(qualifier.plan_, qualifier.scorer_.explain_rows(X)[0])


def _below(
    qualifier: LeadQualifier, community: Community, scores: Scores, rows: Observations, count: int
) -> tuple[OverTheLine, ...]:
    """Try those who might be called and come nearest to the line."""
    ranked = scores.top(max(len(scores), 1)).frame
    near = ranked.loc[~ranked["qualified"].astype(bool), "member_id"].head(count)
    return tuple(over_the_line(qualifier.scorer_, community, rows, member) for member in near)
